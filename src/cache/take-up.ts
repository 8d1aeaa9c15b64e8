import { fchmodSync, ftruncateSync, statSync, unlinkSync } from 'node:fs';
import type { Ino } from '../base/ids.ts';
import { blocksOf, type Inode, type LiveMeta } from '../meta/mod.ts';
import type { CacheFiles } from './cache-files.ts';
import { CACHE_FILE_MODE } from './descriptors.ts';

/** Permissions of a new cache file until it is as long as its inode. */
export const MODE_WITHOUT_LENGTH = 0o700;
/** A write gives row and cache file times this close; farther apart, the file was written later. */
const CLOCKS_APART_MS = 20;

/**
 * Takes up a dirty file of an earlier process: its cache file is the truth about size and content.
 * All that is allocated counts as dirty, which is more than needed: deduplication finds what is
 * stored already. False when it has nothing.
 */
export function takeUp(
  files: CacheFiles,
  meta: LiveMeta,
  { ino, isSameBoot }: { ino: Ino; isSameBoot: boolean },
): boolean {
  const inode = meta.inode(ino);
  const path = files.layout.file(ino);
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return false;
  // No inode: the power went before the removal was on the device; what else went may let the next
  // inode have its number. An older file: what was not synced since the last commit is lost, what
  // is committed must not be.
  if (inode === undefined || (!isSameBoot && meta.isCacheOlder(ino))) {
    unlinkSync(path);
    return false;
  }
  const file = files.adopt(inode);
  followTime(inode, stat.mtimeNs);
  const sizeBytes = Number(stat.size);
  if (sizeBytes >= inode.sizeBytes) inode.sizeBytes = sizeBytes;
  // A truncation that the metadata does not know of is carried out, as extents behind the new end
  // would come back when the file grows. But a file that was just made may only not have its length
  // yet, and what the inode has must not go.
  else if ((Number(stat.mode) & 0o777) !== MODE_WITHOUT_LENGTH) truncateRow(meta, inode, sizeBytes);
  else {
    const fd = files.existing(file);
    if (fd !== undefined) giveLength(fd, inode.sizeBytes);
    files.restoreMtime(file);
  }
  inode.blocks = blocksOf(inode.sizeBytes);
  files.noteGrown(file);
  for (const { start, end } of file.present) files.addDirty(file, start, end);
  return true;
}

/** The inode's times follow those of the cache file, unless both tell of the same write. */
function followTime(inode: Inode, mtimeNs: bigint): void {
  const rowMs = inode.mtimeSec * 1000 + inode.mtimeNsec / 1e6;
  const fileMs = Number(mtimeNs) / 1e6;
  if (Math.abs(rowMs - fileMs) <= CLOCKS_APART_MS) return;
  const sec = Math.floor(fileMs / 1000);
  inode.mtimeSec = sec;
  inode.mtimeNsec = Number(mtimeNs - BigInt(sec) * 1_000_000_000n);
  [inode.ctimeSec, inode.ctimeNsec] = [inode.mtimeSec, inode.mtimeNsec];
}

/** A truncation that a cache file went through becomes the metadata's. */
export function truncateRow(meta: LiveMeta, inode: Inode, sizeBytes: number): void {
  const time = { sec: inode.mtimeSec, nsec: inode.mtimeNsec };
  meta.run([{ kind: 'truncate', ino: inode.ino, sizeBytes, time }]);
}

/** A file that was made is as long as its inode, and says so. */
export function giveLength(fd: number, sizeBytes: number): void {
  ftruncateSync(fd, sizeBytes);
  fchmodSync(fd, CACHE_FILE_MODE);
}
