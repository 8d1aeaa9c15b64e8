import { constants } from 'node:fs';
import { EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, type NegativeErrno } from '../base/errno.ts';
import { type Ino, ROOT_INO } from '../base/ids.ts';
import type { Attr, FileSystem } from '../vfs/mod.ts';

const { S_IFDIR, S_IFLNK, S_IFMT } = constants;
const PATH_BYTES_MAX = 4095;
/** As the kernel has it. */
const SYMLINKS_MAX = 40;
const SLASH = 0x2f;

/** Where a path leads. */
export interface Place {
  /** Folders from the root down to the one with the name; each is an inode of the volume. */
  folders: Ino[];
  parent: Ino;
  /** The last name; undefined for the root, and behind "." and "..", which are not in a folder. */
  name: Buffer | undefined;
  /** What stands there; undefined when only the last name is missing. */
  attr: Attr | undefined;
  /** Why nothing does: ENOENT, or a name that is too long to. */
  missing: NegativeErrno;
  /** The path ends in a slash. */
  wantsFolder: boolean;
}

/**
 * What becomes of the last name of a path: a symlink is followed; it stands for itself unless a
 * slash follows; or it is the name of an entry, for calls that make or remove one, and what stands
 * there, and a slash behind it, are for the caller to judge. A file that is made if it is not there
 * has no slash behind it, on whatever way it is come to; `new`: nor is a symlink followed.
 */
export type Last = 'followed' | 'itself' | 'entry' | 'made' | 'new';

export function isFolder(attr: Attr): boolean {
  return (attr.mode & S_IFMT) === S_IFDIR;
}

export function isSymlink(attr: Attr): boolean {
  return (attr.mode & S_IFMT) === S_IFLNK;
}

/**
 * The place of a path, as the kernel would find it for a mount; every path begins at the root.
 * Synchronous, so that what the caller does in the same turn finds the names as they were found
 * here.
 */
export function walk(fs: FileSystem, path: Buffer, last: Last): Place | NegativeErrno {
  if (path.length === 0 || path.includes(0)) return -ENOENT;
  if (path.length > PATH_BYTES_MAX) return -ENAMETOOLONG;
  const names = namesOf(path);
  const folders: Ino[] = [ROOT_INO];
  let wantsFolder = path.at(-1) === SLASH;
  const follows = last === 'followed' || last === 'made';
  let links = 0;
  for (let name = names.pop(); name !== undefined; name = names.pop()) {
    const isLast = names.length === 0;
    const parent = folders.at(-1) ?? ROOT_INO;
    if (isDots(name)) {
      if (name.length === 2 && folders.length > 1) folders.pop();
      continue;
    }
    if (isLast && wantsFolder && (last === 'made' || last === 'new')) return -EISDIR;
    const attr = look(fs, parent, name);
    if (typeof attr === 'number') {
      const isJudged = isLast && (attr === -ENOENT || last === 'entry');
      if (!isJudged) return attr;
      return { folders, parent, name, attr: undefined, missing: attr, wantsFolder };
    }
    if (isLast && last === 'entry') return { folders, parent, name, attr, missing: 0, wantsFolder };
    if (isSymlink(attr) && (!isLast || follows || wantsFolder)) {
      if (++links > SYMLINKS_MAX) return -ELOOP;
      const target = fs.readlink(attr.ino);
      if (typeof target === 'number') return target;
      fs.accessed(attr.ino);
      if (target[0] === SLASH) folders.length = 1;
      if (isLast && target.at(-1) === SLASH) wantsFolder = true;
      names.push(...namesOf(target));
      continue;
    }
    if (isLast) {
      if (wantsFolder && !isFolder(attr)) return -ENOTDIR;
      return { folders, parent, name, attr, missing: 0, wantsFolder };
    }
    if (!isFolder(attr)) return -ENOTDIR;
    folders.push(attr.ino);
  }
  const ino = folders.at(-1) ?? ROOT_INO;
  const attr = fs.getattr(ino);
  if (typeof attr === 'number') return attr;
  return { folders, parent: ino, name: undefined, attr, missing: 0, wantsFolder };
}

/** The names of a path, the last one first. */
function namesOf(path: Buffer): Buffer[] {
  const names: Buffer[] = [];
  for (let start = 0; start < path.length; ) {
    const slash = path.indexOf(SLASH, start);
    const end = slash < 0 ? path.length : slash;
    if (end > start) names.push(path.subarray(start, end));
    start = end + 1;
  }
  return names.reverse();
}

/** Whether a name is "." or "..". */
export function isDots(name: Buffer): boolean {
  return name.length <= 2 && name.every((byte) => byte === 0x2e);
}

/** A lookup that leaves no count behind, which a kernel would have to give back. */
function look(fs: FileSystem, parent: Ino, name: Buffer): Attr | NegativeErrno {
  const attr = fs.lookup(parent, name);
  if (typeof attr !== 'number') fs.forget(attr.ino, 1);
  return attr;
}
