import {
  EEXIST,
  EINVAL,
  ENAMETOOLONG,
  ENOENT,
  ENOTDIR,
  type NegativeErrno,
} from '../base/errno.ts';
import { type Ino, ROOT_INO } from '../base/ids.ts';
import { NAME_BYTES_MAX, SYMLINK_BYTES_MAX } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import { type Timed, untimed } from '../base/pauses.ts';
import type { FileCache } from '../cache/mod.ts';
import { isFolder, type LiveMeta, S_IFDIR, S_IFLNK, S_IFMT } from '../meta/mod.ts';
import { AccessTimes } from './access-times.ts';
import { Attributes } from './attributes.ts';
import { Changes } from './changes.ts';
import { Content } from './content.ts';
import { listFolder } from './folders.ts';
import { Modes } from './modes.ts';
import { Names } from './names.ts';
import { Opens } from './opens.ts';
import { Orphans } from './orphans.ts';
import type {
  Attr,
  AttrChange,
  Backing,
  CopyRange,
  EntryPlusSink,
  EntrySink,
  Kernel,
  OpenResult,
  Reply,
  RequestContext,
  StatFs,
  Vfs,
} from './vfs-interface.ts';
import { type Durability, Waits } from './waits.ts';
import { Writes } from './writes.ts';
import { type XattrChange, Xattrs } from './xattrs.ts';

const O_EXCL = 0o200;
const BLOCK = 4096;
/** Shown as the number of inodes, of which there is no limit. */
const FILES_MAX: number = 2 ** 32;

export interface FileSystemOptions {
  meta: LiveMeta;
  cache: FileCache;
  durability: Durability;
  /** Bytes of plain content the volume can hold, and still take, under its scheme. */
  capacity: () => { totalBytes: number; freeBytes: number; inodes?: number };
  readOnly: boolean;
  /** Whether the mount wants access times at this moment; yes by default. */
  updatesAtime?: () => boolean;
  /** Where opens that are passed to the kernel are written down; none are without it. */
  opensPath?: string;
  log: Log;
  timed?: Timed;
}

/**
 * POSIX semantics on inodes. The kernel checks permissions (default_permissions) and serialises
 * changes of one folder; what remains to be checked here is the state of the folder and of the
 * inode.
 */
export class FileSystem implements Vfs {
  readonly opens: Opens;
  readonly modes: Modes;
  readonly #options: FileSystemOptions;
  readonly #meta: LiveMeta;
  readonly #cache: FileCache;
  readonly #orphans: Orphans;
  readonly #changes: Changes;
  readonly #accessTimes: AccessTimes;
  readonly #names: Names;
  readonly #attributes: Attributes;
  readonly #content: Content;
  readonly #xattrs: Xattrs;
  readonly #waits: Waits;
  readonly #writes: Writes;

  constructor(options: FileSystemOptions) {
    this.#options = options;
    this.#meta = options.meta;
    this.#cache = options.cache;
    this.modes = new Modes({ meta: options.meta, ofMount: options.durability.mode });
    this.#orphans = new Orphans({
      meta: options.meta,
      dropData: (ino) => {
        this.opens.forget(ino);
        this.modes.forget(ino);
        options.cache.drop(ino);
      },
      timed: options.timed ?? untimed,
    });
    this.#changes = new Changes(options);
    const { meta, cache, capacity, readOnly } = options;
    const changes = this.#changes;
    const modes = this.modes;
    const updates = options.updatesAtime ?? ((): boolean => true);
    this.#accessTimes = new AccessTimes({ meta, updates: () => !readOnly && updates() });
    this.#attributes = new Attributes({ meta, cache, changes });
    this.#names = new Names({
      meta,
      changes,
      orphans: this.#orphans,
      modes,
      attr: (inode) => this.#attributes.of(inode),
    });
    this.#content = new Content({ meta, cache, changes, capacity, readOnly });
    this.opens = new Opens({ ...options, accessTimes: this.#accessTimes, modes });
    this.#waits = new Waits({ ...options, changes, modes });
    this.#writes = new Writes({
      attributes: this.#attributes,
      content: this.#content,
      opens: this.opens,
      waits: this.#waits,
    });
    const receipt = (ino: Ino) => options.durability.receipt(ino);
    const commit = (ino: Ino) => this.#waits.commit(ino);
    this.#xattrs = new Xattrs({ meta, changes, modes, receipt, commit });
  }

  connect(kernel: Kernel, backing?: Backing): void {
    this.#changes.kernel = kernel;
    this.#accessTimes.kernel = kernel;
    this.#content.zeroing.kernel = kernel;
    this.opens.kernel = kernel;
    if (backing !== undefined) this.opens.connect(backing);
  }

  mounted(): void {
    this.#cache.lending.inheritNothing();
    this.opens.mounted();
    this.#meta.forgetReplies();
    if (!this.#options.readOnly) this.#orphans.reapAll();
  }

  /** Removes what nobody can reach any more; before the last commit of a mount. */
  unmounted(): void {
    this.opens.close();
    if (this.#options.readOnly) return;
    this.#cache.lending.noteMapped('now');
    this.#orphans.reapAll();
    this.#orphans.flush();
    this.#meta.writeTimes();
  }

  lookup(parent: Ino, name: Buffer): Attr | NegativeErrno {
    return this.#names.lookup(parent, name);
  }

  forget(ino: Ino, count: number): void {
    if (ino !== ROOT_INO) this.#orphans.forget(ino, count);
  }

  getattr(ino: Ino, context?: RequestContext): Attr | NegativeErrno {
    return this.#attributes.get(ino, context);
  }

  setattr(
    context: RequestContext,
    ino: Ino,
    change: AttrChange,
  ): Attr | NegativeErrno | Promise<Attr | NegativeErrno> {
    if (change.sizeBytes === 0) this.opens.emptied(ino);
    const result = this.#attributes.set(context, ino, change);
    const isTimed = change.atime !== undefined || change.mtime !== undefined;
    const inode = isTimed ? this.#meta.inode(ino) : undefined;
    const forgotten = inode && this.#accessTimes.timesSet(inode);
    return forgotten === undefined ? result : forgotten.then(() => result);
  }

  readlink(ino: Ino): Buffer | NegativeErrno {
    return this.#meta.state.readlink(ino) ?? -EINVAL;
  }

  accessed(ino: Ino): void {
    this.#accessTimes.accessed(ino);
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

  open(context: RequestContext, ino: Ino, flags: number): OpenResult | NegativeErrno {
    return this.opens.open(context, ino, flags);
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
    if (typeof attr === 'number') return attr;
    const isNew = !done && known === undefined;
    const inode = isNew ? this.#meta.inode(attr.ino) : undefined;
    if (inode !== undefined) this.#cache.fresh(inode);
    return this.opens.openNew(context, attr, flags, isNew);
  }

  tmpfile(
    context: RequestContext,
    parent: Ino,
    mode: number,
    flags: number,
  ): { attr: Attr; open: OpenResult } | NegativeErrno {
    const done = this.#meta.earlierReply(context) !== undefined;
    return this.opens.openNew(context, this.#names.tmpfile(context, parent, mode), flags, !done);
  }

  release(context: RequestContext, ino: Ino, handle: number): void {
    this.opens.release(context, ino, handle);
  }

  read(
    ino: Ino,
    offset: number,
    length: number,
    into: Buffer,
    at: number,
  ): number | Promise<Buffer | NegativeErrno> {
    return this.#content.read(ino, offset, length, into, at);
  }

  write(
    context: RequestContext,
    ino: Ino,
    offset: number,
    data: Buffer,
    killSuidGid: boolean,
  ): number | Promise<number> {
    return this.#writes.write(context, ino, offset, data, killSuidGid);
  }

  writeBy(
    context: RequestContext,
    ino: Ino,
    offset: number,
    data: Buffer,
    how: { killSuidGid: boolean; handle: number; isSync: boolean },
  ): number | Promise<number> {
    return this.#writes.writeBy(context, ino, offset, data, how);
  }

  cancel(unique: number): void {
    this.#cache.cancelWrite(unique);
    this.#waits.cancel(unique);
  }

  fallocate(
    context: RequestContext,
    ino: Ino,
    range: { offset: number; lengthBytes: number; mode: number },
  ): number | Promise<number> {
    const failed = this.#attributes.dropPrivileges(context, ino, context.uid !== 0);
    return failed < 0 ? failed : this.#content.fallocate(context, ino, range);
  }

  copyRange(context: RequestContext, copy: CopyRange): number | Promise<number> {
    // The request does not say whether the caller keeps setuid: only root does.
    const failed = this.#attributes.dropPrivileges(context, copy.to, context.uid !== 0);
    return failed < 0 ? failed : this.#content.copyRange(context, copy);
  }

  flush(ino: Ino): 0 | NegativeErrno | Promise<0 | NegativeErrno> {
    return this.#waits.flush(ino);
  }

  fsync(ino: Ino, _dataOnly: boolean): 0 | NegativeErrno | Promise<0 | NegativeErrno> {
    return this.#waits.fsync(ino);
  }

  fsyncdir(ino: Ino): 0 | NegativeErrno | Promise<0 | NegativeErrno> {
    return this.#waits.fsync(ino);
  }

  syncfs(): 0 | NegativeErrno | Promise<0 | NegativeErrno> {
    return this.#waits.commitAll();
  }

  commit(ino: Ino): number | Promise<number> {
    return this.#waits.commit(ino);
  }

  readdir(ino: Ino, cookie: number, sink: EntrySink): 0 | NegativeErrno {
    return this.#list(ino, { cookie, inodes: false }, sink);
  }

  readdirplus(ino: Ino, cookie: number, sink: EntryPlusSink): 0 | NegativeErrno {
    return this.#list(ino, { cookie, inodes: true }, (name, entryIno, type, next, attr) => {
      const taken = sink(name, entryIno, type, next, attr);
      if (taken && attr !== undefined) this.#orphans.known(entryIno);
      return taken;
    });
  }

  #list(
    ino: Ino,
    from: { cookie: number; inodes: boolean },
    sink: EntryPlusSink,
  ): 0 | NegativeErrno {
    const folder = this.#meta.inode(ino);
    if (folder === undefined) return -ENOENT;
    if (!isFolder(folder)) return -ENOTDIR;
    listFolder(this.#meta, folder, from, (name, entryIno, type, next, inode) =>
      sink(name, entryIno, type, next, inode && this.#attributes.of(inode)),
    );
    return 0;
  }

  statfs(): StatFs {
    const { totalBytes, freeBytes, inodes = 1 } = this.#options.capacity();
    return {
      blockBytes: BLOCK,
      blocks: Math.floor(totalBytes / BLOCK),
      blocksFree: Math.floor(freeBytes / BLOCK),
      blocksAvailable: Math.floor(freeBytes / BLOCK),
      files: FILES_MAX,
      filesFree: FILES_MAX - inodes,
      nameBytesMax: NAME_BYTES_MAX,
    };
  }

  setxattr(context: RequestContext, ino: Ino, change: XattrChange): Reply<0> {
    return this.#xattrs.set(context, ino, change);
  }

  getxattr(ino: Ino, name: Buffer): Reply<Buffer> {
    return this.#xattrs.get(ino, name);
  }

  listxattr(context: RequestContext, ino: Ino): Buffer | NegativeErrno {
    return this.#xattrs.list(context, ino);
  }

  removexattr(context: RequestContext, ino: Ino, name: Buffer): 0 | NegativeErrno {
    return this.#xattrs.remove(context, ino, name);
  }

  lseek(ino: Ino, offset: number, whence: number): number {
    return this.#content.lseek(ino, offset, whence);
  }
}
