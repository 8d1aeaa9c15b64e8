import type { LatencyBucket } from '../base/latencies.ts';
import type { WorkFacts } from '../repair/mod.ts';
import { family, type Labels, type Sample } from './metric-family.ts';
import type { CommitFigures, StatsReport } from './stats.ts';
import { workFamilies } from './work-metrics.ts';

/** Upper bounds of the histograms in ms: powers of four from a microsecond, which are bucket ends. */
const BOUNDS_MS: number[] = Array.from({ length: 13 }, (_, index) => 4 ** index / 1000);

/**
 * The counts as Prometheus reads them: text format 0.0.4. Times are seconds there, and counters
 * begin anew with a new daemon, which Prometheus expects.
 */
export function metricsText(stats: StatsReport, work: WorkFacts | undefined): string {
  const { cache, commit, loop } = stats;
  const operations = Object.entries(stats.operations);
  const each = (field: 'count' | 'bytes' | 'errors'): Sample[] =>
    operations.map(([operation, counts]) => [{ operation }, counts[field]]);
  const causes = Object.entries(loop.byCause);
  const one = (value: number): Sample[] => [[{}, value]];
  return [
    family('requests_total', 'counter', 'Requests of the kernel.', each('count')),
    family('request_errors_total', 'counter', 'Requests answered with an errno.', each('errors')),
    family('request_bytes_total', 'counter', 'Bytes read or written.', each('bytes')),
    family(
      'request_seconds',
      'histogram',
      'From reading a request to its answer.',
      operations.flatMap(([operation, { latency, totalMs }]) =>
        histogram({ operation }, latency, totalMs),
      ),
    ),
    family('cache_hits_total', 'counter', 'Reads served without a fetch.', one(cache.hits)),
    family('cache_misses_total', 'counter', 'Reads that waited for a fetch.', one(cache.misses)),
    family(
      'cache_device_reads_total',
      'counter',
      'Hits that waited for the cache device.',
      one(cache.deviceReads),
    ),
    family('cache_fetched_bytes_total', 'counter', 'Read from disks.', one(cache.fetchedBytes)),
    family('cache_bytes', 'gauge', 'Device space the cache takes.', [
      [{ state: 'dirty' }, cache.dirtyBytes],
      [{ state: 'clean' }, cache.cleanBytes],
    ]),
    family('cache_limit_bytes', 'gauge', 'What it may take.', one(cache.limitBytes)),
    family(
      'loop_pauses_total',
      'counter',
      'Times that one thing kept the event loop for more than 2 ms.',
      causes.map(([cause, { count }]) => [{ cause }, count]),
    ),
    family(
      'loop_pause_longest_seconds',
      'gauge',
      'The longest of them.',
      causes.map(([cause, { longestMs }]) => [{ cause }, longestMs / 1000]),
    ),
    ...deadlineFamilies(commit),
    family('commits_total', 'counter', 'Commits that succeeded.', one(commit.commits)),
    family('commit_failures_total', 'counter', 'Commits that failed.', one(commit.failures)),
    family('commit_bytes_total', 'counter', 'Dirty bytes committed.', one(commit.bytes)),
    family('commit_last_seconds', 'gauge', 'Time of the last commit.', one(commit.lastMs / 1000)),
    family('committed_epoch', 'gauge', 'The newest committed epoch.', one(commit.epoch)),
    family('uncommitted_operations', 'gauge', 'Changes in no epoch.', one(commit.waitingOps)),
    family('uncommitted_bytes', 'gauge', 'Dirty bytes in no epoch.', one(commit.waitingBytes)),
    ...workFamilies(work),
    ...retentionFamilies(stats.retained),
  ].join('');
}

/** What is kept of the past. */
function retentionFamilies(retained: StatsReport['retained']): string[] {
  const { retainedChunks, retainedBytes, garbageChunks, garbageBytes, snapshots } = retained;
  const two = (kept: number, garbage: number): Sample[] => [
    [{ state: 'retained' }, kept],
    [{ state: 'garbage' }, garbage],
  ];
  return [
    family('dead_chunks', 'gauge', 'Chunks no file has.', two(retainedChunks, garbageChunks)),
    family('dead_bytes', 'gauge', 'Their content.', two(retainedBytes, garbageBytes)),
    family('snapshots', 'gauge', 'Snapshots that are kept.', [[{}, snapshots]]),
  ];
}

/** How long changes wait for a commit, and what keeps them from it. */
function deadlineFamilies({ deadline, isFailing, waitingWriters }: CommitFigures): string[] {
  const { deadlineMs, oldestMs = 0, isMissed, misses } = deadline;
  const one = (value: number): Sample[] => [[{}, value]];
  return [
    family('commit_failing', 'gauge', 'The last commit failed.', one(Number(isFailing))),
    family(
      'uncommitted_oldest_seconds',
      'gauge',
      'Age of the oldest change.',
      one(oldestMs / 1000),
    ),
    family('commit_deadline_seconds', 'gauge', 'How old it may become.', one(deadlineMs / 1000)),
    family('commit_deadline_missed', 'gauge', 'It is older.', one(Number(isMissed))),
    family('commit_deadline_misses_total', 'counter', 'Times that it was.', one(misses)),
    family('writers_waiting', 'gauge', 'Writes that wait for commits.', one(waitingWriters)),
  ];
}

function histogram(labels: Labels, latency: LatencyBucket[], totalMs: number): Sample[] {
  const total = latency.reduce((sum, [, count]) => sum + count, 0);
  const samples = BOUNDS_MS.map((boundMs): Sample => {
    const below = latency.filter(([upTo]) => upTo <= boundMs);
    const count = below.reduce((sum, [, of]) => sum + of, 0);
    return [{ ...labels, le: String(boundMs / 1000), __suffix: '_bucket' }, count];
  });
  return [
    ...samples,
    [{ ...labels, le: '+Inf', __suffix: '_bucket' }, total],
    [{ ...labels, __suffix: '_sum' }, totalMs / 1000],
    [{ ...labels, __suffix: '_count' }, total],
  ];
}
