import { DfsError } from '../base/errors.ts';
import type { DiskEntry } from '../diskmap/mod.ts';
import type { Head } from '../meta/mod.ts';
import type { ChunkStore } from '../store/mod.ts';
import type { EpochLogs } from './epoch-logs.ts';
import type { Snapshots } from './snapshots.ts';
import { type OpenBuckets, openVolumeDisk, type VolumeDisk } from './volume-disk.ts';

/** The open volume that a disk is brought into. */
export interface BringInParts {
  volumeUuid: string;
  openBuckets?: OpenBuckets | undefined;
  chunks: Pick<ChunkStore, 'attach' | 'release'>;
  logs: EpochLogs;
  snapshots: Pick<Snapshots, 'giveTo'>;
  /** The newest published epoch. */
  head: () => Head;
  /** The newest epoch this volume has heard of or tried to publish. */
  newestEpoch: () => number;
  /** Resolves when no record is being written that was begun before. */
  idle: () => Promise<void>;
}

/**
 * Opens a disk that is new or works again, gives it the metadata it lacks and takes it into service:
 * first its log, which takes records at once and counts when it leads on from a snapshot, then its
 * buckets. Throws when it cannot be used, and then it is out of service as before.
 */
export async function bringIn(
  parts: BringInParts,
  disk: { entry: DiskEntry; path: string },
): Promise<VolumeDisk> {
  const { chunks, logs, snapshots } = parts;
  const { entry, path } = disk;
  const { id } = entry;
  // What is open of it is of the time before: the folder cannot be opened twice.
  await chunks.release(id);
  await logs.drop(id);
  const { volumeUuid, openBuckets } = parts;
  const opened = await openVolumeDisk({ entry, path, volumeUuid, readOnly: false, openBuckets });
  const { buckets, log } = opened;
  if (buckets === undefined || log === undefined) {
    throw new DfsError('UNAVAILABLE', opened.problem ?? `Cannot use disk ${id}`);
  }
  try {
    const found = log.head();
    if ((found?.epoch ?? 0) > parts.newestEpoch()) {
      const state = `it has epoch ${found?.epoch}, the volume is at ${parts.head().epoch}`;
      const hint = 'if it was used with another HOME, recover from it there';
      throw new DfsError('FOREIGN', `Cannot use disk ${id}: ${state}; ${hint}`);
    }
  } catch (error) {
    await Promise.allSettled([buckets.close(), log.close()]);
    throw error;
  }
  logs.add(id, log);
  try {
    // Records begun before are not in its log: the snapshot has to have them.
    await parts.idle();
    await snapshots.giveTo(id, log);
    logs.caughtUp(id);
    await chunks.attach(id, buckets);
  } catch (error) {
    await logs.drop(id);
    await buckets.close().catch(() => undefined);
    throw error;
  }
  return opened;
}
