import { describe, expect, it } from 'vitest';
import type { StatsReport } from '../../src/node/mod.ts';
import { formatLatency, plain } from './format.ts';
import { intervalBetween } from './stats-interval.ts';
import { statsLines } from './stats-lines.ts';

const NOW = new Date('2026-11-20T10:00:00Z');

function report(change: Partial<StatsReport> = {}): StatsReport {
  return {
    daemonPid: 7,
    uptimeMs: 60_000,
    operations: {
      READ: {
        count: 1000,
        bytes: 4096_000,
        errors: 0,
        totalMs: 100,
        latency: [
          [0.1, 990],
          [2, 10],
        ],
      },
      STATFS: { count: 1, bytes: 0, errors: 0, totalMs: 0.1, latency: [[0.1, 1]] },
    },
    cache: {
      hits: 999,
      misses: 1,
      deviceReads: 0,
      readBytes: 4096_000,
      writtenBytes: 0,
      fetches: 1,
      fetchedBytes: 4_194_304,
      passedOpens: 0,
      dirtyBytes: 0,
      cleanBytes: 4_194_304,
      limitBytes: 2 ** 30,
    },
    retained: {
      snapshots: 3,
      oldestCutMs: 1000,
      windowStart: 40,
      retainedChunks: 5,
      retainedBytes: 5000,
      garbageChunks: 2,
      garbageBytes: 200,
    },
    loop: {
      longestMs: 12.5,
      longestCause: 'cut',
      count: 1,
      byCause: { cut: { count: 1, long: 0, totalMs: 12.5, longestMs: 12.5 } },
    },
    commit: {
      commits: 1,
      failures: 0,
      files: 2,
      bytes: 4_194_304,
      lastMs: 220,
      lastCutMs: 12.5,
      epoch: 3,
      waitingOps: 0,
      waitingBytes: 0,
      isFailing: false,
      deadline: {
        deadlineMs: 30_000,
        oldestMs: undefined,
        isMissed: false,
        misses: 0,
        lastMissedAtMs: undefined,
      },
      waitingWriters: 0,
    },
    ...change,
  };
}

describe('intervalBetween()', () => {
  it('is all since the start for the first look and for another daemon', () => {
    const first = intervalBetween(undefined, report(), NOW);
    expect(first).toMatchObject({ time: '2026-11-20T10:00:00.000Z', seconds: 60 });
    expect(first.sinceStart).toBe(true);
    expect(first.operations.READ).toEqual({
      count: 1000,
      perSecond: 1000 / 60,
      bytes: 4096_000,
      errors: 0,
      p50Ms: 0.1,
      p99Ms: 0.1,
    });
    const other = intervalBetween(report({ daemonPid: 6 }), report(), NOW);
    expect(other).toEqual(first);
  });

  it('tells what was done between two looks, with the latencies of these alone', () => {
    const later = report({ uptimeMs: 62_000 });
    const read = later.operations.READ;
    if (read === undefined) throw new Error('no READ');
    later.operations = {
      ...later.operations,
      READ: {
        ...read,
        count: 1010,
        errors: 2,
        latency: [
          [0.1, 990],
          [2, 20],
        ],
      },
    };
    later.cache = { ...later.cache, hits: 1008, misses: 2 };
    const interval = intervalBetween(report(), later, NOW);
    expect(interval.sinceStart).toBe(false);
    expect(interval.operations.READ).toMatchObject({
      count: 10,
      perSecond: 5,
      p50Ms: 2,
      errors: 2,
    });
    expect(interval.operations.STATFS).toEqual({ count: 0, perSecond: 0, bytes: 0, errors: 0 });
    expect(interval.cache).toMatchObject({ hits: 9, misses: 1, cleanBytes: 4_194_304 });
    expect(interval.commit).toMatchObject({ commits: 0, epoch: 3, lastMs: 220 });
    expect(interval.loop).toEqual({ pauses: {}, longestMs: 12.5, longestCause: 'cut' });
  });
});

describe('statsLines()', () => {
  const options = { title: '/mnt', all: false };

  it('shows what was asked for, the most frequent first', () => {
    expect(statsLines(intervalBetween(undefined, report(), NOW), options, plain)).toEqual([
      '/mnt  10:00:00 UTC, 60 s since the daemon started',
      '  cache   1,000 reads, 99.9% hits, 4 MiB fetched; 0 bytes dirty, 4 MiB clean, limit 1 GiB',
      '  commit  epoch 3; 1 commit with 4 MiB; the last took 220 ms, its cut 12.5 ms; 0 changes waiting',
      '  loop    1 pause over 2 ms: cut 1; longest ever 12.5 ms (cut)',
      'OPERATION  COUNT  RATE/S     P50     P99   BYTES/S  ERRORS',
      'READ       1,000      17  100 us  100 us  66.7 KiB       -',
      'STATFS         1     0.0  100 us  100 us         -       -',
    ]);
  });

  it('shows other operations only when asked to', () => {
    const idle = intervalBetween(report(), report({ uptimeMs: 61_000 }), NOW);
    expect(statsLines(idle, options, plain).at(-1)).toBe('no requests');
    const all = statsLines(idle, { ...options, all: true }, plain);
    expect(all.slice(-2).map((line) => line.split(/\s+/)[0])).toEqual(['READ', 'STATFS']);
  });
});

describe('formatLatency()', () => {
  it('says short times in the unit a person would', () => {
    expect([0.0004, 0.85, 1.25, 12, 140.4, 4200].map(formatLatency)).toEqual([
      '0 us',
      '850 us',
      '1.3 ms',
      '12 ms',
      '140 ms',
      '4.2 s',
    ]);
  });
});
