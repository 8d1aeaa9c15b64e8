import { describe, expect, it } from 'vitest';
import { makeCluster } from './cluster.ts';
import { changesOf, measureMovement } from './movement.ts';
import { measureSpread } from './spread.ts';

const seed = 7;

describe('a simulated cluster', () => {
  it.each([
    { disks: 400, rooms: 4, pieces: 3, domain: 'room' },
    { disks: 400, rooms: 4, pieces: 6, domain: 'rack' },
    { disks: 30, rooms: 1, pieces: 3, domain: 'machine' },
    { disks: 4, rooms: 1, pieces: 3, domain: 'disk' },
  ])('of $disks disks in $rooms rooms keeps $pieces pieces in a $domain each', (shape) => {
    const { disks, rooms, pieces, domain } = shape;
    const map = makeCluster({ disks, rooms, isUneven: false });
    const result = measureSpread(map, { pieces, chunks: 4_000, seed });
    expect(result.violations).toBe(0);
    expect(result.domain).toBe(domain);
  });

  it('has its pieces where weights say, but for chance', () => {
    const map = makeCluster({ disks: 200, rooms: 4, isUneven: true });
    const { levels, chiSquareOverDisks } = measureSpread(map, { pieces: 2, chunks: 40_000, seed });
    for (const { level, worst, chance } of levels) {
      expect(worst, level).toBeLessThan(2 * chance + 0.005);
    }
    expect(chiSquareOverDisks).toBeLessThan(1.6);
  });

  it('moves what must move and little else', () => {
    const map = makeCluster({ disks: 400, rooms: 4, isUneven: false });
    for (const change of changesOf(map)) {
      const run = { pieces: 3, chunks: 2_500, seed };
      const { ideal, moved, changed } = measureMovement(change, run);
      expect(ideal, change.name).toBeGreaterThan(0);
      expect(moved, change.name).toBeGreaterThanOrEqual(1);
      expect(moved, change.name).toBeLessThan(1.6);
      expect(changed, change.name).toBeGreaterThanOrEqual(moved);
    }
  });
});
