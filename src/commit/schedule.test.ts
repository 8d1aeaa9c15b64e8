import { describe, expect, test } from 'vitest';
import { MIB } from '../base/limits.ts';
import { Schedule } from './schedule.ts';

const NOTHING = { dirtyBytes: 0, ops: 0, opBytes: 0 };
const SOME = { dirtyBytes: MIB, ops: 1, opBytes: 100 };

class Rig {
  nowMs = 0;
  readonly schedule: Schedule;

  constructor(intervalMs = 5000, deadlineMs = 30_000) {
    const now = (): number => this.nowMs;
    this.schedule = new Schedule({ intervalMs, deadlineMs, dirtyBytesMax: 256 * MIB, now });
  }

  /** A commit of `bytes` that takes `ms`. */
  commit(bytes: number, ms: number): void {
    this.schedule.cut(bytes);
    this.nowMs += ms;
    this.schedule.committed();
  }

  /** Looks every 200 ms until a commit is due: how long that took. */
  untilDue(waiting = SOME): number {
    const startMs = this.nowMs;
    while (!this.schedule.look(waiting)) this.nowMs += 200;
    return this.nowMs - startMs;
  }
}

describe('a commit begins', () => {
  test('when a change has waited for the interval, and not without one', () => {
    const rig = new Rig();
    expect(rig.schedule.look(NOTHING)).toBe(false);
    rig.nowMs = 60_000;
    expect(rig.schedule.look(NOTHING)).toBe(false);
    expect(rig.untilDue()).toBe(5000);
  });

  test('at once when there is much', () => {
    for (const much of [{ dirtyBytes: 256 * MIB }, { ops: 50_000 }, { opBytes: 64 * MIB }]) {
      expect(new Rig().untilDue({ ...SOME, ...much })).toBe(0);
    }
  });

  test('before its interval where a slow disk would miss the deadline', () => {
    const rig = new Rig(5000, 10_000);
    for (let commit = 0; commit < 20; commit++) rig.commit(10 * MIB, 10_000); // 1 MiB/s
    const due = rig.untilDue({ ...SOME, dirtyBytes: 4 * MIB });
    expect(due).toBeGreaterThan(2000);
    expect(due).toBeLessThan(4000);
  });

  test('behind a failure after one second, then two, four, at most thirty', () => {
    const rig = new Rig();
    const waits: number[] = [];
    for (let failure = 0; failure < 7; failure++) {
      rig.untilDue();
      rig.schedule.cut(MIB);
      rig.schedule.failed();
      waits.push(rig.untilDue());
    }
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    rig.schedule.cut(MIB);
    rig.schedule.committed();
    expect(rig.untilDue()).toBe(5000);
  });
});

describe('the deadline', () => {
  test('is missed once by what is too old, and not any more when that is committed', () => {
    const rig = new Rig();
    rig.untilDue();
    rig.schedule.cut(MIB);
    expect(rig.schedule.figures).toMatchObject({ oldestMs: 5000, isMissed: false, misses: 0 });
    rig.nowMs += 24_000;
    expect(rig.schedule.figures).toMatchObject({ isMissed: false });
    rig.nowMs += 2000;
    expect(rig.schedule.figures).toMatchObject({ oldestMs: 31_000, isMissed: true, misses: 1 });
    rig.nowMs += 9000;
    rig.schedule.committed();
    expect(rig.schedule.figures).toMatchObject({ isMissed: false, misses: 1 });
    expect(rig.schedule.figures.oldestMs).toBeUndefined();
    expect(rig.schedule.figures.lastMissedAtMs).toBeDefined();
  });

  test('is not moved by a commit that fails', () => {
    const rig = new Rig();
    rig.untilDue();
    rig.schedule.cut(MIB);
    rig.schedule.look(SOME); // What was written since.
    rig.nowMs += 10_000;
    rig.schedule.failed();
    expect(rig.schedule.figures).toMatchObject({ oldestMs: 15_000, misses: 0 });
    rig.nowMs += 20_000;
    rig.schedule.look(SOME);
    expect(rig.schedule.figures).toMatchObject({ oldestMs: 35_000, isMissed: true, misses: 1 });
  });

  test('of a commit that ended late is missed even if nobody looked', () => {
    const rig = new Rig();
    rig.commit(MIB, 31_000);
    expect(rig.schedule.figures).toMatchObject({ isMissed: false, misses: 1 });
  });
});

describe('what may wait', () => {
  test('is what the disks take in a part of the deadline, once they are known', () => {
    const rig = new Rig();
    const assumed = rig.schedule.backlogBytesMax(0);
    expect(assumed).toBeGreaterThan(1024 * MIB);
    for (let commit = 0; commit < 20; commit++) rig.commit(100 * MIB, 10_000); // 10 MiB/s
    expect(rig.schedule.backlogBytesMax(0) / MIB).toBeGreaterThan(150);
    expect(rig.schedule.backlogBytesMax(0) / MIB).toBeLessThan(300);
  });

  test('becomes less while a commit is slow, and is never nothing', () => {
    const rig = new Rig();
    const before = rig.schedule.backlogBytesMax(0);
    rig.schedule.cut(256 * MIB);
    rig.nowMs += 2000;
    expect(rig.schedule.backlogBytesMax(MIB)).toBeLessThan(before);
    const slow = new Rig(5000, 1000);
    for (let commit = 0; commit < 40; commit++) slow.commit(10 * MIB, 100_000);
    expect(slow.schedule.backlogBytesMax(0)).toBe(16 * MIB);
  });

  test('is anything while commits fail', () => {
    const rig = new Rig();
    rig.schedule.cut(MIB);
    rig.schedule.failed();
    expect(rig.schedule.backlogBytesMax(0)).toBe(Number.POSITIVE_INFINITY);
  });
});
