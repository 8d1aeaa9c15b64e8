import type { PauseFigures } from '../base/pauses.ts';
import type { CommitTotals, DeadlineFigures } from '../commit/mod.ts';
import type { OperationCount } from '../fuse/mod.ts';
import type { LiveVolume } from './live-volume.ts';
import type { RetentionReport } from './volume-report.ts';

/** The cache of a mount. Sizes in bytes; what is counted is counted since the daemon started. */
export interface CacheFigures {
  /** Reads that reached the daemon and needed no fetch, and those that did. */
  hits: number;
  misses: number;
  /** Hits that waited for the cache device: the kernel did not have them in memory. */
  deviceReads: number;
  readBytes: number;
  writtenBytes: number;
  /** Chunks read from disks, and the bytes of them. */
  fetches: number;
  fetchedBytes: number;
  /** Opens of files that the kernel then reads from the cache without the daemon. */
  passedOpens: number;
  dirtyBytes: number;
  cleanBytes: number;
  limitBytes: number;
}

/** Commits since the daemon started, and what waits for the next one. */
export interface CommitFigures extends CommitTotals {
  epoch: number;
  waitingOps: number;
  waitingBytes: number;
  /** The last commit failed. */
  isFailing: boolean;
  deadline: DeadlineFigures;
  /** Writes that wait because disks are slower than they. */
  waitingWriters: number;
}

/** What `dfsctl stats` shows: all since the daemon started. */
export interface StatsReport {
  /** Tells one daemon's counts from those of the next. */
  daemonPid: number;
  uptimeMs: number;
  operations: Record<string, OperationCount>;
  cache: CacheFigures;
  loop: PauseFigures;
  commit: CommitFigures;
  /** Some seconds old. */
  retained: RetentionReport;
}

/** The counts of a volume that is mounted. */
export function liveStats(
  volume: LiveVolume,
  operations: Record<string, OperationCount>,
): StatsReport {
  const { cache, committer, meta, pauses } = volume;
  const waitingBytes = cache.dirtyBytes + cache.frozenBytes;
  return {
    daemonPid: process.pid,
    uptimeMs: Math.round(process.uptime() * 1000),
    operations,
    cache: {
      ...cache.counters,
      passedOpens: volume.fileSystem.opens.passedCount,
      dirtyBytes: waitingBytes,
      cleanBytes: Math.max(0, cache.cachedBytes - waitingBytes),
      limitBytes: cache.limitBytes,
    },
    loop: pauses.figures(),
    commit: {
      ...committer.totals,
      epoch: meta.committedEpoch,
      waitingOps: meta.pendingOps,
      waitingBytes,
      isFailing: committer.status.failure !== undefined,
      deadline: volume.deadline,
      waitingWriters: cache.backlog.waiting,
    },
    retained: volume.report.retained,
  };
}
