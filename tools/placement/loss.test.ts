import { describe, expect, it } from 'vitest';
import { keysOf } from './cluster.ts';
import { ASSUMED, lossOf, timeToAbsorption } from './loss.ts';

/** Mean time of many walks through the chain, drawn one by one. */
function walked(up: readonly number[], down: readonly number[], walks: number): number {
  const nextKey = keysOf(12);
  const draw = (): number => (nextKey().readUInt32LE() + 0.5) / 2 ** 32;
  let sum = 0;
  for (let walk = 0; walk < walks; walk++) {
    for (let state = 0; state < up.length; ) {
      const [rise, fall] = [up[state] as number, down[state] as number];
      sum += -Math.log(draw()) / (rise + fall);
      state += draw() < rise / (rise + fall) ? 1 : -1;
    }
  }
  return sum / walks;
}

describe('timeToAbsorption()', () => {
  it('is the known formula for a mirror of two disks', () => {
    const [failure, repair] = [1e-5, 0.1];
    const known = (3 * failure + repair) / (2 * failure * failure);
    expect(timeToAbsorption([2 * failure, failure], [0, repair]) / known).toBeCloseTo(1, 9);
  });

  it('is what walks through a chain of four states take', () => {
    const [up, down] = [
      [0.4, 0.3, 0.2, 0.1],
      [0, 0.5, 0.6, 0.2],
    ];
    const ratio = walked(up, down, 20_000) / timeToAbsorption(up, down);
    expect(Math.abs(ratio - 1)).toBeLessThan(0.05);
  });
});

describe('lossOf()', () => {
  it('counts one disk in the way: replica:2 on two disks is the mirror', () => {
    const failure = -Math.log(1 - ASSUMED.annualFailureRate) / 8766;
    const used = ASSUMED.diskBytes * ASSUMED.filled;
    const repair = 1 / (72 + used / (ASSUMED.diskBytesPerSecond * ASSUMED.share * 3600));
    const hours = (3 * failure + repair) / (2 * failure * failure);
    expect(lossOf('replica:2', 2).yearsToLoss / (hours / 8766)).toBeCloseTo(1, 9);
  });

  it.each([3, 10, 30, 1000])('is less with every spare piece, on %i disks', (disks) => {
    const two = lossOf('replica:2', disks);
    const three = lossOf('replica:3', disks);
    expect(three.lossPerYear).toBeLessThan(two.lossPerYear);
    expect(three.unreadablePerYear).toBeLessThan(two.unreadablePerYear);
  });

  it('grows with the time a rebuild takes', () => {
    const at = (share: number): number => lossOf('ec:4+2', 10, { ...ASSUMED, share }).lossPerYear;
    expect(at(1)).toBeLessThan(at(0.1));
    expect(at(0.1)).toBeLessThan(at(0.01));
  });

  it('waits for a new disk when the others cannot take the pieces', () => {
    expect(lossOf('replica:3', 3).rebuildHours).toBeGreaterThan(ASSUMED.replaceHours);
    expect(lossOf('replica:3', 10).rebuildHours).toBeLessThan(ASSUMED.replaceHours);
  });

  it('is never a loss with more parity than disks fail, or without failures that meet', () => {
    const rare = { ...ASSUMED, annualFailureRate: 1e-6 };
    expect(lossOf('ec:8+4', 30, rare).lossPerYear).toBeLessThan(1e-20);
    expect(lossOf('replica:1', 3).lossPerYear).toBeCloseTo(1 - (1 - 0.015) ** 3, 6);
  });
});
