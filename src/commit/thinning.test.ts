import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AgedSnapshot, keptEpochs, snapshotIntervalMs } from './thinning.ts';

const MINUTE = 60_000;
const HOUR: number = 60 * MINUTE;
const DAY: number = 24 * HOUR;
const NOW: number = 20_000 * DAY;

/** Two within a millisecond, of which only the older is older than a day in the end. */
const BOUNDARY: [number[], number] = [
  [
    1, 1_218_804, 3_100_844, 1_566_392, 5_800_482, 6_880_559, 2_526_908, 7_832_109, 5_378_220,
    9_877_567, 10_514_382, 973_592, 9_980_302, 7_146_469, 4_165_451, 9_437_920,
  ],
  86_400_001,
];

/** One a minute, the newest a minute old, for some days; the epoch is the minute's number. */
function everyMinute(days: number): AgedSnapshot[] {
  return Array.from({ length: days * 24 * 60 }, (_, at) => {
    return { epoch: NOW / MINUTE - at - 1, cutTimeMs: NOW - (at + 1) * MINUTE };
  });
}

describe('keptEpochs()', () => {
  test('keeps the newest two, whatever their age', () => {
    const old = [1, 2, 3].map((epoch) => ({ epoch, cutTimeMs: epoch }));
    expect(keptEpochs(old, { nowMs: NOW, retentionMs: DAY })).toEqual(new Set([2, 3]));
    expect(keptEpochs([], { nowMs: NOW, retentionMs: DAY })).toEqual(new Set());
  });

  test('keeps one of every five minutes for an hour, then one an hour, then one a day', () => {
    const all = everyMinute(5);
    const ageOf = (epoch: number): number => NOW - epoch * MINUTE;
    const count = (retentionMs: number, from: number, to: number): number => {
      const kept = [...keptEpochs(all, { nowMs: NOW, retentionMs })].map(ageOf);
      return kept.filter((age) => age > from && age <= to).length;
    };
    // The second newest is kept as well as the newest of its five minutes.
    expect(count(DAY, 0, HOUR)).toBe(12 + 1);
    expect(count(DAY, HOUR, DAY)).toBe(23);
    expect(count(DAY, DAY, 5 * DAY)).toBe(0);
    expect(count(3 * DAY, DAY, 5 * DAY)).toBe(2);
    expect(count(30 * MINUTE, 0, 5 * DAY)).toBe(6 + 1);
    expect(count(0, 0, 5 * DAY)).toBe(2);
  });

  test('loses nothing by being asked often: what is kept at last is kept all along', () => {
    const gaps = fc.array(fc.integer({ min: 1, max: 3 * HOUR }), { minLength: 3, maxLength: 60 });
    fc.assert(
      fc.property(gaps, fc.integer({ min: 0, max: 3 * DAY }), (between, retentionMs) => {
        let nowMs = NOW;
        let kept: AgedSnapshot[] = [];
        const all: AgedSnapshot[] = [];
        for (const [epoch, gap] of between.entries()) {
          nowMs += gap;
          const newest = { epoch, cutTimeMs: nowMs };
          all.push(newest);
          const now = [...kept, newest];
          const epochs = keptEpochs(now, { nowMs, retentionMs });
          kept = now.filter((one) => epochs.has(one.epoch));
        }
        const atOnce = keptEpochs(all, { nowMs, retentionMs });
        // Of the newest, and of every span, the newest stays, whoever looked in between.
        for (const epoch of atOnce) expect(kept.map((one) => one.epoch)).toContain(epoch);
        expect(new Set(kept.map((one) => one.epoch))).toEqual(atOnce);
        expect(kept.length).toBeLessThanOrEqual(2 + 13 + 25 + retentionMs / DAY);
      }),
      { numRuns: 2000, examples: [BOUNDARY] },
    );
  });
});

test('snapshots are due an hour apart at most, more often when little is retained', () => {
  expect(snapshotIntervalMs(DAY)).toBe(HOUR);
  expect(snapshotIntervalMs(100 * DAY)).toBe(HOUR);
  expect(snapshotIntervalMs(2 * HOUR)).toBe(5 * MINUTE);
  expect(snapshotIntervalMs(1)).toBe(1000);
  expect(snapshotIntervalMs(0)).toBe(MINUTE);
});
