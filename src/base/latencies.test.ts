import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LatencyTable, latenciesSince, percentileMs } from './latencies.ts';

describe('LatencyTable', () => {
  it('knows every time to an eighth, rounded up', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.001, max: 130_000, noNaN: true }), (ms) => {
        const table = new LatencyTable(2);
        table.record(1, ms);
        expect(table.buckets(0)).toEqual([]);
        const [[upTo, count] = [0, 0]] = table.buckets(1);
        expect(count).toBe(1);
        expect(upTo).toBeGreaterThanOrEqual(ms - 0.5 / 8000);
        expect(upTo).toBeLessThanOrEqual(ms * 1.125 + 1 / 8000);
      }),
    );
  });

  it('takes times below what it can tell, and beyond the longest', () => {
    const table = new LatencyTable(1);
    table.record(0, -1);
    table.record(0, 0);
    table.record(0, 1e12);
    const buckets = table.buckets(0);
    expect(buckets).toHaveLength(2);
    expect(buckets[0]).toEqual([0, 2]);
    expect(buckets[1]?.[0]).toBeGreaterThan(100_000);
  });

  it('has its buckets in the order of their times', () => {
    const table = new LatencyTable(1);
    for (let ms = 0.0001; ms < 100_000; ms *= 1.05) table.record(0, ms);
    const bounds = table.buckets(0).map(([upTo]) => upTo);
    expect(bounds).toEqual([...new Set(bounds)].sort((a, b) => a - b));
  });
});

describe('percentileMs()', () => {
  it('is the smallest time that enough of all did not exceed', () => {
    expect(percentileMs([], 0.5)).toBeUndefined();
    const buckets: [number, number][] = [
      [1, 98],
      [5, 1],
      [9, 1],
    ];
    expect(percentileMs(buckets, 0.5)).toBe(1);
    expect(percentileMs(buckets, 0.99)).toBe(5);
    expect(percentileMs(buckets, 1)).toBe(9);
  });

  it('tells of an interval what two snapshots differ in', () => {
    const table = new LatencyTable(1);
    table.record(0, 1);
    const before = table.buckets(0);
    table.record(0, 50);
    table.record(0, 1);
    const between = latenciesSince(table.buckets(0), before);
    expect(between.map(([, count]) => count)).toEqual([1, 1]);
    expect(percentileMs(between, 0.99)).toBeGreaterThanOrEqual(50);
  });
});
