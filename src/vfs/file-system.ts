import {
  EEXIST,
  EFBIG,
  EINVAL,
  EISDIR,
  ENAMETOOLONG,
  ENODATA,
  ENOENT,
  ENOTDIR,
  ENXIO,
  EOPNOTSUPP,
  EROFS,
  type NegativeErrno,
} from '../base/errno.ts';
import { type Ino, ROOT_INO } from '../base/ids.ts';
import { FILE_BYTES_MAX, NAME_BYTES_MAX, SYMLINK_BYTES_MAX } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import { type Timed, untimed } from '../base/pauses.ts';
import type { FileCache } from '../cache/mod.ts';
import {
  type Inode,
  isFolder,
  isRegular,
  type LiveMeta,
  type MetaOp,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
} from '../meta/mod.ts';
import { patchOf, withoutPrivileges } from './attr-patch.ts';
import { Changes } from './changes.ts';
import { now } from './clock.ts';
import { listFolder } from './folders.ts';
import { Names } from './names.ts';
import { Orphans } from './orphans.ts';
import type {
  Attr,
  AttrChange,
  EntryPlusSink,
  EntrySink,
  OpenResult,
  RequestContext,
  StatFs,
  Vfs,
} from './vfs-interface.ts';
import { COMMIT_XATTR, checkSetXattr, listXattrs } from './xattrs.ts';

const SEEK_DATA = 3;
const O_EXCL = 0o200;
const BLOCK = 4096;

/** What durability the mount promises and where it comes from. */
export interface Durability {
  /**
   * strong: fsync, close and the like return when committed; weak: when the cache device has it.
   */
  mode: 'weak' | 'strong';
  /** Resolves when everything up to now is committed; rejects when that failed. */
  commit(): Promise<unknown>;
  /** Text of the receipt of `ino`: cached, committing or committed@epoch. */
  receipt(ino: Ino): string;
}

export interface FileSystemOptions {
  meta: LiveMeta;
  cache: FileCache;
  durability: Durability;
  /** Bytes of plain content the volume can hold, and still take, under its scheme. */
  capacity: () => { totalBytes: number; freeBytes: number };
  readOnly: boolean;
  log: Log;
  timed?: Timed;
}

/**
 * POSIX semantics on inodes. The kernel checks permissions (default_permissions) and serialises
 * changes of one folder; what remains to be checked here is the state of the folder and of the
 * inode.
 */
export class FileSystem implements Vfs {
  readonly #options: FileSystemOptions;
  readonly #meta: LiveMeta;
  readonly #cache: FileCache;
  readonly #orphans: Orphans;
  readonly #changes: Changes;
  readonly #names: Names;

  constructor(options: FileSystemOptions) {
    this.#options = options;
    this.#meta = options.meta;
    this.#cache = options.cache;
    this.#orphans = new Orphans({
      meta: options.meta,
      dropData: (ino) => options.cache.drop(ino),
      timed: options.timed ?? untimed,
    });
    this.#changes = new Changes(options);
    this.#names = new Names({ meta: options.meta, changes: this.#changes, orphans: this.#orphans });
  }

  mounted(): void {
    this.#meta.forgetReplies();
    if (!this.#options.readOnly) this.#orphans.reapAll();
  }

  /** Removes what nobody can reach any more; before the last commit of a mount. */
  unmounted(): void {
    if (this.#options.readOnly) return;
    this.#orphans.reapAll();
    this.#orphans.flush();
  }

  lookup(parent: Ino, name: Buffer): Attr | NegativeErrno {
    return this.#names.lookup(parent, name);
  }

  forget(ino: Ino, count: number): void {
    if (ino !== ROOT_INO) this.#orphans.forget(ino, count);
  }

  getattr(ino: Ino): Attr | NegativeErrno {
    return this.#meta.inode(ino) ?? -ENOENT;
  }

  setattr(
    context: RequestContext,
    ino: Ino,
    change: AttrChange,
  ): Attr | NegativeErrno | Promise<Attr | NegativeErrno> {
    const inode = this.#meta.inode(ino);
    if (inode === undefined) return -ENOENT;
    if (change.sizeBytes === undefined) return this.#setattrNow(context, inode, change);
    if (isFolder(inode)) return -EISDIR;
    if (!isRegular(inode)) return -EINVAL;
    if (change.sizeBytes > FILE_BYTES_MAX) return -EFBIG;
    const waiting = this.#cache.resize(inode, change.sizeBytes);
    if (waiting === undefined) return this.#setattrNow(context, inode, change);
    const kept = { ...context };
    return waiting.then(() => this.setattr(kept, ino, change));
  }

  /**
   * Also done for a request sent again: the cache file's new length may have been undone by taking
   * it up.
   */
  #setattrNow(context: RequestContext, inode: Inode, change: AttrChange): Attr | NegativeErrno {
    const { ino } = inode;
    const time = now();
    const ops: MetaOp[] = [];
    const { sizeBytes } = change;
    if (sizeBytes !== undefined) ops.push({ kind: 'truncate', ino, sizeBytes, time });
    const patch = patchOf(inode, change);
    if (Object.keys(patch).length > 0) ops.push({ kind: 'setattr', ino, change: patch, time });
    if (ops.length === 0) return inode;
    const failed = this.#changes.run(ops, context, 0);
    if (failed !== 0) return failed;
    if (patch.mtime !== undefined) this.#cache.mtimeSet(inode);
    return inode;
  }

  readlink(ino: Ino): Buffer | NegativeErrno {
    return this.#meta.state.readlink(ino) ?? -EINVAL;
  }

  symlink(
    context: RequestContext,
    parent: Ino,
    name: Buffer,
    target: Buffer,
  ): Attr | NegativeErrno {
    if (target.length > SYMLINK_BYTES_MAX) return -ENAMETOOLONG;
    return this.#names.create(context, { parent, name, mode: S_IFLNK | 0o777, rdev: 0, target });
  }

  mknod(
    context: RequestContext,
    parent: Ino,
    name: Buffer,
    mode: number,
    rdev: number,
  ): Attr | NegativeErrno {
    if ((mode & S_IFMT) === S_IFDIR) return -EINVAL;
    return this.#names.create(context, { parent, name, mode, rdev });
  }

  mkdir(context: RequestContext, parent: Ino, name: Buffer, mode: number): Attr | NegativeErrno {
    return this.#names.create(context, { parent, name, mode: S_IFDIR | (mode & 0o7777), rdev: 0 });
  }

  unlink(context: RequestContext, parent: Ino, name: Buffer): NegativeErrno | 0 {
    return this.#names.unlink(context, parent, name);
  }

  rmdir(context: RequestContext, parent: Ino, name: Buffer): NegativeErrno | 0 {
    return this.#names.rmdir(context, parent, name);
  }

  rename(
    context: RequestContext,
    parent: Ino,
    name: Buffer,
    newParent: Ino,
    newName: Buffer,
    flags: number,
  ): NegativeErrno | 0 {
    return this.#names.rename(context, parent, name, newParent, newName, flags);
  }

  link(context: RequestContext, ino: Ino, newParent: Ino, newName: Buffer): Attr | NegativeErrno {
    return this.#names.link(context, ino, newParent, newName);
  }

  open(_context: RequestContext, ino: Ino, _flags: number): OpenResult | NegativeErrno {
    return this.#meta.inode(ino) === undefined ? -ENOENT : this.#opened();
  }

  #opened(): OpenResult {
    return { keepCache: true, noFlush: this.#options.durability.mode === 'weak' };
  }

  create(
    context: RequestContext,
    parent: Ino,
    name: Buffer,
    mode: number,
    flags: number,
  ): { attr: Attr; open: OpenResult } | NegativeErrno {
    const done = this.#meta.earlierReply(context) !== undefined;
    const known = done ? undefined : this.#meta.state.lookup(parent, name);
    if (known !== undefined && flags & O_EXCL) return -EEXIST;
    const attr =
      known === undefined
        ? this.#names.create(context, { parent, name, mode, rdev: 0 }, { isNew: true })
        : this.#names.told(known.ino);
    return typeof attr === 'number' ? attr : { attr, open: this.#opened() };
  }

  release(_ino: Ino, _flags: number): void {
    // Handles carry no state: unlinked inodes wait for the kernel's forget.
  }

  read(
    ino: Ino,
    offset: number,
    length: number,
    into: Buffer,
    at: number,
  ): number | Promise<Buffer | NegativeErrno> {
    const inode = this.#meta.inode(ino);
    if (inode === undefined) return -ENOENT;
    const result = this.#cache.read(inode, offset, length, into, at);
    return typeof result === 'number'
      ? result
      : result.catch((error: unknown) => this.#changes.errno(error, 'read'));
  }

  write(
    context: RequestContext,
    ino: Ino,
    offset: number,
    data: Buffer,
    killSuidGid: boolean,
  ): number | Promise<number> {
    const inode = this.#meta.inode(ino);
    if (inode === undefined) return -ENOENT;
    if (this.#options.readOnly) return -EROFS;
    if (offset + data.length > FILE_BYTES_MAX) return -EFBIG;
    if (killSuidGid && withoutPrivileges(inode.mode) !== inode.mode) {
      const failed = this.#setattrNow(context, inode, { killSuidGid: true });
      if (typeof failed === 'number') return failed;
    }
    try {
      const result = this.#cache.write(inode, offset, data);
      return typeof result === 'number'
        ? result
        : result.catch((error: unknown) => this.#changes.errno(error, 'write'));
    } catch (error) {
      return this.#changes.errno(error, 'write');
    }
  }

  flush(ino: Ino): 0 | NegativeErrno | Promise<0 | NegativeErrno> {
    return this.#waitsForCommit ? this.#committed(ino) : 0;
  }

  get #waitsForCommit(): boolean {
    return this.#options.durability.mode === 'strong' && !this.#options.readOnly;
  }

  fsync(ino: Ino, _dataOnly: boolean): 0 | NegativeErrno | Promise<0 | NegativeErrno> {
    if (this.#waitsForCommit) return this.#committed(ino);
    const data = this.#cache.sync(ino);
    const meta = this.#meta.wal.sync(ino);
    if (data === undefined && meta === undefined) return 0;
    return Promise.all([data, meta]).then(
      () => 0 as const,
      (error: unknown) => this.#changes.errno(error, 'fsync'),
    );
  }

  fsyncdir(ino: Ino, dataOnly: boolean): 0 | NegativeErrno | Promise<0 | NegativeErrno> {
    return this.fsync(ino, dataOnly);
  }

  /** Strong mode: waits for the commit, unless `ino` has nothing that waits for one. */
  #committed(ino: Ino): 0 | Promise<0 | NegativeErrno> {
    const { dirty, frozen } = this.#cache.uncommittedBytes(ino);
    if (dirty + frozen === 0 && !this.#meta.isPending(ino)) return 0;
    return this.#options.durability.commit().then(
      () => 0 as const,
      (error: unknown) => this.#changes.errno(error, 'commit'),
    );
  }

  readdir(ino: Ino, cookie: number, sink: EntrySink): 0 | NegativeErrno {
    return this.#list(ino, cookie, sink);
  }

  readdirplus(ino: Ino, cookie: number, sink: EntryPlusSink): 0 | NegativeErrno {
    return this.#list(ino, cookie, (name, entryIno, type, next, attr) => {
      const taken = sink(name, entryIno, type, next, attr);
      if (taken && attr !== undefined) this.#orphans.known(entryIno);
      return taken;
    });
  }

  #list(ino: Ino, cookie: number, sink: EntryPlusSink): 0 | NegativeErrno {
    const folder = this.#meta.inode(ino);
    if (folder === undefined) return -ENOENT;
    if (!isFolder(folder)) return -ENOTDIR;
    listFolder(this.#meta, folder, cookie, sink);
    return 0;
  }

  statfs(): StatFs {
    const { totalBytes, freeBytes } = this.#options.capacity();
    return {
      blockBytes: BLOCK,
      blocks: Math.floor(totalBytes / BLOCK),
      blocksFree: Math.floor(freeBytes / BLOCK),
      blocksAvailable: Math.floor(freeBytes / BLOCK),
      files: 2 ** 32,
      filesFree: 2 ** 32 - 1,
      nameBytesMax: NAME_BYTES_MAX,
    };
  }

  setxattr(
    context: RequestContext,
    ino: Ino,
    name: Buffer,
    value: Buffer,
    flags: number,
  ): 0 | NegativeErrno {
    if (this.#meta.inode(ino) === undefined) return -ENOENT;
    if (this.#meta.earlierReply(context) !== undefined) return 0;
    const refused = checkSetXattr(this.#meta, ino, { name, value, flags });
    if (refused !== 0) return refused;
    return this.#changes.run([{ kind: 'setxattr', ino, name, value, time: now() }], context, 0);
  }

  getxattr(ino: Ino, name: Buffer): Buffer | NegativeErrno {
    if (this.#meta.inode(ino) === undefined) return -ENOENT;
    const stored = this.#meta.state.xattr(ino, name);
    if (stored !== undefined) return stored;
    const text = name.toString('latin1');
    if (text !== COMMIT_XATTR) return text.startsWith('system.') ? -EOPNOTSUPP : -ENODATA;
    return Buffer.from(this.#options.durability.receipt(ino));
  }

  listxattr(ino: Ino): Buffer | NegativeErrno {
    if (this.#meta.inode(ino) === undefined) return -ENOENT;
    return listXattrs(this.#meta, ino);
  }

  removexattr(context: RequestContext, ino: Ino, name: Buffer): 0 | NegativeErrno {
    if (this.#meta.earlierReply(context) !== undefined) return 0;
    if (this.#meta.state.xattr(ino, name) === undefined) return -ENODATA;
    return this.#changes.run([{ kind: 'removexattr', ino, name, time: now() }], context, 0);
  }

  lseek(ino: Ino, offset: number, whence: number): number {
    const inode = this.#meta.inode(ino);
    if (inode === undefined) return -ENOENT;
    if (!isRegular(inode)) return -EINVAL;
    if (offset >= inode.sizeBytes) return -ENXIO;
    if (whence !== SEEK_DATA) return this.#cache.nextHole(inode, offset);
    return this.#cache.nextData(inode, offset) ?? -ENXIO;
  }
}
