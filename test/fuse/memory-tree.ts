import type { NegativeErrno } from '../../src/base/errno.ts';
import {
  EEXIST,
  EINVAL,
  EISDIR,
  ENODATA,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
} from '../../src/base/errno.ts';
import type { Ino } from '../../src/base/ids.ts';
import { ROOT_INO } from '../../src/base/ids.ts';
import type { Attr } from '../../src/vfs/mod.ts';

const TYPE_MASK = 0o170000;
const TYPE_FOLDER = 0o040000;
const SUID = 0o4000;
const SGID = 0o2000;
const GROUP_EXECUTE = 0o010;
const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;
const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;

export interface MemoryNode {
  attr: Attr;
  /** Content of a file, with room behind its end, or the target of a symlink. */
  data: Buffer;
  /** Entries of a folder in the order of their cookies; names as latin1, to keep any byte. */
  children: Map<string, { ino: Ino; cookie: number }>;
  parent: Ino;
  xattrs: Map<string, Buffer>;
  /** Answers about it come as promises. */
  late: boolean;
}

/** A change of the tree as plain JSON: applying the same list to a new tree gives the same tree. */
export type TreeOp = { timeMs: number } & (
  | {
      kind: 'make';
      parent: Ino;
      name: string;
      mode: number;
      uid: number;
      gid: number;
      rdev: number;
      target?: string;
    }
  | { kind: 'remove'; parent: Ino; name: string; folder: boolean }
  | { kind: 'rename'; parent: Ino; name: string; newParent: Ino; newName: string; flags: number }
  | { kind: 'link'; ino: Ino; newParent: Ino; newName: string }
  | { kind: 'setattr'; ino: Ino; change: TreeChange }
  | { kind: 'write'; ino: Ino; offset: number; data: string; kill: boolean }
  | { kind: 'setxattr'; ino: Ino; name: string; value: string; flags: number }
  | { kind: 'removexattr'; ino: Ino; name: string }
);

export interface TreeChange {
  mode?: number;
  uid?: number;
  gid?: number;
  sizeBytes?: number;
  atime?: { sec: number; nsec: number };
  mtime?: { sec: number; nsec: number };
  kill?: boolean;
}

type Result = Ino | 0 | NegativeErrno;

/**
 * A file tree in memory. Each change returns the inode it made, 0, or a negative errno, and is
 * deterministic.
 */
export class MemoryTree {
  readonly nodes: Map<Ino, MemoryNode> = new Map();
  #nextIno = 2;
  #nextCookie = 3;

  constructor() {
    this.nodes.set(ROOT_INO, newNode(ROOT_INO, ROOT_INO, TYPE_FOLDER | 0o755, 0));
  }

  apply(op: TreeOp): Result {
    switch (op.kind) {
      case 'make':
        return this.#make(op);
      case 'remove':
        return this.#remove(op.parent, op.name, op.folder, op.timeMs);
      case 'rename':
        return this.#rename(op);
      case 'link':
        return this.#link(op.ino, op.newParent, op.newName, op.timeMs);
      case 'setattr':
        return this.#setattr(op.ino, op.change, op.timeMs);
      case 'write':
        return this.write(op.ino, op.offset, Buffer.from(op.data, 'base64'), op.kill, op.timeMs);
      case 'setxattr':
        return this.#setxattr(op.ino, op.name, Buffer.from(op.value, 'base64'), op.flags);
      case 'removexattr':
        return this.nodes.get(op.ino)?.xattrs.delete(op.name) === true ? 0 : -ENODATA;
    }
  }

  /**
   * Writes content: the count of bytes. Apart from apply(), because its data need not become text.
   */
  write(ino: Ino, offset: number, data: Buffer, kill: boolean, timeMs: number): number {
    const node = this.nodes.get(ino);
    if (node === undefined) return -ENOENT;
    const end = offset + data.length;
    reserve(node, end);
    data.copy(node.data, offset);
    if (end > node.attr.sizeBytes) setSize(node, end);
    if (kill) killSuidGid(node.attr);
    touch(node.attr, timeMs);
    return data.length;
  }

  #make(op: TreeOp & { kind: 'make' }): Result {
    const parent = this.nodes.get(op.parent);
    if (parent === undefined) return -ENOENT;
    if (parent.children.has(op.name)) return -EEXIST;
    const ino = this.#nextIno++ as Ino;
    const node = newNode(ino, op.parent, op.mode, op.timeMs);
    node.attr.uid = op.uid;
    node.attr.gid = op.gid;
    node.attr.rdev = op.rdev;
    node.late = op.name.startsWith('late');
    if (op.target !== undefined) {
      node.data = Buffer.from(op.target, 'latin1');
      node.attr.sizeBytes = node.data.length;
    }
    this.nodes.set(ino, node);
    this.#enter(parent, op.name, node, op.timeMs);
    return ino;
  }

  #enter(parent: MemoryNode, name: string, node: MemoryNode, timeMs: number): void {
    parent.children.set(name, { ino: node.attr.ino, cookie: this.#nextCookie++ });
    node.parent = parent.attr.ino;
    if (isFolder(node)) parent.attr.nlink++;
    touch(parent.attr, timeMs);
  }

  #leave(parent: MemoryNode, name: string, node: MemoryNode, timeMs: number): void {
    parent.children.delete(name);
    if (isFolder(node)) parent.attr.nlink--;
    touch(parent.attr, timeMs);
  }

  #child(parent: Ino, name: string): [MemoryNode, MemoryNode] | undefined {
    const folder = this.nodes.get(parent);
    const entry = folder?.children.get(name);
    const node = entry === undefined ? undefined : this.nodes.get(entry.ino);
    return folder === undefined || node === undefined ? undefined : [folder, node];
  }

  #remove(parent: Ino, name: string, folder: boolean, timeMs: number): Result {
    const found = this.#child(parent, name);
    if (found === undefined) return -ENOENT;
    const [from, node] = found;
    if (folder && !isFolder(node)) return -ENOTDIR;
    if (!folder && isFolder(node)) return -EISDIR;
    if (node.children.size > 0) return -ENOTEMPTY;
    this.#leave(from, name, node, timeMs);
    node.attr.nlink = folder ? 0 : node.attr.nlink - 1;
    changed(node.attr, timeMs);
    return 0;
  }

  #rename(op: TreeOp & { kind: 'rename' }): Result {
    const { parent, name, newParent, newName, flags, timeMs } = op;
    const found = this.#child(parent, name);
    const to = this.nodes.get(newParent);
    if (found === undefined || to === undefined) return -ENOENT;
    const [from, node] = found;
    const target = this.#child(newParent, newName)?.[1];
    if (flags === RENAME_EXCHANGE) {
      if (target === undefined) return -ENOENT;
      this.#leave(from, name, node, timeMs);
      this.#leave(to, newName, target, timeMs);
      this.#enter(to, newName, node, timeMs);
      this.#enter(from, name, target, timeMs);
      return 0;
    }
    if ((flags & ~RENAME_NOREPLACE) !== 0) return -EINVAL;
    if (target !== undefined) {
      if (flags === RENAME_NOREPLACE) return -EEXIST;
      if (target === node) return 0;
      const removed = this.#remove(newParent, newName, isFolder(node), timeMs);
      if (removed < 0) return removed;
    }
    this.#leave(from, name, node, timeMs);
    this.#enter(to, newName, node, timeMs);
    changed(node.attr, timeMs);
    return 0;
  }

  #link(ino: Ino, newParent: Ino, newName: string, timeMs: number): Result {
    const node = this.nodes.get(ino);
    const to = this.nodes.get(newParent);
    if (node === undefined || to === undefined) return -ENOENT;
    if (to.children.has(newName)) return -EEXIST;
    this.#enter(to, newName, node, timeMs);
    node.attr.nlink++;
    changed(node.attr, timeMs);
    return ino;
  }

  #setattr(ino: Ino, change: TreeChange, timeMs: number): Result {
    const node = this.nodes.get(ino);
    if (node === undefined) return -ENOENT;
    const { attr } = node;
    if (change.kill === true || change.uid !== undefined || change.gid !== undefined) {
      if (!isFolder(node)) killSuidGid(attr);
    }
    if (change.mode !== undefined) attr.mode = (attr.mode & TYPE_MASK) | (change.mode & 0o7777);
    if (change.uid !== undefined) attr.uid = change.uid;
    if (change.gid !== undefined) attr.gid = change.gid;
    if (change.sizeBytes !== undefined) {
      reserve(node, change.sizeBytes);
      if (change.sizeBytes < attr.sizeBytes) node.data.fill(0, change.sizeBytes, attr.sizeBytes);
      setSize(node, change.sizeBytes);
      touch(attr, timeMs);
    }
    if (change.atime !== undefined) [attr.atimeSec, attr.atimeNsec] = pair(change.atime);
    if (change.mtime !== undefined) [attr.mtimeSec, attr.mtimeNsec] = pair(change.mtime);
    changed(attr, timeMs);
    return 0;
  }

  #setxattr(ino: Ino, name: string, value: Buffer, flags: number): Result {
    const xattrs = this.nodes.get(ino)?.xattrs;
    if (xattrs === undefined) return -ENOENT;
    if (flags === XATTR_CREATE && xattrs.has(name)) return -EEXIST;
    if (flags === XATTR_REPLACE && !xattrs.has(name)) return -ENODATA;
    xattrs.set(name, value);
    return 0;
  }
}

export function isFolder(node: MemoryNode): boolean {
  return (node.attr.mode & TYPE_MASK) === TYPE_FOLDER;
}

function newNode(ino: Ino, parent: Ino, mode: number, timeMs: number): MemoryNode {
  const sec = Math.floor(timeMs / 1000);
  const nsec = Math.floor((timeMs % 1000) * 1e6);
  const attr: Attr = {
    ino,
    mode,
    nlink: (mode & TYPE_MASK) === TYPE_FOLDER ? 2 : 1,
    uid: 0,
    gid: 0,
    rdev: 0,
    sizeBytes: 0,
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
  return {
    attr,
    data: Buffer.alloc(0),
    children: new Map(),
    parent,
    xattrs: new Map(),
    late: false,
  };
}

function reserve(node: MemoryNode, bytes: number): void {
  if (bytes <= node.data.length) return;
  const grown = Buffer.alloc(Math.max(bytes, node.data.length * 2, 4096));
  node.data.copy(grown, 0, 0, node.attr.sizeBytes);
  node.data = grown;
}

function setSize(node: MemoryNode, bytes: number): void {
  node.attr.sizeBytes = bytes;
  node.attr.blocks = Math.ceil(bytes / 4096) * 8;
}

function killSuidGid(attr: Attr): void {
  attr.mode &= ~SUID;
  if ((attr.mode & GROUP_EXECUTE) !== 0) attr.mode &= ~SGID;
}

function changed(attr: Attr, timeMs: number): void {
  attr.ctimeSec = Math.floor(timeMs / 1000);
  attr.ctimeNsec = Math.floor((timeMs % 1000) * 1e6);
}

function touch(attr: Attr, timeMs: number): void {
  changed(attr, timeMs);
  attr.mtimeSec = attr.ctimeSec;
  attr.mtimeNsec = attr.ctimeNsec;
}

function pair(time: { sec: number; nsec: number }): [number, number] {
  return [time.sec, time.nsec];
}
