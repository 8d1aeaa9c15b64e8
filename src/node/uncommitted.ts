import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type Ino, ROOT_INO } from '../base/ids.ts';
import { cacheFile } from '../cache/mod.ts';
import { homePaths } from '../home/mod.ts';
import { folderOf, type LiveMeta } from '../meta/mod.ts';
import type { LiveVolume } from './live-volume.ts';

/** What only HOME has: what is lost with it. */
export interface Uncommitted {
  /** Files with bytes that no commit has. */
  files: number;
  bytes: number;
  /** Changes of metadata that no commit has. */
  operations: number;
  /** For how long the oldest of it waits; undefined if nothing does, or nobody knows. */
  oldestMs: number | undefined;
  /** Some of the files. */
  paths: string[];
}

const PATHS_MAX = 5;
const BLOCK_BYTES = 512;

/** The same of a volume that is being served. */
export function uncommittedOf({ meta, cache, committer, deadline }: LiveVolume): Uncommitted {
  const operations = meta.pendingOps;
  const bytes = cache.dirtyBytes + cache.frozenBytes;
  if (committer.isClean) {
    return { files: 0, bytes, operations, oldestMs: undefined, paths: [] };
  }
  const inos = meta.dirtyInodes().map(({ ino }) => ino);
  const paths = inos.slice(0, PATHS_MAX).map((ino) => pathOf(meta, ino));
  return { files: inos.length, bytes, operations, oldestMs: deadline.oldestMs, paths };
}

/** The same of a HOME that nobody has: all that is in the cache files of dirty inodes. */
export function uncommittedIn(home: string, meta: LiveMeta): Uncommitted {
  const inos = meta.dirtyInodes().map(({ ino }) => ino);
  const paths = inos.slice(0, PATHS_MAX).map((ino) => pathOf(meta, ino));
  const { cache } = homePaths(home);
  const bytes = inos.reduce((sum, ino) => sum + allocatedBytes(join(cache, cacheFile(ino))), 0);
  return { files: inos.length, bytes, operations: meta.pendingOps, oldestMs: undefined, paths };
}

function allocatedBytes(path: string): number {
  return (statSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * BLOCK_BYTES;
}

/** One path of an inode, by the folders that inodes know of. */
function pathOf(meta: LiveMeta, ino: Ino): string {
  const parts: string[] = [];
  for (let at = ino; at !== ROOT_INO; ) {
    const inode = meta.inode(at);
    const folder = inode && folderOf(inode);
    const name = folder === undefined ? undefined : meta.state.nameIn(folder, at);
    if (folder === undefined || name === undefined) return `(inode ${ino})`;
    parts.unshift(name.toString('utf8'));
    at = folder;
  }
  return `/${parts.join('/')}`;
}
