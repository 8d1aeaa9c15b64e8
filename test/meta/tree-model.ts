import type { Ino } from '../../src/base/ids.ts';
import type { AttrPatch, MetaOp, Time } from '../../src/meta/mod.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../src/meta/mod.ts';

/** An inode of the model. */
export interface Node {
  ino: Ino;
  mode: number;
  uid: number;
  gid: number;
  rdev: number;
  size: number;
  target: string | undefined;
  entries: Map<string, Node>;
  xattrs: Map<string, string>;
  atime: Time;
  mtime: Time;
  ctime: Time;
  btime: Time;
}

export const ROOT_TIME: Time = { sec: 1, nsec: 2_000_000 };

/** A file tree of plain objects that knows nothing of tables: links are references. */
export class TreeModel {
  readonly root: Node = newNode(1 as Ino, S_IFDIR | 0o755, ROOT_TIME);
  /** Every inode that was not reaped. */
  readonly nodes: Map<Ino, Node> = new Map([[1 as Ino, this.root]]);

  folders(): Node[] {
    return [...this.nodes.values()].filter((node) => isFolder(node) && this.isReachable(node));
  }

  isReachable(node: Node): boolean {
    return node === this.root || this.namesOf(node) > 0;
  }

  namesOf(node: Node): number {
    let names = 0;
    for (const folder of this.nodes.values()) {
      for (const entry of folder.entries.values()) if (entry === node) names++;
    }
    return names;
  }

  nlink(node: Node): number {
    if (!isFolder(node)) return this.namesOf(node);
    if (!this.isReachable(node)) return 0;
    return 2 + [...node.entries.values()].filter(isFolder).length;
  }

  /** The sum of the folders of all names. */
  foldersOf(node: Node): number {
    let sum = 0;
    for (const folder of this.nodes.values()) {
      for (const entry of folder.entries.values()) if (entry === node) sum += folder.ino;
    }
    return sum;
  }

  /** The folder that a folder is in. */
  parentOf(node: Node): Node | undefined {
    if (node === this.root) return node;
    return [...this.nodes.values()].find((folder) => [...folder.entries.values()].includes(node));
  }

  /** Whether `node` is `folder` or lies below it. */
  isBelow(node: Node, folder: Node): boolean {
    for (let at: Node | undefined = node; at !== undefined; at = this.parentOf(at)) {
      if (at === folder) return true;
      if (at === this.root) return false;
    }
    return false;
  }

  /** Carries out an operation that {@link TreeModel.allows}. */
  apply(op: MetaOp): void {
    const node = 'ino' in op ? this.nodes.get(op.ino) : undefined;
    if (op.kind === 'create') return this.#create(op);
    if (op.kind === 'link') return this.#link(op);
    if (op.kind === 'unlink' || op.kind === 'rmdir') return this.#remove(op);
    if (op.kind === 'rename') return this.#rename(op);
    if (op.kind === 'tmpfile') return this.#tmpfile(op);
    if (op.kind === 'chunk' || op.kind === 'inline') return;
    if (node === undefined || op.kind === 'extents' || op.kind === 'forget') return;
    if (op.kind === 'punch' || op.kind === 'clone') return written(node, op);
    if (op.kind === 'reap') this.nodes.delete(op.ino);
    else if (op.kind === 'setattr') setAttributes(node, op.change, op.time);
    else if (op.kind === 'truncate') {
      Object.assign(node, { size: op.sizeBytes, mtime: op.time, ctime: op.time });
    } else if (op.kind === 'grow') {
      Object.assign(node, { size: op.sizeBytes, mtime: op.mtime, ctime: op.ctime });
    } else if (op.kind === 'setxattr') {
      node.xattrs.set(op.name.toString('latin1'), op.value.toString('latin1'));
      node.ctime = op.time;
    } else {
      node.xattrs.delete(op.name.toString('latin1'));
      node.ctime = op.time;
    }
  }

  #folder(ino: Ino): Node {
    const folder = this.nodes.get(ino);
    if (folder === undefined) throw new Error(`The model has no folder ${ino}`);
    return folder;
  }

  #create(op: MetaOp & { kind: 'create' }): void {
    const node = newNode(op.ino, op.mode, op.time);
    Object.assign(node, { uid: op.uid, gid: op.gid, rdev: op.rdev });
    if ((op.mode & S_IFMT) === S_IFLNK) {
      node.target = op.target.toString('latin1');
      node.size = op.target.length;
    }
    this.nodes.set(op.ino, node);
    this.#put(this.#folder(op.parent), op.name, node, op.time);
  }

  #tmpfile(op: MetaOp & { kind: 'tmpfile' }): void {
    const { uid, gid } = op;
    this.nodes.set(op.ino, { ...newNode(op.ino, op.mode, op.time), uid, gid });
  }

  #put(folder: Node, name: Buffer, node: Node, time: Time): void {
    folder.entries.set(name.toString('latin1'), node);
    Object.assign(folder, { mtime: time, ctime: time });
  }

  #link(op: MetaOp & { kind: 'link' }): void {
    const node = this.#folder(op.ino);
    node.ctime = op.time;
    this.#put(this.#folder(op.parent), op.name, node, op.time);
  }

  #remove(op: { parent: Ino; name: Buffer; time: Time }): void {
    const folder = this.#folder(op.parent);
    const name = op.name.toString('latin1');
    const node = folder.entries.get(name);
    if (node !== undefined) node.ctime = op.time;
    folder.entries.delete(name);
    Object.assign(folder, { mtime: op.time, ctime: op.time });
  }

  #rename(op: MetaOp & { kind: 'rename' }): void {
    const [from, to] = [this.#folder(op.parent), this.#folder(op.newParent)];
    const moved = from.entries.get(op.name.toString('latin1'));
    const replaced = to.entries.get(op.newName.toString('latin1'));
    if (moved === undefined) throw new Error('The model has nothing to rename');
    from.entries.delete(op.name.toString('latin1'));
    this.#put(to, op.newName, moved, op.time);
    moved.ctime = op.time;
    if (replaced !== undefined) replaced.ctime = op.time;
    if (replaced !== undefined && op.exchange) this.#put(from, op.name, replaced, op.time);
    Object.assign(from, { mtime: op.time, ctime: op.time });
  }
}

function newNode(ino: Ino, mode: number, time: Time): Node {
  const times = { atime: time, mtime: time, ctime: time, btime: time };
  const empty = { target: undefined, entries: new Map(), xattrs: new Map() };
  return { ino, mode, uid: 0, gid: 0, rdev: 0, size: 0, ...empty, ...times };
}

function written(node: Node, op: MetaOp & { kind: 'punch' | 'clone' }): void {
  if (op.kind === 'clone') node.size = Math.max(node.size, op.offset + op.lengthBytes);
  Object.assign(node, { mtime: op.time, ctime: op.time });
}

function setAttributes(node: Node, change: AttrPatch, time: Time): void {
  Object.assign(node, change, { ctime: time });
}

export function isFolder(node: Node): boolean {
  return (node.mode & S_IFMT) === S_IFDIR;
}

export function isFile(node: Node): boolean {
  return (node.mode & S_IFMT) === S_IFREG;
}
