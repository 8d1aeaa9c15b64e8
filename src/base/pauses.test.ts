import { describe, expect, it } from 'vitest';
import { type Log, silentLog } from './log.ts';
import { Pauses } from './pauses.ts';

function rig(): { pauses: Pauses; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const log: Log = (level, event, facts) => void lines.push({ level, event, ...facts });
  return { pauses: new Pauses(log), lines };
}

describe('Pauses', () => {
  it('counts by cause what takes longer than 2 ms, and knows the longest of all', () => {
    const { pauses, lines } = rig();
    pauses.note('LOOKUP', 0.5);
    expect(pauses.figures()).toMatchObject({ longestMs: 0.5, longestCause: 'LOOKUP', count: 0 });
    pauses.note('cut', 3);
    pauses.note('cut', 5);
    pauses.note('reap', 4);
    expect(pauses.figures()).toEqual({
      longestMs: 5,
      longestCause: 'cut',
      count: 3,
      byCause: {
        cut: { count: 2, long: 0, totalMs: 8, longestMs: 5 },
        reap: { count: 1, long: 0, totalMs: 4, longestMs: 4 },
      },
    });
    expect(lines).toEqual([]);
  });

  it('warns of a long one, and not again and again', () => {
    const { pauses, lines } = rig();
    pauses.note('cut', 21.4);
    pauses.note('reap', 300);
    expect(lines).toEqual([
      { level: 'warn', event: 'requests had to wait', cause: 'cut', ms: 21, unsaid: 0 },
    ]);
    expect(pauses.figures().byCause.reap).toMatchObject({ long: 1 });
  });

  it('tells waiting for a processor from work', () => {
    let waitedMs = 100;
    const pauses = new Pauses(silentLog, () => waitedMs);
    pauses.mark(10);
    waitedMs += 7;
    pauses.mark(12); // Too soon to look again.
    pauses.note('cut', 10);
    pauses.mark(20);
    waitedMs += 50;
    pauses.note('READ', 4);
    const { byCause, longestMs, longestCause } = pauses.figures();
    expect(byCause).toEqual({
      cut: { count: 1, long: 0, totalMs: 3, longestMs: 3 },
      'no processor free': { count: 2, long: 0, totalMs: 11, longestMs: 7 },
    });
    expect([longestMs, longestCause]).toEqual([7, 'no processor free']);
  });

  it('times what throws as well, and hands on what it threw', () => {
    const { pauses } = rig();
    expect(pauses.timed('sum', () => 7)).toBe(7);
    const spoil = (): never => {
      throw new Error('spoilt');
    };
    expect(() => pauses.timed('spoil', spoil)).toThrow('spoilt');
    expect(pauses.timedMs).toBeGreaterThan(0);
  });
});
