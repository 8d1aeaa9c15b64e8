import {
  EEXIST,
  EINVAL,
  EISDIR,
  ENOENT,
  ENOSPC,
  ENOTDIR,
  ENOTEMPTY,
  EXDEV,
  type NegativeErrno,
} from '../../src/base/errno.ts';
import { type Ino, ROOT_INO } from '../../src/base/ids.ts';
import type { Attr } from '../../src/vfs/mod.ts';
import { FileHistory, type Time } from './file-history.ts';
import { NameHistory } from './name-history.ts';
import type { OperationLog } from './operation-log.ts';
import { PAGE_BYTES } from './page-history.ts';

const TYPE_MASK = 0o170000;
const TYPE_FOLDER = 0o040000;
const TYPE_FILE = 0o100000;
const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;
/** Cookies 1 and 2 are "." and "..". */
const COOKIE_FIRST = 3;

/** A device of the rig: a top-level folder. */
export interface Device {
  name: string;
  root: Ino;
  names: NameHistory;
  capacityBytes: number;
  usedPages: number;
  /** When a sync committed the journal, in the ext4 model. */
  commits: number[];
}

/** A file, folder or anything else. Nodes stay for good: a state of the past may need them. */
export interface Node {
  attr: Attr;
  /** undefined: the root of all, which belongs to no device. */
  device: Device | undefined;
  parent: Ino;
  /** The last name it had. */
  name: string;
  file?: FileHistory;
  entries?: Map<string, { ino: Ino; cookie: number }>;
  target?: Buffer;
  xattrs: Map<string, Buffer>;
}

/** Who makes an inode, and with which attributes. */
export interface NewNode {
  mode: number;
  uid: number;
  gid: number;
  rdev?: number;
  target?: Buffer;
}

/** The files and folders of all devices as they are now, with their histories. */
export class DeviceTree {
  readonly nodes: Map<Ino, Node> = new Map();
  readonly devices: Map<string, Device> = new Map();
  readonly #log: OperationLog;
  #nextIno = 2;
  #nextCookie = COOKIE_FIRST;

  constructor(log: OperationLog, devices: Record<string, number>) {
    this.#log = log;
    const attributes = { mode: TYPE_FOLDER | 0o755, uid: 0, gid: 0 };
    const root = this.#node(ROOT_INO, undefined, '', attributes);
    for (const [name, capacityBytes] of Object.entries(devices)) {
      const ino = this.#nextIno++ as Ino;
      const names = new NameHistory();
      const device = { name, root: ino, names, capacityBytes, usedPages: 0, commits: [] };
      this.devices.set(name, device);
      this.#enter(root, name, this.#node(ino, device, name, attributes));
    }
  }

  /** Path inside the device. */
  pathOf(node: Node): string {
    const parts: string[] = [];
    for (let at: Node | undefined = node; at !== undefined && at.attr.ino !== at.device?.root; ) {
      if (at.device === undefined) break;
      parts.unshift(at.name);
      at = this.nodes.get(at.parent);
    }
    return parts.join('/');
  }

  /** Without a name (undefined), it is an O_TMPFILE. */
  make(parent: Node, name: string | undefined, made: NewNode): Node | NegativeErrno {
    const { entries, device } = parent;
    if (entries === undefined) return -ENOTDIR;
    if (device === undefined) return -EINVAL;
    if (name !== undefined && entries.has(name)) return -EEXIST;
    const ino = this.#nextIno++ as Ino;
    const node = this.#node(ino, device, name ?? `#${ino}`, made);
    node.parent = parent.attr.ino;
    const sequence = this.#add(node, 'create');
    if ((made.mode & TYPE_MASK) === TYPE_FILE) {
      node.file = new FileHistory(sequence, { mode: made.mode & 0o7777, mtime: now() });
    }
    if (name === undefined) {
      node.attr.nlink = 0;
      return node;
    }
    device.names.change(sequence, [{ folder: parent.attr.ino, name, ino }]);
    this.#enter(parent, name, node);
    return node;
  }

  remove(parent: Node, name: string, isFolder: boolean): 0 | NegativeErrno {
    const node = this.child(parent, name);
    if (node === undefined) return -ENOENT;
    if (isFolder && node.entries === undefined) return -ENOTDIR;
    if (!isFolder && node.entries !== undefined) return -EISDIR;
    if ((node.entries?.size ?? 0) > 0) return -ENOTEMPTY;
    const sequence = this.#add(node, 'remove');
    node.device?.names.change(sequence, [{ folder: parent.attr.ino, name, ino: undefined }]);
    this.#leave(parent, name, node);
    this.#unlinked(node);
    return 0;
  }

  rename(
    from: { parent: Node; name: string },
    to: { parent: Node; name: string },
    flags: number,
  ): 0 | NegativeErrno {
    const node = this.child(from.parent, from.name);
    const target = this.child(to.parent, to.name);
    if (node === undefined) return -ENOENT;
    if (from.parent.device !== to.parent.device) return -EXDEV;
    const isExchange = flags === RENAME_EXCHANGE;
    if (isExchange && target === undefined) return -ENOENT;
    if (flags === RENAME_NOREPLACE && target !== undefined) return -EEXIST;
    if (node === target) return 0;
    if (!isExchange && target !== undefined) {
      if (target.entries !== undefined && node.entries === undefined) return -EISDIR;
      if (target.entries === undefined && node.entries !== undefined) return -ENOTDIR;
      if ((target.entries?.size ?? 0) > 0) return -ENOTEMPTY;
    }
    const sequence = this.#add(node, `rename to ${to.name}`);
    const [folder, newFolder] = [from.parent.attr.ino, to.parent.attr.ino];
    node.device?.names.change(sequence, [
      { folder, name: from.name, ino: isExchange ? target?.attr.ino : undefined },
      { folder: newFolder, name: to.name, ino: node.attr.ino },
    ]);
    this.#leave(from.parent, from.name, node);
    if (target !== undefined) this.#leave(to.parent, to.name, target);
    this.#enter(to.parent, to.name, node);
    if (isExchange && target !== undefined) this.#enter(from.parent, from.name, target);
    else if (target !== undefined) this.#unlinked(target);
    return 0;
  }

  link(node: Node, parent: Node, name: string): 0 | NegativeErrno {
    if (parent.entries?.has(name) === true) return -EEXIST;
    if (node.device !== parent.device) return -EXDEV;
    const sequence = this.#add(node, `link ${name}`);
    const { ino } = node.attr;
    node.device?.names.change(sequence, [{ folder: parent.attr.ino, name, ino }]);
    this.#enter(parent, name, node);
    if (node.attr.nlink++ === 0 && node.device !== undefined && node.file !== undefined)
      node.device.usedPages += node.file.allocatedPages;
    return 0;
  }

  /** `data` belongs to the tree from now on. */
  write(node: Node, offset: number, data: Buffer): number {
    const { file } = node;
    if (file === undefined) return -EINVAL;
    const more = node.device === undefined ? 0 : file.newPages(offset, data.length);
    if (!this.#hasRoom(node, more)) return -ENOSPC;
    const lengthBytes = data.length;
    const sequence = this.#add(node, 'write', { offset, lengthBytes });
    this.#changing(node, (mtime) => file.write(sequence, offset, data, mtime));
    return lengthBytes;
  }

  resize(node: Node, sizeBytes: number): 0 | NegativeErrno {
    const { file } = node;
    if (file === undefined) return -EINVAL;
    const sequence = this.#add(node, 'resize', { lengthBytes: sizeBytes });
    this.#changing(node, (mtime) => file.resize(sequence, sizeBytes, mtime));
    return 0;
  }

  /** Makes a range zeros, the pages that are whole in it holes. */
  punch(node: Node, offset: number, lengthBytes: number): 0 | NegativeErrno {
    const { file } = node;
    if (file === undefined) return -EINVAL;
    const sequence = this.#add(node, 'punch', { offset, lengthBytes });
    this.#changing(node, (mtime) => file.punch(sequence, offset, offset + lengthBytes, mtime));
    return 0;
  }

  /** Sets the time of the last change, which is in the history. */
  setMtime(node: Node, mtime: Time): void {
    const { file, attr } = node;
    attr.mtimeSec = mtime.sec;
    attr.mtimeNsec = mtime.nsec;
    if (file === undefined) return;
    file.resize(this.#add(node, 'utimes'), file.sizeBytes, mtime);
  }

  chmod(node: Node, mode: number): void {
    node.attr.mode = (node.attr.mode & ~0o7777) | mode;
    node.file?.chmod(this.#add(node, 'chmod'), mode);
  }

  /** Syncs a file or a folder; 'lie' does nothing, 'drop' loses what it should have written. */
  sync(node: Node, dataOnly: boolean, fault?: 'lie' | 'drop'): void {
    const kind = node.entries !== undefined ? 'fsyncdir' : dataOnly ? 'fdatasync' : 'fsync';
    const sequence = this.#add(node, kind, fault === undefined ? {} : { fault });
    if (fault === 'drop') node.file?.drop(sequence);
    if (fault !== undefined) return;
    node.file?.sync(sequence, dataOnly);
    if (node.entries !== undefined) node.device?.names.sync(sequence, node.attr.ino);
    node.device?.commits.push(sequence);
  }

  /** Turns a bit of the medium over. */
  flip(node: Node, page: number, bit: number): void {
    node.file?.flip(this.#add(node, 'flip', { offset: page * PAGE_BYTES }), page, bit);
  }

  /** Everything is on its device as it is now, and what was before is forgotten. */
  settle(): void {
    this.#log.settle();
    for (const { file } of this.nodes.values()) file?.settle(this.#log.sequence);
    for (const device of this.devices.values()) {
      device.names.settle();
      device.commits.splice(0, device.commits.length, this.#log.sequence);
    }
  }

  child(parent: Node, name: string): Node | undefined {
    const entry = parent.entries?.get(name);
    return entry === undefined ? undefined : this.nodes.get(entry.ino);
  }

  #changing(node: Node, change: (mtime: Time) => void): void {
    const { file, attr, device } = node;
    if (file === undefined) return;
    const before = file.allocatedPages;
    const mtime = now();
    change(mtime);
    if (device !== undefined && attr.nlink > 0) device.usedPages += file.allocatedPages - before;
    attr.sizeBytes = file.sizeBytes;
    attr.blocks = file.allocatedPages * (PAGE_BYTES / 512);
    [attr.mtimeSec, attr.mtimeNsec] = [mtime.sec, mtime.nsec];
    touch(node);
  }

  #hasRoom({ device }: Node, morePages: number): boolean {
    if (device === undefined) return true;
    return morePages === 0 || (device.usedPages + morePages) * PAGE_BYTES <= device.capacityBytes;
  }

  #enter(parent: Node, name: string, node: Node): void {
    parent.entries?.set(name, { ino: node.attr.ino, cookie: this.#nextCookie++ });
    node.parent = parent.attr.ino;
    node.name = name;
    if (node.entries !== undefined) parent.attr.nlink++;
    touch(node);
    touch(parent);
  }

  #leave(parent: Node, name: string, node: Node): void {
    parent.entries?.delete(name);
    if (node.entries !== undefined) parent.attr.nlink--;
    touch(node);
    touch(parent);
  }

  #unlinked({ attr, entries, device, file }: Node): void {
    attr.nlink = entries === undefined ? attr.nlink - 1 : 0;
    if (attr.nlink === 0 && device !== undefined) device.usedPages -= file?.allocatedPages ?? 0;
  }

  #add(
    node: Node,
    kind: string,
    more: { offset?: number; lengthBytes?: number; fault?: string } = {},
  ): number {
    const device = node.device?.name ?? '';
    return this.#log.add({ kind, device, path: this.pathOf(node), ...more });
  }

  #node(ino: Ino, device: Device | undefined, name: string, made: NewNode): Node {
    const { sec, nsec } = now();
    const isFolder = (made.mode & TYPE_MASK) === TYPE_FOLDER;
    const attr: Attr = {
      ino,
      mode: made.mode,
      nlink: isFolder ? 2 : 1,
      uid: made.uid,
      gid: made.gid,
      rdev: made.rdev ?? 0,
      sizeBytes: made.target?.length ?? 0,
      blocks: 0,
      atimeSec: sec,
      atimeNsec: nsec,
      mtimeSec: sec,
      mtimeNsec: nsec,
      ctimeSec: sec,
      ctimeNsec: nsec,
      btimeSec: sec,
      btimeNsec: nsec,
    };
    const node: Node = { attr, device, parent: ROOT_INO, name, xattrs: new Map() };
    if (isFolder) node.entries = new Map();
    if (made.target !== undefined) node.target = made.target;
    this.nodes.set(ino, node);
    return node;
  }
}

function now(): Time {
  const ms = Date.now();
  return { sec: Math.floor(ms / 1000), nsec: (ms % 1000) * 1_000_000 };
}

function touch({ attr, file }: Node): void {
  const { sec, nsec } = now();
  [attr.ctimeSec, attr.ctimeNsec] = [sec, nsec];
  if (file === undefined) [attr.mtimeSec, attr.mtimeNsec] = [sec, nsec];
}
