import { Content } from './content.ts';
import {
  type Done,
  type Id,
  type Operation,
  type Outcome,
  ROOT_ID,
  type Times,
  xattrValue,
} from './operations.ts';
import { stamped } from './stamps.ts';

export type NodeKind = 'file' | 'folder' | 'symlink' | 'fifo';

/** An inode at one instant; never changed. */
export interface ModelNode {
  readonly id: Id;
  readonly kind: NodeKind;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly target: string;
  readonly xattrs: ReadonlyMap<string, Buffer>;
  readonly content: Content;
  /** Of a folder. */
  readonly entries: ReadonlyMap<string, Id>;
  /** Undefined before somebody looked. */
  readonly mtime: string | undefined;
  readonly ctime: string | undefined;
}

/** The file system at one instant: all inodes, those without a name too. */
export type ModelState = ReadonlyMap<Id, ModelNode>;

const ROOT_MODE = 0o755;

/** What an operation that is over has changed. */
export interface Change {
  /** Inodes whose names, attributes or metadata it changed. */
  meta: readonly Id[];
  /** The file whose bytes it changed. */
  content: Id | undefined;
}

/**
 * A file system in memory, with all the states it ever was in: `states[n]` is the one behind n
 * operations.
 */
export class Model {
  readonly states: ModelState[];
  readonly done: Done[] = [];
  readonly changes: Change[] = [];
  #nodes: Map<Id, ModelNode>;
  #touched = new Set<Id>();

  constructor() {
    this.#nodes = new Map([[ROOT_ID, newNode(ROOT_ID, 'folder', ROOT_MODE)]]);
    this.states = [this.#nodes];
  }

  get now(): ModelState {
    return this.#nodes;
  }

  node(id: Id): ModelNode {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new Error(`Cannot find inode ${id} in the model`);
    return node;
  }

  /** The number the next operation has. */
  get next(): number {
    return this.done.length + 1;
  }

  /** Inodes the operation would touch, were it the next one. */
  preview(operation: Operation): Id[] {
    const before = this.#nodes;
    this.#begin();
    const content = this.#apply(operation, this.next, undefined);
    if (content !== undefined) this.#touched.add(content);
    const touched = [...this.#touched].filter((id) => this.#nodes.has(id));
    this.#nodes = before;
    return touched;
  }

  /** Paths, from the root on, of what has a name behind `operation`, were it the next one. */
  pathsAfter(operation: Operation): Map<Id, string> {
    const before = this.#nodes;
    this.#begin();
    this.#apply(operation, this.next, undefined);
    const paths = new Map<Id, string>([[ROOT_ID, '']]);
    for (const [id, path] of paths) {
      for (const [name, child] of this.node(id).entries) {
        if (!paths.has(child)) paths.set(child, `${path}/${name}`);
      }
    }
    this.#nodes = before;
    return paths;
  }

  /** Takes note of an operation that was carried out. */
  add(done: Done): void {
    const { operation, outcome } = done;
    this.#begin();
    const content = this.#apply(operation, this.next, outcome);
    for (const [id, times] of outcome.times) {
      const node = this.#nodes.get(id);
      if (node !== undefined) this.#nodes.set(id, { ...node, ...times });
    }
    this.done.push(done);
    this.changes.push({ meta: [...this.#touched], content });
    this.states.push(this.#nodes);
  }

  /** Takes note of an operation of which nobody knows whether it was carried out. */
  addUnknown(operation: Operation): void {
    const unknown: Times = { mtime: undefined, ctime: undefined };
    const times = this.preview(operation).map((id): [Id, Times] => [id, unknown]);
    this.add({ operation, outcome: { times } });
  }

  #begin(): void {
    this.#nodes = new Map(this.#nodes);
    this.#touched = new Set();
  }

  #set(id: Id, change: Partial<ModelNode>): void {
    this.#nodes.set(id, { ...this.node(id), ...change });
    this.#touched.add(id);
  }

  #enter(parent: Id, name: string, id: Id): void {
    this.#set(parent, { entries: new Map(this.node(parent).entries).set(name, id) });
  }

  #remove(parent: Id, name: string): Id {
    const entries = new Map(this.node(parent).entries);
    const id = entries.get(name);
    if (id === undefined) throw new Error(`Cannot find ${name} in folder ${parent} of the model`);
    entries.delete(name);
    this.#set(parent, { entries });
    return id;
  }

  /** One name less. What nobody can reach or has open is gone. */
  #unlinked(id: Id, keepOpen: boolean): void {
    const { kind, nlink } = this.node(id);
    if (kind !== 'folder' && (nlink > 1 || keepOpen)) this.#set(id, { nlink: nlink - 1 });
    else this.#nodes.delete(id);
  }

  #folders(parent: Id, change: number): void {
    this.#set(parent, { nlink: this.node(parent).nlink + change });
  }

  /** Makes the change; the file whose bytes it changes. */
  #apply(operation: Operation, number: number, outcome: Outcome | undefined): Id | undefined {
    switch (operation.kind) {
      case 'create':
      case 'fifo':
      case 'mkdir':
      case 'symlink':
      case 'tmpfile':
        this.#make(operation);
        return undefined;
      case 'rename':
        this.#rename(operation);
        return undefined;
      case 'link':
        this.#enter(operation.parent, operation.name, operation.id);
        this.#set(operation.id, { nlink: this.node(operation.id).nlink + 1 });
        return undefined;
      case 'unlink':
        this.#unlinked(this.#remove(operation.parent, operation.name), operation.keepOpen);
        return undefined;
      case 'rmdir':
        this.#unlinked(this.#remove(operation.parent, operation.name), false);
        this.#folders(operation.parent, -1);
        return undefined;
      case 'close':
        this.#nodes.delete(operation.id);
        return undefined;
      case 'setxattr':
      case 'removexattr': {
        const xattrs = new Map(this.node(operation.id).xattrs);
        if (operation.kind === 'removexattr') xattrs.delete(operation.name);
        else xattrs.set(operation.name, xattrValue(number, operation.lengthBytes));
        this.#set(operation.id, { xattrs });
        return undefined;
      }
      case 'chmod':
        this.#set(operation.id, { mode: operation.mode });
        return undefined;
      case 'chown':
        this.#set(operation.id, { uid: operation.uid, gid: operation.gid });
        return undefined;
      case 'utimes':
        this.#set(operation.id, {});
        return undefined;
      case 'write':
      case 'truncate':
      case 'punch':
      case 'zero':
      case 'grow':
      case 'clone':
        return this.#change(operation, number, outcome);
      default:
        return undefined;
    }
  }

  #make(
    operation: Operation & { kind: 'create' | 'fifo' | 'mkdir' | 'symlink' | 'tmpfile' },
  ): void {
    const { kind, id, mode, parent } = operation;
    const nodeKind = KINDS[kind];
    const target = kind === 'symlink' ? operation.target : '';
    const nlink = kind === 'tmpfile' ? 0 : kind === 'mkdir' ? 2 : 1;
    this.#nodes.set(id, { ...newNode(id, nodeKind, mode), target, nlink });
    this.#touched.add(id);
    if (kind === 'tmpfile') return;
    this.#enter(parent, operation.name, id);
    if (kind === 'mkdir') this.#folders(parent, 1);
  }

  #rename(operation: Operation & { kind: 'rename' }): void {
    const { parent, name, newParent, newName, exchange, keepOpen } = operation;
    const id = this.#remove(parent, name);
    const isFolder = this.node(id).kind === 'folder';
    const other = this.node(newParent).entries.get(newName);
    if (other !== undefined) {
      this.#remove(newParent, newName);
      const isOtherFolder = this.node(other).kind === 'folder';
      if (exchange) {
        this.#enter(parent, name, other);
        this.#set(other, {});
        if (isOtherFolder && parent !== newParent) {
          this.#folders(newParent, -1);
          this.#folders(parent, 1);
        }
      } else {
        if (isOtherFolder) this.#folders(newParent, -1);
        this.#unlinked(other, keepOpen);
      }
    }
    this.#enter(newParent, newName, id);
    this.#set(id, {});
    if (isFolder && parent !== newParent) {
      this.#folders(parent, -1);
      this.#folders(newParent, 1);
    }
  }

  #change(
    operation: Operation & { kind: 'write' | 'truncate' | 'punch' | 'zero' | 'grow' | 'clone' },
    number: number,
    outcome: Outcome | undefined,
  ): Id {
    const { id } = operation;
    const { content } = this.node(id);
    if (operation.kind === 'truncate') {
      this.#set(id, { content: content.truncate(operation.sizeBytes) });
      return id;
    }
    const { offset, lengthBytes } = operation;
    const end = offset + lengthBytes;
    switch (operation.kind) {
      case 'write':
        this.#setContent(id, content.write(offset, stamped(id, number, offset, lengthBytes)));
        break;
      case 'punch':
        this.#set(id, { content: content.zero(offset, lengthBytes) });
        break;
      case 'zero':
      case 'grow': {
        const zeroed = operation.kind === 'zero' ? content.zero(offset, lengthBytes) : content;
        this.#set(id, { content: end > zeroed.sizeBytes ? zeroed.truncate(end) : zeroed });
        break;
      }
      case 'clone': {
        const { source, sourceOffset } = operation;
        const copied = outcome?.lengthBytes ?? lengthBytes;
        const bytes = this.node(source).content.slice(sourceOffset, copied);
        const after = content.write(offset, bytes);
        if (outcome?.isShared === true) this.#set(id, { content: after });
        else this.#setContent(id, after);
        break;
      }
    }
    return id;
  }

  /** A write is no change of metadata, though size and times follow it. */
  #setContent(id: Id, content: Content): void {
    this.#nodes.set(id, { ...this.node(id), content });
  }
}

const KINDS = {
  create: 'file',
  tmpfile: 'file',
  mkdir: 'folder',
  symlink: 'symlink',
  fifo: 'fifo',
} as const;

function newNode(id: Id, kind: NodeKind, mode: number): ModelNode {
  const nlink = kind === 'folder' ? 2 : 1;
  const [mtime, ctime] = [undefined, undefined];
  const rest = { uid: 0, gid: 0, target: '', content: Content.EMPTY, mtime, ctime };
  return { id, kind, mode, nlink, xattrs: new Map(), entries: new Map(), ...rest };
}
