import type { NegativeErrno } from '../base/errno.ts';
import type { Ino } from '../base/ids.ts';

/**
 * What the driver tells of the process behind a request. Reused between requests: copy what must
 * outlive the call.
 */
export interface RequestContext {
  uid: number;
  gid: number;
  pid: number;
  /** Of the calling process; only told with requests that make an inode, else 0. */
  umask: number;
  /** The kernel's number of the request, without the resend bit; below 2^53. */
  unique: number;
  /** True when the kernel sent the request before and did not see a reply (FUSE_NOTIFY_RESEND). */
  resent: boolean;
}

/**
 * Attributes of an inode. Times are seconds and nanoseconds since 1970; rdev is in the kernel's
 * encoding.
 */
export interface Attr {
  ino: Ino;
  /** File type and permission bits. */
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  rdev: number;
  sizeBytes: number;
  /** Allocated bytes / 512. */
  blocks: number;
  atimeSec: number;
  atimeNsec: number;
  mtimeSec: number;
  mtimeNsec: number;
  ctimeSec: number;
  ctimeNsec: number;
  btimeSec: number;
  btimeNsec: number;
}

/** What SETATTR asks for; absent fields stay. 'now' is the server's clock. */
export interface AttrChange {
  mode?: number;
  uid?: number;
  gid?: number;
  sizeBytes?: number;
  atime?: { sec: number; nsec: number } | 'now';
  mtime?: { sec: number; nsec: number } | 'now';
  /** Clear setuid/setgid as a write by an unprivileged process does (FATTR_KILL_SUIDGID). */
  killSuidGid?: boolean;
}

export interface StatFs {
  blockBytes: number;
  blocks: number;
  blocksFree: number;
  blocksAvailable: number;
  files: number;
  filesFree: number;
  nameBytesMax: number;
}

/** What COPY_FILE_RANGE asks for: bytes of `from` at `fromOffset` to `to` at `toOffset`. */
export interface CopyRange {
  from: Ino;
  fromOffset: number;
  to: Ino;
  toOffset: number;
  lengthBytes: number;
}

export interface OpenResult {
  /** The kernel may keep cached pages from the last open. */
  keepCache: boolean;
  /** close() needs no FLUSH request. */
  noFlush: boolean;
  /** What release() gets back; 0 when absent. */
  handle?: number;
  /**
   * A number of {@link Backing}: the kernel reads and writes that file itself; with `isDirect` only
   * mappings go there, and reads and writes come to us.
   */
  backing?: { id: number; isDirect: boolean };
  /** Writes come to us as they are made, past the kernel's pages. */
  isUncached?: boolean;
}

/**
 * Receives directory entries until it returns false (the reply is full). `cookie` is what a later
 * readdir passes to go on behind this entry. `type` is mode >> 12.
 */
export type EntrySink = (name: Buffer, ino: Ino, type: number, cookie: number) => boolean;
/**
 * As {@link EntrySink}, with attributes; undefined for "." and "..", of which the kernel counts no
 * lookup.
 */
export type EntryPlusSink = (
  name: Buffer,
  ino: Ino,
  type: number,
  cookie: number,
  attr: Attr | undefined,
) => boolean;

/** What the driver can ask of the kernel, at once and while a request on the inode is running. */
export interface Kernel {
  /** Whether {@link OpenResult.isUncached} leaves shared mappings possible (Linux 6.6). */
  readonly mapsUncached?: boolean;
  /** Attributes that the kernel has of `ino` are no longer right. */
  forgetAttributes(ino: Ino): void;
  /**
   * As well as what it has of the content, listing or target, all of it or what touches a range;
   * resolves when that is gone.
   */
  forgetPages(ino: Ino, range?: { start: number; end: number }): Promise<unknown>;
}

/** Files of ours that the kernel reads itself. */
export interface Backing {
  /** Whether {@link open} may succeed. */
  readonly isPossible: boolean;
  /**
   * Makes the file at `path` known to the kernel: a positive number, valid in each open of one
   * inode until {@link close}; undefined where it cannot be.
   */
  open(path: string): number | undefined;
  /** The kernel takes the number in no further open. Those there are go on. */
  close(id: number): void;
}

/** What a method answers, now or later. */
export type Reply<T> = T | NegativeErrno | Promise<T | NegativeErrno>;
type Done = Reply<0>;

/**
 * The file system behind the driver. Each method returns its result, a negative errno, or a promise
 * of either; the synchronous answer is the fast path and must not allocate promises. Buffers passed
 * in (names, data) are views of the driver's request buffer: valid until the method returns, so
 * whoever answers later copies them first.
 */
export interface Vfs {
  /** Called once, before the first request. */
  connect(kernel: Kernel, backing: Backing): void;
  /**
   * Called once a mount, when the kernel's INIT arrives; not called again when a new process takes
   * over.
   */
  mounted(): void;
  lookup(parent: Ino, name: Buffer): Reply<Attr>;
  /** The kernel drops `count` lookups of `ino`. No reply. */
  forget(ino: Ino, count: number): void;
  getattr(ino: Ino, context?: RequestContext): Reply<Attr>;
  setattr(context: RequestContext, ino: Ino, change: AttrChange): Reply<Attr>;
  readlink(ino: Ino): Reply<Buffer>;
  /**
   * The caller of the write `unique`, which waits, is being killed: it shall end soon, with EINTR
   * and nothing changed if it can.
   */
  cancel(unique: number): void;
  /** The content, listing or target of `ino` is read, by one who wants its access time updated. */
  accessed(ino: Ino): void;
  symlink(context: RequestContext, parent: Ino, name: Buffer, target: Buffer): Reply<Attr>;
  /** Any type but a folder; rdev for devices. */
  mknod(
    context: RequestContext,
    parent: Ino,
    name: Buffer,
    mode: number,
    rdev: number,
  ): Reply<Attr>;
  mkdir(context: RequestContext, parent: Ino, name: Buffer, mode: number): Reply<Attr>;
  unlink(context: RequestContext, parent: Ino, name: Buffer): Done;
  rmdir(context: RequestContext, parent: Ino, name: Buffer): Done;
  /** flags: RENAME_NOREPLACE 1, RENAME_EXCHANGE 2. */
  rename(
    context: RequestContext,
    parent: Ino,
    name: Buffer,
    newParent: Ino,
    newName: Buffer,
    flags: number,
  ): Done;
  link(context: RequestContext, ino: Ino, newParent: Ino, newName: Buffer): Reply<Attr>;
  /** Opens an existing file; flags are open(2)'s. */
  open(context: RequestContext, ino: Ino, flags: number): Reply<OpenResult>;
  /**
   * mknod of a regular file and open in one step. With O_EXCL absent an existing file is opened.
   */
  create(
    context: RequestContext,
    parent: Ino,
    name: Buffer,
    mode: number,
    flags: number,
  ): Reply<{ attr: Attr; open: OpenResult }>;
  /** Makes a file without a name in folder `parent` (O_TMPFILE) and opens it. */
  tmpfile(
    context: RequestContext,
    parent: Ino,
    mode: number,
    flags: number,
  ): Reply<{ attr: Attr; open: OpenResult }>;
  /**
   * Ends what an open began: once per successful open, when its last descriptor is gone. `handle`
   * is that of the open; mappings may live on.
   */
  release(context: RequestContext, ino: Ino, handle: number): void;
  /**
   * Reads up to `length` bytes at `offset`. Synchronous: writes them into `into` at `at` and
   * returns the count, short only at the end of the file. Otherwise a promise of a buffer of its
   * own.
   */
  read(
    ino: Ino,
    offset: number,
    length: number,
    into: Buffer,
    at: number,
  ): number | Promise<Buffer | NegativeErrno>;
  /**
   * Writes all of `data` or fails; `killSuidGid` as in {@link AttrChange}. Resolves to the count
   * written.
   */
  write(
    context: RequestContext,
    ino: Ino,
    offset: number,
    data: Buffer,
    killSuidGid: boolean,
  ): number | Promise<number>;
  /**
   * As {@link write} through an open whose `handle` is not 0, or that was opened with O_SYNC or
   * O_DSYNC (`isSync`): for the opens whose writes the kernel does not sync itself, it returns as
   * fsync does.
   */
  writeBy(
    context: RequestContext,
    ino: Ino,
    offset: number,
    data: Buffer,
    how: { killSuidGid: boolean; handle: number; isSync: boolean },
  ): number | Promise<number>;
  /**
   * fallocate(2): `mode` is 0 or made of KEEP_SIZE 1, PUNCH_HOLE 2 and ZERO_RANGE 16; others are
   * EOPNOTSUPP. Space is checked, not reserved: what is written over is stored anew.
   */
  fallocate(
    context: RequestContext,
    ino: Ino,
    range: { offset: number; lengthBytes: number; mode: number },
  ): Done;
  /**
   * copy_file_range(2) by sharing chunks: how many bytes were, from the start on. EOPNOTSUPP where
   * the first are not committed or not whole blocks; the kernel then copies through its pages.
   */
  copyRange(context: RequestContext, copy: CopyRange): number | Promise<number>;
  /** close(2) of one descriptor. */
  flush(ino: Ino): Done;
  fsync(ino: Ino, dataOnly: boolean): Done;
  fsyncdir(ino: Ino, dataOnly: boolean): Done;
  /** syncfs(2): all that was done up to now lasts. */
  syncfs(): Done;
  /**
   * fcommit: waits until an inode, or all below a folder, is on the disks. Resolves to the newest
   * epoch.
   */
  commit(ino: Ino): Reply<number>;
  /** Calls `sink` for each entry behind `cookie` (0: from the start, with "." and ".."). */
  readdir(ino: Ino, cookie: number, sink: EntrySink): Done;
  readdirplus(ino: Ino, cookie: number, sink: EntryPlusSink): Done;
  /** The file system that `ino` is on. */
  statfs(ino: Ino): Reply<StatFs>;
  /**
   * flags: XATTR_CREATE 1, XATTR_REPLACE 2; `killSgid` as the kernel wants it with an access ACL.
   */
  setxattr(
    context: RequestContext,
    ino: Ino,
    change: { name: Buffer; value: Buffer; flags: number; killSgid: boolean },
  ): Done;
  getxattr(ino: Ino, name: Buffer): Reply<Buffer>;
  /** Names, each followed by a NUL. */
  listxattr(context: RequestContext, ino: Ino): Reply<Buffer>;
  removexattr(context: RequestContext, ino: Ino, name: Buffer): Done;
  /** whence: SEEK_DATA 3 or SEEK_HOLE 4. Resolves to an offset. */
  lseek(ino: Ino, offset: number, whence: number): number | Promise<number>;
}
