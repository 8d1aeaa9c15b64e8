import { join } from 'node:path';
import { assert, DfsError, messageOf } from '../base/errors.ts';
import type { DiskId, Epoch } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { volumeTag } from '../diskmap/mod.ts';
import { type CommittedMeta, DiskLog, LiveMeta, StateReader } from '../meta/mod.ts';
import { EpochLogs } from './epoch-logs.ts';
import { Snapshots } from './snapshots.ts';
import { diskPaths } from './volume-disk.ts';

export interface RehearsalOptions {
  volumeUuid: string;
  disks: { id: DiskId; path: string }[];
  /** An empty folder for the databases that are built; the caller removes it. */
  folder: string;
  /** The committed database of HOME, which must come out the same. */
  committedPath: string;
  log: Log;
  onProgress: (progress: RehearsalProgress) => void;
}

/** How much of the logs is carried out. */
export interface RehearsalProgress {
  bytesDone: number;
  bytesTotal: number;
}

/** What building the metadata from the disks came to; times in ms. */
export interface RehearsalReport {
  /** The epoch of the snapshot it began with, and the one it ended with. */
  snapshotEpoch: number;
  epoch: number;
  inodes: number;
  snapshotMs: number;
  replayMs: number;
  liveMs: number;
  /** In what the state is not the one in HOME; nothing, as it should be. */
  differences: string[];
}

/** While it reads, a volume in use may drop the snapshot and the logs it reads. */
const ATTEMPTS = 3;

/**
 * Does what a recovery does with the metadata, beside the volume, which may be in use: restores the
 * newest snapshot of the disks into a new database, carries out the logs behind it, makes the live
 * database, and compares the state with the one in HOME. Reads only. Throws what a recovery would.
 */
export async function rehearse(options: RehearsalOptions): Promise<RehearsalReport> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await rehearseOnce(options, join(options.folder, `attempt-${attempt}`));
    } catch (error) {
      const isOver = attempt === ATTEMPTS || !(error instanceof DfsError);
      if (isOver || !['IO', 'CORRUPT', 'UNAVAILABLE'].includes(error.code)) throw error;
      options.log('info', 'rehearsal begins anew', { message: messageOf(error) });
    }
  }
}

async function rehearseOnce(options: RehearsalOptions, prefix: string): Promise<RehearsalReport> {
  const { volumeUuid, disks, committedPath, log } = options;
  const tag = volumeTag(volumeUuid);
  const folders = disks.map(({ path }) => diskPaths(path).meta);
  const path = `${prefix}-committed.sqlite`;
  const clock = stopwatch();
  const committed = await Snapshots.rebuildCommitted({ path, tag, folders, log });
  try {
    const snapshotMs = clock();
    const snapshotEpoch = headOf(committed).epoch;
    await replayTo(committed, newestOf(committedPath, path), options);
    const replayMs = clock();
    const live = new LiveMeta(`${prefix}-meta.sqlite`);
    live.rebase(path, headOf(committed));
    await live.close();
    const liveMs = clock();
    const differences = await compare(committed, path, options);
    const { epoch } = headOf(committed);
    const { inodes } = committed.state.totals();
    return { snapshotEpoch, epoch, inodes, snapshotMs, replayMs, liveMs, differences };
  } finally {
    committed.close();
  }
}

/** Gives the ms since it was made, or last asked. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const before = last;
    last = performance.now();
    return Math.round(last - before);
  };
}

function headOf(committed: CommittedMeta): { epoch: Epoch; seq: number } {
  const head = committed.head();
  assert(head !== undefined, 'a restored database has a head');
  return head;
}

function newestOf(committedPath: string, path: string): Buffer {
  const reader = new StateReader(committedPath, path);
  try {
    return recordOf(reader);
  } finally {
    reader.close();
  }
}

function recordOf(reader: StateReader): Buffer {
  const head = reader.head();
  if (head !== undefined) return head.recordId;
  throw new DfsError('CORRUPT', 'Cannot rehearse a recovery: HOME knows no epoch');
}

/** What the volume committed meanwhile is carried out as well: both then are at one epoch. */
async function compare(
  committed: CommittedMeta,
  path: string,
  options: RehearsalOptions,
): Promise<string[]> {
  const reader = new StateReader(options.committedPath, path);
  try {
    await replayTo(committed, recordOf(reader), { ...options, onProgress: () => undefined });
    return reader.differences();
  } finally {
    reader.close();
  }
}

/** The logs are opened anew each time: they grow, and files of them are dropped. */
async function replayTo(
  committed: CommittedMeta,
  recordId: Buffer,
  { volumeUuid, disks, log, onProgress }: RehearsalOptions,
): Promise<void> {
  const tag = volumeTag(volumeUuid);
  const opened = new Map<DiskId, DiskLog>();
  const logs = new EpochLogs(opened, log);
  try {
    for (const { id, path } of disks) {
      const folder = diskPaths(path).meta;
      opened.set(id, await DiskLog.open({ folder, volumeTag: tag, readOnly: true }));
    }
    await logs.replayTo(committed, recordId, onProgress);
  } finally {
    await logs.close();
  }
}
