import { setImmediate as nextTurn } from 'node:timers/promises';
import { DfsError } from '../base/errors.ts';
import { type Ino, ROOT_INO } from '../base/ids.ts';
import type { FileCache } from '../cache/mod.ts';
import { entryBatches, isFolder, isRegular, type LiveMeta } from '../meta/mod.ts';

export interface CacheDropOptions {
  meta: LiveMeta;
  cache: FileCache;
  /** Makes the kernel forget the pages of an inode; dirty ones are written first. */
  invalidate: ((ino: Ino) => Promise<unknown>) | undefined;
}

/** What was taken out of the cache. */
export interface CacheDropReport {
  /** Files that lost blocks. */
  files: number;
  freedBytes: number;
  /** Bytes the cache still takes, of all files: above all what no commit has stored yet. */
  cachedBytes: number;
}

const LIST_BATCH = 1000;
const FILES_A_TURN = 200;

/**
 * Takes the clean blocks of a file, or of all files in a folder, out of the cache, and their pages
 * out of the kernel: the next reader gets the bytes from the disks. Nothing is committed for it.
 */
export async function dropFromCache(ino: Ino, options: CacheDropOptions): Promise<CacheDropReport> {
  const { meta, cache, invalidate } = options;
  const report = { files: 0, freedBytes: 0, cachedBytes: 0 };
  let visited = 0;
  for (const file of filesOf(ino, options)) {
    const freed = await cache.evict(file);
    if (freed > 0) report.files++;
    report.freedBytes += freed;
    if (meta.inode(file) !== undefined) await invalidate?.(file);
    if (++visited % FILES_A_TURN === 0) await nextTurn();
  }
  report.cachedBytes = cache.cachedBytes;
  return report;
}

function* filesOf(ino: Ino, { meta, cache }: CacheDropOptions): Generator<Ino> {
  const inode = meta.inode(ino);
  if (inode === undefined) {
    throw new DfsError('NOT_FOUND', `Cannot drop inode ${ino} from the cache: it does not exist`);
  }
  if (isRegular(inode)) yield ino;
  if (!isFolder(inode)) return;
  yield* filesBelow(ino, meta);
  // The root stands for the whole volume, with files that are open and have no name any more.
  if (ino === ROOT_INO) yield* cache.cachedInodes();
}

/** Regular files in a folder and all folders below it, as they are when they are come to. */
function* filesBelow(root: Ino, meta: LiveMeta): Generator<Ino> {
  const folders = [root];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const batch of entryBatches(meta.state, folder, LIST_BATCH)) {
      for (const [, , entry] of batch) {
        const inode = meta.inode(entry);
        if (inode === undefined) continue;
        if (isFolder(inode)) folders.push(entry);
        else if (isRegular(inode)) yield entry;
      }
    }
  }
}
