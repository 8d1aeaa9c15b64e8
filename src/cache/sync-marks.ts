import type { Epoch } from '../base/ids.ts';
import type { LiveMeta } from '../meta/mod.ts';
import type { CachedFile } from './cached-file.ts';

/**
 * What `file` held when `epoch` was open is on the device. While no commit has the inode its cache
 * file cannot be older than what is committed: then no mark has to be waited for.
 */
export function noteSynced(meta: LiveMeta, file: CachedFile, epoch: Epoch): void {
  if (file.deleted || file.syncedEpoch === epoch) return;
  if (!meta.isNew(file.ino)) meta.markSynced(file.ino, epoch);
  file.syncedEpoch = epoch;
}
