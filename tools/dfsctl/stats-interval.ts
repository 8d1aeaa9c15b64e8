import { latenciesSince, percentileMs } from '../../src/base/latencies.ts';
import type { CacheFigures, CommitFigures, StatsReport } from '../../src/node/mod.ts';

/** One kind of request within an interval. */
export interface OperationRate {
  count: number;
  perSecond: number;
  bytes: number;
  errors: number;
  /** Half of the answers, and 99 of 100, took no longer; left out when there was none. */
  p50Ms?: number;
  p99Ms?: number;
}

/** What a volume did between two looks at it, or since its daemon started. */
export interface StatsInterval {
  /** When it ended, as ISO 8601. */
  time: string;
  seconds: number;
  /** True for all since the daemon started: the first interval, and the first of a new daemon. */
  sinceStart: boolean;
  operations: Record<string, OperationRate>;
  /** What is counted, within the interval; sizes as they are. */
  cache: CacheFigures;
  commit: CommitFigures;
  loop: {
    /** Times that one thing kept the event loop for more than 2 ms, by cause. */
    pauses: Record<string, number>;
    /** The longest since the daemon started, and its cause. */
    longestMs: number;
    longestCause: string;
  };
}

/** The interval from `earlier` to `later`, two reports of one volume. */
export function intervalBetween(
  earlier: StatsReport | undefined,
  later: StatsReport,
  now: Date = new Date(),
): StatsInterval {
  // Another daemon has counted from zero.
  const before = earlier?.daemonPid === later.daemonPid ? earlier : undefined;
  const seconds = Math.max(1, later.uptimeMs - (before?.uptimeMs ?? 0)) / 1000;
  const operations = Object.entries(later.operations).map(
    ([name, counts]) => [name, rateOf(counts, before?.operations[name], seconds)] as const,
  );
  const pauses = Object.entries(later.loop.byCause).map(
    ([cause, { count }]) => [cause, count - (before?.loop.byCause[cause]?.count ?? 0)] as const,
  );
  return {
    time: now.toISOString(),
    seconds,
    sinceStart: before === undefined,
    operations: Object.fromEntries(operations),
    cache: since(later.cache, before?.cache, [
      'hits',
      'misses',
      'deviceReads',
      'readBytes',
      'writtenBytes',
      'fetches',
      'fetchedBytes',
    ]),
    commit: since(later.commit, before?.commit, ['commits', 'failures', 'files', 'bytes']),
    loop: {
      pauses: Object.fromEntries(pauses.filter(([, count]) => count > 0)),
      longestMs: later.loop.longestMs,
      longestCause: later.loop.longestCause,
    },
  };
}

type Counts = StatsReport['operations'][string];

function rateOf(later: Counts, earlier: Counts | undefined, seconds: number): OperationRate {
  const latency = latenciesSince(later.latency, earlier?.latency ?? []);
  const count = later.count - (earlier?.count ?? 0);
  const p50Ms = percentileMs(latency, 0.5);
  const p99Ms = percentileMs(latency, 0.99);
  return {
    count,
    perSecond: count / seconds,
    bytes: later.bytes - (earlier?.bytes ?? 0),
    errors: later.errors - (earlier?.errors ?? 0),
    ...(p50Ms === undefined ? {} : { p50Ms }),
    ...(p99Ms === undefined ? {} : { p99Ms }),
  };
}

/** `later` with the fields that only grow less what they were. */
function since<T extends object>(later: T, earlier: T | undefined, counted: (keyof T)[]): T {
  const result = { ...later };
  for (const field of counted) {
    const value = Number(later[field]) - Number(earlier?.[field] ?? 0);
    Object.assign(result, { [field]: value });
  }
  return result;
}
