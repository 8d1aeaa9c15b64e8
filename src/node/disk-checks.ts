import { existsSync, realpathSync, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { DfsError } from '../base/errors.ts';
import { MIB } from '../base/limits.ts';

/** A new disk must have at least this much free. */
const FREE_BYTES_MIN: number = 64 * MIB;

/** The folder at `path` without symlinks; BAD_ARGUMENT unless it is one. */
export function existingFolder(path: string, what: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new DfsError(
      'BAD_ARGUMENT',
      `Cannot use ${what} ${path}: there is no such folder; make it first`,
    );
  }
  if (!stat.isDirectory())
    throw new DfsError('BAD_ARGUMENT', `Cannot use ${what} ${path}: it is not a folder`);
  return realpathSync(path);
}

/** A path without symlinks, as far as it exists: HOME may not yet. */
function realPath(path: string): string {
  const absolute = resolve(path);
  if (existsSync(absolute)) return realpathSync(absolute);
  const parent = dirname(absolute);
  return parent === absolute ? absolute : join(realPath(parent), basename(absolute));
}

/** Throws BAD_ARGUMENT when two of the folders are the same or one lies in another. */
export function checkApart(folders: { path: string; what: string }[]): void {
  for (const [index, a] of folders.entries()) {
    for (const b of folders.slice(index + 1)) {
      const same = isSameFolder(a.path, b.path);
      if (!same && !contains(a.path, b.path) && !contains(b.path, a.path)) continue;
      const how = same ? 'is the same folder as' : 'overlaps with';
      throw new DfsError(
        'BAD_ARGUMENT',
        `Cannot use ${b.what} ${b.path}: it ${how} ${a.what} ${a.path}`,
      );
    }
  }
}

function isSameFolder(a: string, b: string): boolean {
  const [one, two] = [a, b].map(placeOf);
  if (one === undefined || two === undefined) return a === b;
  return one.dev === two.dev && one.ino === two.ino;
}

/** Which folder it is; undefined when that cannot be said: of a disk that has died, its path is known. */
function placeOf(path: string): { dev: number; ino: number } | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

function contains(outer: string, inner: string): boolean {
  const way = relative(realPath(outer), realPath(inner));
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** Size of a disk's file system in bytes; NO_SPACE when it is full. */
export async function diskBytes(path: string): Promise<number> {
  const { blocks, bavail, bsize } = await statfs(path);
  if (bavail * bsize < FREE_BYTES_MIN) {
    const free = Math.floor((bavail * bsize) / MIB);
    throw new DfsError(
      'NO_SPACE',
      `Cannot use disk ${path}: it is full (${free} MiB free, at least ${FREE_BYTES_MIN / MIB} MiB are needed)`,
    );
  }
  return blocks * bsize;
}
