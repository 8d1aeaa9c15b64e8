import type { Epoch } from '../base/ids.ts';
import type { LiveMeta } from '../meta/mod.ts';
import type { CachedFile } from './cached-file.ts';

/**
 * What `file` held when `epoch` was open is on the device. While the disks have nothing of a file,
 * and no commit is about to change that, its cache file cannot be older than what they have: then
 * no mark has to be waited for.
 */
export function noteSynced(meta: LiveMeta, file: CachedFile, epoch: Epoch): void {
  if (file.deleted || file.syncedEpoch === epoch) return;
  const needsMark = file.frozen !== undefined || meta.storedBytes(file.ino) > 0;
  if (needsMark) meta.markSynced(file.ino, epoch);
  file.syncedEpoch = epoch;
  file.isSyncMarked = needsMark;
}

/** Chunks of another file are about to become part of `file`: now a mark is needed. */
export function noteShared(meta: LiveMeta, file: CachedFile): void {
  if (file.syncedEpoch === 0 || file.isSyncMarked) return;
  meta.markSynced(file.ino, file.syncedEpoch);
  file.isSyncMarked = true;
}
