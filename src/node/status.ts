import type { CommitProgress, DeadlineFigures } from '../commit/mod.ts';
import type { Config } from '../home/mod.ts';
import type { WorkFacts } from '../repair/mod.ts';
import type { LiveVolume } from './live-volume.ts';
import type { DiskReport, RetentionReport, VolumeReport } from './volume-report.ts';

/** What `dfsctl status` shows. Sizes in bytes, times in ms; of plain content. */
export interface StatusReport {
  home: string;
  volumeUuid: string;
  mountPoint: string | undefined;
  mode: 'weak' | 'strong';
  readOnly: boolean;
  /** Version of the diskmap. */
  mapVersion: number;
  bucketBytes: number;
  scheme: string;
  survives: string;
  /** What fsync means here, in words. */
  fsyncMeans: string;
  /** How many folders and files have a mode of their own; of a mounted volume. */
  marked?: { strong: number; weak: number };
  /**
   * `checking`: nothing is known to be wrong, but not all is known. `unchecked`: so it stays, because
   * nobody looks.
   */
  health: 'healthy' | 'checking' | 'unchecked' | 'degraded' | 'failing';
  /** New data finds no room with its redundancy, or soon will not. */
  nearlyFull: boolean;
  problems: string[];
  capacityBytes: number;
  usedBytes: number;
  freeBytes: number;
  /** Bytes files refer to / bytes stored; 1 when nothing is stored. */
  dedupRatio: number;
  inodes: number;
  chunks: number;
  dirtyBytes: number;
  uncommittedOps: number;
  oldestUncommittedMs: number | undefined;
  epoch: number;
  epochAgeMs: number;
  /** How far the running commit is. */
  commitRunning: CommitProgress | undefined;
  /** How long changes wait for a commit, and may; of a mounted volume. */
  deadline?: DeadlineFigures;
  /** Writes that wait because disks are slower than they. */
  waitingWriters?: number;
  cacheBytes: number;
  cacheLimitBytes: number;
  degradedReads: number;
  /** What is kept of the past, and what of it is garbage; some seconds old. */
  retained: RetentionReport;
  disks: DiskReport[];
  /** Background work; undefined where nobody works: read-only, or not mounted. */
  work: WorkFacts | undefined;
}

const LEFT =
  'HOME holds changes that are not committed; mount the volume, writable, to commit them';

/** The status of a volume that is mounted. */
export async function liveStatus(
  volume: LiveVolume,
  place: { home: string; mountPoint: string | undefined },
): Promise<StatusReport> {
  const report = await volume.refresh();
  const { cache, meta, committer } = volume;
  const { running, failure } = committer.status;
  const { deadline } = volume;
  const alarms = alarmsOf(failure, deadline);
  const left = volume.readOnly && !committer.isClean ? [LEFT] : [];
  return {
    ...committedStatus(report),
    ...place,
    mode: volume.mode,
    readOnly: volume.readOnly,
    fsyncMeans: fsyncWords(volume.mode, report),
    marked: volume.fileSystem.modes.counts,
    health: healthOf(report, alarms),
    problems: [...report.problems, ...left, ...alarms],
    dirtyBytes: cache.dirtyBytes + cache.frozenBytes,
    uncommittedOps: meta.pendingOps,
    oldestUncommittedMs: deadline.oldestMs,
    commitRunning: running && { ...running },
    deadline,
    waitingWriters: cache.backlog.waiting,
    cacheBytes: cache.cachedBytes,
    cacheLimitBytes: cache.limitBytes,
  };
}

/** Healthy is only what was looked at, all of it, since the hardware last changed. */
function healthOf({ problems, work }: VolumeReport, alarms: string[]): StatusReport['health'] {
  if (alarms.length > 0 || (work?.lastWalk?.lost ?? 0) > 0) return 'failing';
  if (problems.length > 0) return 'degraded';
  if (work === undefined) return 'unchecked';
  const { isCurrent = false, misplaced = 0, otherScheme = 0 } = work.lastWalk ?? {};
  return isCurrent && misplaced === 0 && otherScheme === 0 ? 'healthy' : 'checking';
}

/** What keeps changes from the disks. */
function alarmsOf(failure: string | undefined, deadline: DeadlineFigures): string[] {
  const alarms = failure === undefined ? [] : [`the last commit failed: ${failure}`];
  const { isMissed, oldestMs = 0, deadlineMs } = deadline;
  if (isMissed) {
    const seconds = Math.floor(oldestMs / 1000);
    alarms.push(
      `changes wait for a commit since ${seconds} s, longer than the deadline of ${deadlineMs / 1000} s`,
    );
  }
  return alarms;
}

/** The status of a volume that is not mounted: what the disks and HOME say. */
export function offlineStatus(
  report: VolumeReport,
  place: { home: string; config: Config; uncommittedOps: number; dirtyFiles: number },
): StatusReport {
  const { home, config, uncommittedOps, dirtyFiles } = place;
  const waits = uncommittedOps > 0 || dirtyFiles > 0;
  const problems = waits ? [...report.problems, LEFT] : report.problems;
  return {
    ...committedStatus(report),
    home,
    mountPoint: undefined,
    mode: config.mode,
    readOnly: false,
    fsyncMeans: fsyncWords(config.mode, report),
    health: healthOf(report, []),
    problems,
    dirtyBytes: 0,
    uncommittedOps,
    oldestUncommittedMs: undefined,
    commitRunning: undefined,
    cacheBytes: 0,
    cacheLimitBytes: config.cacheBytes,
  };
}

function committedStatus(report: VolumeReport) {
  const { storedBytes, referencedBytes } = report;
  return {
    volumeUuid: report.volumeUuid,
    mapVersion: report.mapVersion,
    bucketBytes: report.bucketBytes,
    scheme: report.scheme,
    survives: report.survives,
    capacityBytes: report.capacityBytes,
    usedBytes: storedBytes,
    freeBytes: report.freeBytes,
    nearlyFull: report.nearlyFull,
    dedupRatio: storedBytes === 0 ? 1 : referencedBytes / storedBytes,
    inodes: report.inodes,
    chunks: report.chunks,
    epoch: report.epoch,
    epochAgeMs: Date.now() - report.epochCutMs,
    degradedReads: report.degradedReads,
    retained: report.retained,
    disks: report.disks,
    work: report.work,
  };
}

function fsyncWords(mode: 'weak' | 'strong', report: VolumeReport): string {
  if (mode === 'weak') return "fsync here means: on this machine's cache device";
  return `fsync here means: on ${report.disks.length} disks, ${report.survives}`;
}
