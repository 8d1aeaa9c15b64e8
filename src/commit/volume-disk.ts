import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { DfsError, messageOf } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import { BucketDisk, type BucketDiskOptions } from '../bucket/mod.ts';
import { type DiskEntry, volumeTag } from '../diskmap/mod.ts';
import { DiskLog } from '../meta/mod.ts';
import type { HasSlots, PieceDisk } from '../store/mod.ts';
import { readIdentityOf, restoreIdentity } from './disk-notes.ts';

/** The folder on a disk that is ours; what else is on the disk is not touched. */
const DISK_FOLDER = 'dfs';

/** Where things are on the disk at `path`. */
export function diskPaths(path: string): {
  root: string;
  identity: string;
  diskmap: string;
  meta: string;
} {
  const root = join(path, DISK_FOLDER);
  return {
    root,
    identity: join(root, 'identity'),
    diskmap: join(root, 'diskmap'),
    meta: join(root, 'meta'),
  };
}

/** Opens the buckets of a disk, on whatever thread. */
export type OpenBuckets = (options: BucketDiskOptions) => Promise<PieceDisk & HasSlots>;

/** Opens them on the caller's thread. */
export const openBucketsHere: OpenBuckets = (options) => BucketDisk.open(options);

/** A disk of the map: open, or the reason why not. */
export interface VolumeDisk {
  readonly entry: DiskEntry;
  readonly path: string | undefined;
  readonly buckets: (PieceDisk & HasSlots) | undefined;
  readonly log: DiskLog | undefined;
  readonly problem: string | undefined;
}

/** Throws NOT_FOUND or FOREIGN unless the folder at `path` is the disk `diskId` of the volume. */
export async function checkIdentity(
  path: string,
  volumeUuid: string,
  diskId: DiskId,
): Promise<void> {
  const files = diskPaths(path);
  const { root, identity: identityPath } = files;
  try {
    await access(root);
  } catch (error) {
    throw new DfsError('NOT_FOUND', `Cannot use disk ${diskId}: ${root} is not there`, {
      cause: error,
    });
  }
  const identity = await readIdentityOf(files);
  if (identity === undefined) {
    throw new DfsError('NOT_FOUND', `Cannot use disk ${diskId}: ${identityPath} is not there`);
  }
  if (identity.volumeUuid !== volumeUuid || identity.diskId !== diskId) {
    const found = `disk ${identity.diskId} of volume ${identity.volumeUuid}`;
    throw new DfsError('FOREIGN', `Cannot use disk ${diskId}: ${path} holds ${found}`);
  }
}

/** The log of a disk for who only reads it, also while somebody writes it. */
export async function openReadOnlyLog(
  path: string,
  volumeUuid: string,
  diskId: DiskId,
): Promise<DiskLog> {
  await checkIdentity(path, volumeUuid, diskId);
  const { meta } = diskPaths(path);
  return DiskLog.open({ folder: meta, volumeTag: volumeTag(volumeUuid), readOnly: true });
}

/**
 * Opens one disk. Whatever is wrong with it is its `problem` and no reason to fail: the others can
 * do. But a newer format is an error, because going on could do harm.
 */
export async function openVolumeDisk(options: {
  entry: DiskEntry;
  path: string | undefined;
  volumeUuid: string;
  readOnly: boolean;
  openBuckets?: OpenBuckets | undefined;
}): Promise<VolumeDisk> {
  const { entry, path, volumeUuid, readOnly } = options;
  const { openBuckets = openBucketsHere } = options;
  const absent = (problem: string): VolumeDisk => ({
    entry,
    path,
    buckets: undefined,
    log: undefined,
    problem,
  });
  if (path === undefined) return absent('no folder was given for it');
  const tag = volumeTag(volumeUuid);
  const { root, meta } = diskPaths(path);
  let buckets: VolumeDisk['buckets'];
  try {
    await checkIdentity(path, volumeUuid, entry.id);
    if (!readOnly) await restoreIdentity(diskPaths(path));
    buckets = await openBuckets({ folder: root, volumeTag: tag, diskId: entry.id, readOnly });
    const log = await DiskLog.open({ folder: meta, volumeTag: tag, readOnly });
    return { entry, path, buckets, log, problem: undefined };
  } catch (error) {
    await buckets?.close();
    if (error instanceof DfsError && ['NEWER_FORMAT', 'BUSY'].includes(error.code)) throw error;
    return absent(messageOf(error));
  }
}
