import type { AttrChange } from '../vfs/mod.ts';
import { badArgument } from './errors.ts';
import { modeBits } from './flags.ts';
import type { Last } from './paths.ts';
import type { Path, Session } from './session.ts';
import { Stats } from './stats.ts';
import { type TimeLike, timeOf } from './times.ts';

const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;
/** "DFS". */
const STATFS_TYPE = 0x444653;

/** What statfs() answers, with the names of fs.StatFs: counts of blocks of `bsize` bytes. */
export interface StatFs {
  type: number;
  bsize: number;
  blocks: number;
  bfree: number;
  bavail: number;
  files: number;
  ffree: number;
}

/** The calls of node:fs/promises, and of setxattr(2), that read or change attributes by path. */
export class AttributeCalls {
  protected readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  /** Attributes of what a path leads to. */
  stat(path: Path): Promise<Stats> {
    return this.session.on(path, { syscall: 'stat' }, (attr) => new Stats(attr));
  }

  /** As {@link stat}, of a symlink itself. */
  lstat(path: Path): Promise<Stats> {
    const options = { syscall: 'lstat', last: 'itself' } as const;
    return this.session.on(path, options, (attr) => new Stats(attr));
  }

  /** Sets permission bits. */
  async chmod(path: Path, mode: number | string): Promise<void> {
    await this.#set(path, { syscall: 'chmod' }, { mode: modeBits(mode) });
  }

  /** Sets owner and group; -1 leaves one as it is. */
  async chown(path: Path, uid: number, gid: number): Promise<void> {
    await this.#set(path, { syscall: 'chown' }, ownerChange(uid, gid));
  }

  /** As {@link chown}, of a symlink itself. */
  async lchown(path: Path, uid: number, gid: number): Promise<void> {
    await this.#set(path, { syscall: 'lchown', last: 'itself' }, ownerChange(uid, gid));
  }

  /** Sets the times of access and of the last change. */
  async utimes(path: Path, atime: TimeLike, mtime: TimeLike): Promise<void> {
    await this.#set(path, { syscall: 'utime' }, timesChange(atime, mtime));
  }

  /** As {@link utimes}, of a symlink itself. */
  async lutimes(path: Path, atime: TimeLike, mtime: TimeLike): Promise<void> {
    await this.#set(path, { syscall: 'lutime', last: 'itself' }, timesChange(atime, mtime));
  }

  #set(path: Path, call: { syscall: string; last?: Last }, change: AttrChange): Promise<unknown> {
    const { session } = this;
    return session.on(path, call, (attr) =>
      session.fs.setattr(session.context(), attr.ino, change),
    );
  }

  /** The value of an extended attribute; ENODATA when there is none of that name. */
  getxattr(path: Path, name: string): Promise<Buffer> {
    const { fs } = this.session;
    return this.session.on(path, { syscall: 'getxattr' }, async (attr) => {
      const value = await fs.getxattr(attr.ino, Buffer.from(name));
      return typeof value === 'number' ? value : Buffer.from(value);
    });
  }

  /** Sets an extended attribute: only a new one with `create`, only an old one with `replace`. */
  async setxattr(
    path: Path,
    name: string,
    value: string | Uint8Array,
    options: { create?: boolean; replace?: boolean } = {},
  ): Promise<void> {
    const { create = false, replace = false } = options;
    const flags = (create ? XATTR_CREATE : 0) | (replace ? XATTR_REPLACE : 0);
    const change = { name: Buffer.from(name), value: Buffer.from(value), flags, killSgid: false };
    const { session } = this;
    await session.on(path, { syscall: 'setxattr' }, (attr) =>
      session.fs.setxattr(session.context(), attr.ino, change),
    );
  }

  /** Names of the extended attributes. */
  listxattr(path: Path): Promise<string[]> {
    const { session } = this;
    return session.on(path, { syscall: 'listxattr' }, (attr) => {
      const names = session.fs.listxattr(session.context(), attr.ino);
      return typeof names === 'number' ? names : names.toString().split('\0').slice(0, -1);
    });
  }

  /** Removes an extended attribute; ENODATA when there is none of that name. */
  async removexattr(path: Path, name: string): Promise<void> {
    const { session } = this;
    await session.on(path, { syscall: 'removexattr' }, (attr) =>
      session.fs.removexattr(session.context(), attr.ino, Buffer.from(name)),
    );
  }

  /** Size and room of the volume, in plain content. */
  statfs(): Promise<StatFs> {
    return this.session.run(() => {
      const { blockBytes, blocks, blocksFree, blocksAvailable, files, filesFree } =
        this.session.fs.statfs();
      return {
        type: STATFS_TYPE,
        bsize: blockBytes,
        blocks,
        bfree: blocksFree,
        bavail: blocksAvailable,
        files,
        ffree: filesFree,
      };
    });
  }
}

/** What chown() changes; -1 leaves one as it is. */
export function ownerChange(uid: number, gid: number): AttrChange {
  for (const id of [uid, gid]) {
    if (Number.isInteger(id) && id >= -1 && id < 2 ** 32) continue;
    throw badArgument('set an owner', `${id} is no number of a user or a group`);
  }
  return { ...(uid === -1 ? {} : { uid }), ...(gid === -1 ? {} : { gid }) };
}

/** What utimes() changes. */
export function timesChange(atime: TimeLike, mtime: TimeLike): AttrChange {
  return { atime: timeOf(atime), mtime: timeOf(mtime) };
}

/** A length in bytes, as truncate() takes it: less than none is none. */
export function sizeOf(length: number): number {
  if (Number.isSafeInteger(length)) return Math.max(0, length);
  throw badArgument('truncate', `${length} is no length in bytes`);
}
