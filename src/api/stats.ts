import { constants } from 'node:fs';
import type { Attr } from '../vfs/mod.ts';

const BLOCK_BYTES = 4096;
const NANOSECONDS = 1_000_000_000n;
const { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } = constants;

/** What kind of inode something is. */
abstract class Typed {
  abstract get type(): number;

  isFile(): boolean {
    return this.type === S_IFREG;
  }
  isDirectory(): boolean {
    return this.type === S_IFDIR;
  }
  isSymbolicLink(): boolean {
    return this.type === S_IFLNK;
  }
  isFIFO(): boolean {
    return this.type === S_IFIFO;
  }
  isSocket(): boolean {
    return this.type === S_IFSOCK;
  }
  isBlockDevice(): boolean {
    return this.type === S_IFBLK;
  }
  isCharacterDevice(): boolean {
    return this.type === S_IFCHR;
  }
}

/**
 * Attributes as they were at one moment, with the names of fs.Stats, and the times also in whole
 * nanoseconds. Sizes in bytes, `blocks` of 512.
 */
export class Stats extends Typed {
  readonly dev: number = 0;
  readonly ino: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly size: number;
  readonly blksize: number = BLOCK_BYTES;
  readonly blocks: number;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly birthtimeNs: bigint;

  constructor(attr: Attr) {
    super();
    this.ino = attr.ino;
    this.mode = attr.mode;
    this.nlink = attr.nlink;
    this.uid = attr.uid;
    this.gid = attr.gid;
    this.rdev = attr.rdev;
    this.size = attr.sizeBytes;
    this.blocks = attr.blocks;
    this.atimeNs = nanoseconds(attr.atimeSec, attr.atimeNsec);
    this.mtimeNs = nanoseconds(attr.mtimeSec, attr.mtimeNsec);
    this.ctimeNs = nanoseconds(attr.ctimeSec, attr.ctimeNsec);
    this.birthtimeNs = nanoseconds(attr.btimeSec, attr.btimeNsec);
  }

  get type(): number {
    return this.mode & S_IFMT;
  }
  get atimeMs(): number {
    return milliseconds(this.atimeNs);
  }
  get mtimeMs(): number {
    return milliseconds(this.mtimeNs);
  }
  get ctimeMs(): number {
    return milliseconds(this.ctimeNs);
  }
  get birthtimeMs(): number {
    return milliseconds(this.birthtimeNs);
  }
  get atime(): Date {
    return new Date(this.atimeMs);
  }
  get mtime(): Date {
    return new Date(this.mtimeMs);
  }
  get ctime(): Date {
    return new Date(this.ctimeMs);
  }
  get birthtime(): Date {
    return new Date(this.birthtimeMs);
  }
}

/** An entry of a folder, with the names of fs.Dirent. */
export class Dirent<Name extends string | Buffer = string> extends Typed {
  readonly name: Name;
  /** The path of the folder, as it was given. */
  readonly parentPath: string;
  readonly type: number;

  constructor(entry: { name: Name; parentPath: string; type: number }) {
    super();
    this.name = entry.name;
    this.parentPath = entry.parentPath;
    this.type = entry.type;
  }
}

function nanoseconds(seconds: number, rest: number): bigint {
  return BigInt(seconds) * NANOSECONDS + BigInt(rest);
}

function milliseconds(ns: bigint): number {
  return Number(ns) / 1e6;
}
