import { expect, test } from 'vitest';
import type { WorkFacts } from '../repair/mod.ts';
import { diskMetricsText } from './disk-metrics.ts';
import { metricsText } from './metrics.ts';
import type { StatsReport } from './stats.ts';
import type { DiskReport } from './volume-report.ts';

const STATS: StatsReport = {
  daemonPid: 1,
  uptimeMs: 1000,
  operations: {
    READ: {
      count: 12,
      bytes: 4096,
      errors: 1,
      totalMs: 8,
      latency: [
        [0.0009, 4],
        [0.3, 7],
        [200_000, 1],
      ],
    },
  },
  cache: {
    hits: 11,
    misses: 1,
    deviceReads: 0,
    readBytes: 4096,
    writtenBytes: 0,
    fetches: 1,
    fetchedBytes: 512,
    passedOpens: 0,
    dirtyBytes: 0,
    cleanBytes: 4096,
    limitBytes: 8192,
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
    longestMs: 9,
    longestCause: 'a "quoted\\" cause\n',
    count: 3,
    byCause: { 'a "quoted\\" cause\n': { count: 3, long: 0, totalMs: 20, longestMs: 9 } },
  },
  commit: {
    commits: 2,
    failures: 0,
    files: 2,
    bytes: 5,
    lastMs: 250,
    lastCutMs: 1,
    epoch: 2,
    waitingOps: 4,
    waitingBytes: 6,
    isFailing: true,
    deadline: {
      deadlineMs: 30_000,
      oldestMs: 31_500,
      isMissed: true,
      misses: 2,
      lastMissedAtMs: 1_700_000_000_000,
    },
    waitingWriters: 3,
  },
};

test('metricsText() is the text format of Prometheus, line by line', () => {
  const lines = metricsText(STATS, undefined).split('\n');
  expect(lines.pop()).toBe('');
  const name = '[a-z_]+';
  const label = `${name}="(?:[^"\\\\\\n]|\\\\["\\\\n])*"`;
  const sample = new RegExp(`^${name}(?:\\{${label}(?:,${label})*\\})? [0-9.e+-]+$`);
  for (const line of lines) expect(line).toMatch(line.startsWith('#') ? /^# (HELP|TYPE) / : sample);
  expect(lines).toContain('dfs_requests_total{operation="READ"} 12');
  expect(lines).toContain('dfs_cache_bytes{state="clean"} 4096');
  expect(lines).toContain('dfs_commit_failing 1');
  expect(lines).toContain('dfs_uncommitted_oldest_seconds 31.5');
  expect(lines).toContain('dfs_commit_deadline_missed 1');
  expect(lines).toContain('dfs_commit_deadline_misses_total 2');
  expect(lines).toContain('dfs_writers_waiting 3');
  expect(lines).toContain('dfs_loop_pauses_total{cause="a \\"quoted\\\\\\" cause\\n"} 3');
});

test('its histograms count up to their total', () => {
  const lines = metricsText(STATS, undefined).split('\n');
  const buckets = lines.filter((line) => line.startsWith('dfs_request_seconds_bucket'));
  const counts = buckets.map((line) => Number(line.split(' ')[1]));
  expect(counts).toEqual([...counts].sort((a, b) => a - b));
  expect(counts[0]).toBe(4);
  expect(buckets.at(-1)).toBe('dfs_request_seconds_bucket{operation="READ",le="+Inf"} 12');
  expect(lines).toContain('dfs_request_seconds_sum{operation="READ"} 0.008');
  expect(lines).toContain('dfs_request_seconds_count{operation="READ"} 12');
});

test('metricsText() has background work where there is some', () => {
  const work: WorkFacts = {
    state: 'working',
    kind: 'rebuild',
    done: 3,
    total: 10,
    bytes: 300,
    totalBytes: 1000,
    rate: 50,
    etaMs: 14_000,
    pausedBy: undefined,
    limit: undefined,
    problem: '',
    lastWalk: {
      mapVersion: 2,
      beganMs: 1,
      endedMs: 2,
      isCurrent: true,
      chunks: 20,
      degraded: 10,
      misplaced: 0,
      lost: 1,
      otherScheme: 0,
      waiting: 0,
    },
    scrub: {
      cursorShare: 0.25,
      startedMs: 1000,
      endsMs: 2000,
      isAsked: false,
      bytes: 9,
      bad: 2,
      lastFullMs: 1500,
      lastBad: 0,
    },
    totals: {
      bytes: { rebuild: 300, reencode: 0, rebalance: 7, garbage: 0 },
      failures: 1,
      forgotten: 4,
    },
  };
  const lines = metricsText(STATS, work).split('\n');
  for (const line of [
    'dfs_work_state{state="working"} 1',
    'dfs_work_state{state="idle"} 0',
    'dfs_work_chunks 10',
    'dfs_work_bytes_total{kind="rebalance"} 7',
    'dfs_chunks_found{condition="degraded"} 10',
    'dfs_chunks_found{condition="lost"} 1',
    'dfs_walk_is_current 1',
    'dfs_scrub_done_ratio 0.25',
    'dfs_scrub_last_full_timestamp_seconds 1.5',
  ]) {
    expect(lines).toContain(line);
  }
  expect(metricsText(STATS, undefined)).not.toContain('dfs_work');
});

test('diskMetricsText() has a sample for each disk that can be asked', () => {
  const disk = {
    id: 1,
    state: 'up',
    mapState: 'in',
    filledShare: 0.5,
    usedBytes: 7,
    badPieces: 0,
  } as DiskReport;
  const unknown = { filledShare: undefined, usedBytes: undefined, badPieces: undefined };
  const gone = { ...disk, id: 2, state: 'down', ...unknown } as DiskReport;
  const lines = diskMetricsText({ disks: [disk, gone], nearlyFull: true }).split('\n');
  expect(lines.filter((line) => line !== '' && !line.startsWith('#'))).toEqual([
    'dfs_volume_nearly_full 1',
    'dfs_disk_takes_pieces{disk="1"} 1',
    'dfs_disk_takes_pieces{disk="2"} 0',
    'dfs_disk_filled_ratio{disk="1"} 0.5',
    'dfs_disk_used_bytes{disk="1"} 7',
    'dfs_disk_bad_pieces{disk="1"} 0',
  ]);
});
