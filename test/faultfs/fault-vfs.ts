import {
  EEXIST,
  EINVAL,
  EIO,
  ENODATA,
  ENOENT,
  ENOSYS,
  ENOTTY,
  ENXIO,
  EOPNOTSUPP,
  EPERM,
  type NegativeErrno,
} from '../../src/base/errno.ts';
import { type Ino, ROOT_INO } from '../../src/base/ids.ts';
import type {
  Attr,
  AttrChange,
  EntryPlusSink,
  EntrySink,
  Kernel,
  OpenResult,
  RequestContext,
  StatFs,
  Vfs,
} from '../../src/vfs/mod.ts';
import type { DeviceTree, NewNode, Node } from './device-tree.ts';
import type { Faults, Occurring, Verdict } from './faults.ts';
import type { OperationLog } from './operation-log.ts';
import { PAGE_BYTES } from './page-history.ts';

const O_EXCL = 0o200;
const SEEK_DATA = 3;
const FALLOC_KEEP_SIZE = 1;
const FALLOC_PUNCH = 2;
const FALLOC_ZERO = 16;
const TYPE_FOLDER = 0o040000;
const TYPE_SYMLINK = 0o120000;
const SUID = 0o4000;
const SGID = 0o2000;
const GROUP_EXECUTE = 0o010;
const OPEN: OpenResult = { keepCache: true, noFlush: true };
/** The file at the root whose lines become marks of the log. */
export const MARK_NAME = '.mark';
const MARK_INO = (2 ** 40) as Ino;

type Answer<T> = T | NegativeErrno | Promise<T | NegativeErrno>;

/** Devices that fail as they are told, as a file system with one top-level folder each. */
export class FaultVfs implements Vfs {
  readonly #tree: DeviceTree;
  readonly #faults: Faults;
  readonly #log: OperationLog;
  #kernel: Kernel | undefined;
  #isCut = false;
  #markText = '';

  constructor(tree: DeviceTree, faults: Faults, log: OperationLog) {
    this.#tree = tree;
    this.#faults = faults;
    this.#log = log;
  }

  /** The power is off: nothing works any more, for good. */
  cut(): void {
    this.#isCut = true;
  }

  /** The kernel reads everything of a file from its device again; of all files without one. */
  async forgetPages(ino?: Ino): Promise<void> {
    const inos = ino === undefined ? [...this.#tree.nodes.keys()] : [ino];
    for (const one of inos) await this.#kernel?.forgetPages(one);
  }

  connect(kernel: Kernel): void {
    this.#kernel = kernel;
  }

  mounted(): void {}
  accessed(): void {}
  forget(): void {}

  cancel(unique: number): void {
    this.#faults.cancel(unique);
  }

  lookup(parent: Ino, name: Buffer): Answer<Attr> {
    const text = name.toString('latin1');
    if (parent === ROOT_INO && text === MARK_NAME) return markAttr();
    return this.#run('look', parent, undefined, (folder) => {
      return this.#tree.child(folder, text)?.attr ?? -ENOENT;
    });
  }

  getattr(ino: Ino): Answer<Attr> {
    if (ino === MARK_INO) return markAttr();
    return this.#run('look', ino, undefined, (node) => node.attr);
  }

  setattr(context: RequestContext, ino: Ino, change: AttrChange): Answer<Attr> {
    if (ino === MARK_INO) return markAttr();
    const operation = change.sizeBytes === undefined ? 'look' : 'resize';
    return this.#run(operation, ino, context, (node) => {
      if (change.sizeBytes !== undefined) {
        const result = this.#tree.resize(node, change.sizeBytes);
        if (result < 0) return result;
      }
      this.#setAttributes(node, change);
      return node.attr;
    });
  }

  readlink(ino: Ino): Answer<Buffer> {
    return this.#run('look', ino, undefined, (node) => node.target ?? -EINVAL);
  }

  symlink(context: RequestContext, parent: Ino, name: Buffer, target: Buffer): Answer<Attr> {
    const made = newNode(context, TYPE_SYMLINK | 0o777);
    return this.#make(context, parent, name, { ...made, target: Buffer.from(target) });
  }

  mknod(
    context: RequestContext,
    parent: Ino,
    name: Buffer,
    mode: number,
    rdev: number,
  ): Answer<Attr> {
    return this.#make(context, parent, name, { ...newNode(context, mode), rdev });
  }

  mkdir(context: RequestContext, parent: Ino, name: Buffer, mode: number): Answer<Attr> {
    return this.#make(context, parent, name, newNode(context, TYPE_FOLDER | (mode & 0o7777)));
  }

  unlink(context: RequestContext, parent: Ino, name: Buffer): Answer<0> {
    return this.#remove(context, parent, name, false);
  }

  rmdir(context: RequestContext, parent: Ino, name: Buffer): Answer<0> {
    return this.#remove(context, parent, name, true);
  }

  rename(
    context: RequestContext,
    parent: Ino,
    name: Buffer,
    newParent: Ino,
    newName: Buffer,
    flags: number,
  ): Answer<0> {
    const [from, to] = [name.toString('latin1'), newName.toString('latin1')];
    return this.#run('name', parent, context, (folder) => {
      const newFolder = this.#tree.nodes.get(newParent);
      if (newFolder?.device === undefined || folder.device === undefined) return -EPERM;
      this.#count(folder).names++;
      const target = { parent: newFolder, name: to };
      return this.#tree.rename({ parent: folder, name: from }, target, flags);
    });
  }

  link(context: RequestContext, ino: Ino, newParent: Ino, newName: Buffer): Answer<Attr> {
    const text = newName.toString('latin1');
    return this.#run('name', newParent, context, (folder) => {
      const node = this.#tree.nodes.get(ino);
      if (node === undefined) return -ENOENT;
      this.#count(folder).names++;
      const result = this.#tree.link(node, folder, text);
      return result < 0 ? result : node.attr;
    });
  }

  open(context: RequestContext, ino: Ino): Answer<OpenResult> {
    if (ino === MARK_INO) return OPEN;
    return this.#run('look', ino, context, () => OPEN);
  }

  create(
    context: RequestContext,
    parent: Ino,
    name: Buffer,
    mode: number,
    flags: number,
  ): Answer<{ attr: Attr; open: OpenResult }> {
    const text = name.toString('latin1');
    const made = newNode(context, mode);
    return this.#run('name', parent, context, (folder) => {
      const present = this.#tree.child(folder, text);
      if (present !== undefined && (flags & O_EXCL) !== 0) return -EEXIST;
      this.#count(folder).names++;
      const node = present ?? this.#tree.make(folder, text, made);
      return typeof node === 'number' ? node : { attr: node.attr, open: OPEN };
    });
  }

  tmpfile(
    context: RequestContext,
    parent: Ino,
    mode: number,
  ): Answer<{ attr: Attr; open: OpenResult }> {
    const made = newNode(context, mode);
    return this.#run('name', parent, context, (folder) => {
      const node = this.#tree.make(folder, undefined, made);
      return typeof node === 'number' ? node : { attr: node.attr, open: OPEN };
    });
  }

  release(): void {}

  read(
    ino: Ino,
    offset: number,
    length: number,
    into: Buffer,
    at: number,
  ): number | Promise<Buffer | NegativeErrno> {
    const node = this.#tree.nodes.get(ino);
    if (node?.file === undefined) return ino === MARK_INO ? 0 : -ENOENT;
    if (this.#isCut) return -EIO;
    this.#count(node).reads++;
    const verdict = this.#verdict('read', node, 0);
    if (verdict?.errno !== undefined) return verdict.errno;
    const { file } = node;
    if (verdict?.wait === undefined) return file.read(offset, into, at, length);
    return verdict.wait.then((result) => {
      if (result < 0) return result;
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, file.read(offset, bytes, 0, length));
    });
  }

  write(
    context: RequestContext,
    ino: Ino,
    offset: number,
    data: Buffer,
    killSuidGid: boolean,
  ): number | Promise<number> {
    if (ino === MARK_INO) return this.#mark(data);
    const own = Buffer.from(data);
    return this.#run('write', ino, context, (node) => {
      const counts = this.#count(node);
      counts.writes++;
      counts.writtenBytes += own.length;
      if (killSuidGid) this.#setAttributes(node, { killSuidGid });
      return this.#tree.write(node, offset, own);
    });
  }

  /** The device does not know why it is written: a sync follows, or the other way round. */
  writeBy(
    context: RequestContext,
    ino: Ino,
    offset: number,
    data: Buffer,
    { killSuidGid }: { killSuidGid: boolean },
  ): number | Promise<number> {
    return this.write(context, ino, offset, data, killSuidGid);
  }

  syncfs(): number {
    return -ENOSYS;
  }

  commit(): number {
    return -ENOTTY;
  }

  fallocate(
    context: RequestContext,
    ino: Ino,
    { offset, lengthBytes, mode }: { offset: number; lengthBytes: number; mode: number },
  ): Answer<0> {
    return this.#run('write', ino, context, (node) => {
      this.#count(node).writes++;
      const end = offset + lengthBytes;
      if ((mode & ~(FALLOC_KEEP_SIZE | FALLOC_PUNCH | FALLOC_ZERO)) !== 0) return -EOPNOTSUPP;
      if ((mode & (FALLOC_PUNCH | FALLOC_ZERO)) !== 0) {
        const result = this.#tree.punch(node, offset, lengthBytes);
        if (result < 0) return result;
      }
      const grows = (mode & FALLOC_KEEP_SIZE) === 0 && end > node.attr.sizeBytes;
      return grows ? this.#tree.resize(node, end) : 0;
    });
  }

  copyRange(): number {
    return -EOPNOTSUPP;
  }

  flush(): 0 {
    return 0;
  }

  fsync(ino: Ino, dataOnly: boolean): Answer<0> {
    if (ino === MARK_INO) return 0;
    return this.#sync(ino, dataOnly);
  }

  fsyncdir(ino: Ino, dataOnly: boolean): Answer<0> {
    return this.#sync(ino, dataOnly);
  }

  readdir(ino: Ino, cookie: number, sink: EntrySink): Answer<0> {
    return this.readdirplus(ino, cookie, (name, child, type, next) =>
      sink(name, child, type, next),
    );
  }

  readdirplus(ino: Ino, cookie: number, sink: EntryPlusSink): Answer<0> {
    return this.#run('look', ino, undefined, (folder) => {
      if (cookie < 1 && !sink(Buffer.from('.'), ino, 4, 1, undefined)) return 0;
      if (cookie < 2 && !sink(Buffer.from('..'), folder.parent, 4, 2, undefined)) return 0;
      for (const [name, entry] of folder.entries ?? []) {
        if (entry.cookie <= cookie) continue;
        const attr = this.#tree.nodes.get(entry.ino)?.attr;
        const type = (attr?.mode ?? 0) >> 12;
        if (!sink(Buffer.from(name, 'latin1'), entry.ino, type, entry.cookie, attr)) break;
      }
      return 0;
    });
  }

  statfs(ino: Ino): StatFs {
    const device = this.#tree.nodes.get(ino)?.device;
    const blocks = Math.floor((device?.capacityBytes ?? 0) / PAGE_BYTES);
    const free = Math.max(0, blocks - (device?.usedPages ?? 0));
    return {
      blockBytes: PAGE_BYTES,
      blocks,
      blocksFree: free,
      blocksAvailable: free,
      files: 1 << 20,
      filesFree: 1 << 19,
      nameBytesMax: 255,
    };
  }

  setxattr(
    context: RequestContext,
    ino: Ino,
    { name, value }: { name: Buffer; value: Buffer },
  ): Answer<0> {
    const [key, own] = [name.toString('latin1'), Buffer.from(value)];
    return this.#run('look', ino, context, (node) => {
      node.xattrs.set(key, own);
      return 0;
    });
  }

  getxattr(ino: Ino, name: Buffer): Answer<Buffer> {
    return this.#tree.nodes.get(ino)?.xattrs.get(name.toString('latin1')) ?? -ENODATA;
  }

  listxattr(_context: RequestContext, ino: Ino): Answer<Buffer> {
    const names = [...(this.#tree.nodes.get(ino)?.xattrs.keys() ?? [])];
    return Buffer.from(names.map((name) => `${name}\0`).join(''), 'latin1');
  }

  removexattr(_context: RequestContext, ino: Ino, name: Buffer): Answer<0> {
    const xattrs = this.#tree.nodes.get(ino)?.xattrs;
    return xattrs?.delete(name.toString('latin1')) === true ? 0 : -ENODATA;
  }

  lseek(ino: Ino, offset: number, whence: number): number {
    const file = this.#tree.nodes.get(ino)?.file;
    if (file === undefined || offset >= file.sizeBytes) return -ENXIO;
    const found = whence === SEEK_DATA ? file.nextData(offset) : file.nextHole(offset);
    return found ?? -ENXIO;
  }

  /** Lines may come in parts. */
  #mark(data: Buffer): number {
    if (this.#isCut) return -EIO;
    const lines = (this.#markText + data.toString('utf8')).split('\n');
    this.#markText = lines.pop() ?? '';
    for (const line of lines) this.#log.mark(line);
    return data.length;
  }

  #sync(ino: Ino, dataOnly: boolean): Answer<0> {
    const node = this.#tree.nodes.get(ino);
    if (node === undefined) return -ENOENT;
    const counts = this.#count(node);
    if (node.entries !== undefined) counts.folderSyncs++;
    else if (dataOnly) counts.fdatasyncs++;
    else counts.fsyncs++;
    return this.#run('sync', ino, undefined, (_node, verdict) => {
      this.#tree.sync(node, dataOnly, verdict?.sync);
      return verdict?.sync === 'drop' ? -EIO : 0;
    });
  }

  #make(context: RequestContext, parent: Ino, name: Buffer, made: NewNode): Answer<Attr> {
    const text = name.toString('latin1');
    return this.#run('name', parent, context, (folder) => {
      if (folder.device === undefined) return -EPERM;
      this.#count(folder).names++;
      const node = this.#tree.make(folder, text, made);
      return typeof node === 'number' ? node : node.attr;
    });
  }

  #remove(context: RequestContext, parent: Ino, name: Buffer, isFolder: boolean): Answer<0> {
    const text = name.toString('latin1');
    return this.#run('name', parent, context, (folder) => {
      if (folder.device === undefined) return -EPERM;
      this.#count(folder).names++;
      return this.#tree.remove(folder, text, isFolder);
    });
  }

  #setAttributes(node: Node, change: AttrChange): void {
    const { attr } = node;
    const { mode, uid, gid, atime, mtime, killSuidGid } = change;
    const isGiven = uid !== undefined || gid !== undefined;
    if ((killSuidGid === true || isGiven) && node.entries === undefined) {
      attr.mode &= ~SUID;
      if ((attr.mode & GROUP_EXECUTE) !== 0) attr.mode &= ~SGID;
    }
    if (mode !== undefined) this.#tree.chmod(node, mode & 0o7777);
    if (uid !== undefined) attr.uid = uid;
    if (gid !== undefined) attr.gid = gid;
    const now = { sec: Math.floor(Date.now() / 1000), nsec: (Date.now() % 1000) * 1_000_000 };
    if (atime !== undefined) {
      const { sec, nsec } = atime === 'now' ? now : atime;
      [attr.atimeSec, attr.atimeNsec] = [sec, nsec];
    }
    if (mtime !== undefined) this.#tree.setMtime(node, mtime === 'now' ? now : mtime);
    [attr.ctimeSec, attr.ctimeNsec] = [now.sec, now.nsec];
  }

  /** Runs an operation as the rules let it, on the inode there is by then. */
  #run<T>(
    operation: Occurring,
    ino: Ino,
    context: RequestContext | undefined,
    act: (node: Node, verdict: Verdict | undefined) => T | NegativeErrno,
  ): Answer<T> {
    const node = this.#tree.nodes.get(ino);
    if (this.#isCut) return -EIO;
    if (node === undefined) return -ENOENT;
    const verdict = this.#verdict(operation, node, context?.unique ?? 0);
    if (verdict?.errno !== undefined) return verdict.errno;
    if (verdict?.wait === undefined) return act(node, verdict);
    return verdict.wait.then((result) => {
      if (result < 0) return result;
      return this.#isCut ? -EIO : act(node, verdict);
    });
  }

  #verdict(operation: Occurring, node: Node, unique: number): Verdict | undefined {
    if (this.#faults.isEmpty || node.device === undefined) return undefined;
    const path = (): string => this.#tree.pathOf(node);
    return this.#faults.meet({ operation, device: node.device.name, path, unique });
  }

  #count(node: Node): ReturnType<OperationLog['of']> {
    return this.#log.of(node.device?.name ?? '');
  }
}

function newNode({ uid, gid, umask }: RequestContext, mode: number): NewNode {
  return { mode: mode & ~umask, uid, gid };
}

function markAttr(): Attr {
  return {
    ino: MARK_INO,
    mode: 0o100666,
    nlink: 1,
    uid: 0,
    gid: 0,
    rdev: 0,
    sizeBytes: 0,
    blocks: 0,
    atimeSec: 0,
    atimeNsec: 0,
    mtimeSec: 0,
    mtimeNsec: 0,
    ctimeSec: 0,
    ctimeNsec: 0,
    btimeSec: 0,
    btimeNsec: 0,
  };
}
