import { type Ino, ROOT_INO } from '../../src/base/ids.ts';
import type { FoundNode, FoundTree } from './found-tree.ts';
import type { ModelNode, ModelState } from './model.ts';
import { type Id, ROOT_ID } from './operations.ts';

/** What of files is compared: everything, or only what is metadata whatever their bytes are. */
export type Depth = 'all' | 'metadata';

/** A difference is one sentence that begins with the path. */
export interface Comparison {
  differences: string[];
  /** The inode of each inode of the model that has a name. */
  inos: Map<Id, Ino>;
}

/** Compares a tree with a state of the model; ends after `limit` differences. */
export function compareTree(
  state: ModelState,
  tree: FoundTree,
  options: { depth: Depth; limit: number; apartMs?: number },
): Comparison {
  const walk = new Walk(state, tree, options);
  walk.folder('', ROOT_ID, ROOT_INO);
  return { differences: walk.differences, inos: walk.inos };
}

class Walk {
  readonly differences: string[] = [];
  readonly inos: Map<Id, Ino> = new Map();
  readonly #ids = new Map<Ino, Id>();
  readonly #state: ModelState;
  readonly #tree: FoundTree;
  readonly #depth: Depth;
  readonly #limit: number;
  /** How much times of files may differ. */
  readonly #apartMs: number;

  constructor(
    state: ModelState,
    tree: FoundTree,
    options: { depth: Depth; limit: number; apartMs?: number },
  ) {
    this.#state = state;
    this.#tree = tree;
    this.#depth = options.depth;
    this.#limit = options.limit;
    this.#apartMs = options.apartMs ?? 0;
  }

  #differs(path: string, what: string): void {
    this.differences.push(`${path === '' ? '/' : path}: ${what}`);
  }

  folder(path: string, id: Id, ino: Ino): void {
    const wanted = this.#state.get(id);
    const found = this.#tree.get(ino);
    if (wanted === undefined || found === undefined) throw new Error(`no inode ${id} or ${ino}`);
    if (!this.#node(path, wanted, found) || wanted.kind !== 'folder') return;
    for (const name of found.entries.keys()) {
      if (!wanted.entries.has(name)) this.#differs(`${path}/${name}`, 'is there and must not be');
    }
    for (const [name, child] of wanted.entries) {
      if (this.differences.length >= this.#limit) return;
      const childIno = found.entries.get(name);
      if (childIno === undefined) this.#differs(`${path}/${name}`, 'is not there');
      else this.folder(`${path}/${name}`, child, childIno);
    }
  }

  /** Whether the two are of one kind, and nothing else than themselves. */
  #node(path: string, wanted: ModelNode, found: FoundNode): boolean {
    const isKnown = this.inos.has(wanted.id) || this.#ids.has(found.ino);
    if (isKnown) {
      if (this.inos.get(wanted.id) === found.ino) return false;
      this.#differs(path, 'is a link of another inode');
      return false;
    }
    this.inos.set(wanted.id, found.ino);
    this.#ids.set(found.ino, wanted.id);
    if (wanted.kind !== found.kind) {
      this.#differs(path, `is a ${found.kind}, not a ${wanted.kind}`);
      return false;
    }
    for (const field of ['mode', 'uid', 'gid', 'nlink', 'target'] as const) {
      if (wanted[field] !== found[field])
        this.#differs(path, `${field} is ${found[field]}, not ${wanted[field]}`);
    }
    this.#xattrs(path, wanted, found);
    if (wanted.kind === 'file') {
      if (this.#depth === 'all') this.#bytes(path, wanted, found);
    }
    if (wanted.kind !== 'file' || this.#depth === 'all') this.#times(path, wanted, found);
    return true;
  }

  #times(path: string, wanted: ModelNode, found: FoundNode): void {
    const apart = wanted.kind === 'file' ? this.#apartMs / 1000 : 0;
    for (const field of ['mtime', 'ctime'] as const) {
      const [is, shall] = [found[field], wanted[field]];
      if (shall !== undefined && is !== shall && !(Math.abs(+is - +shall) < apart))
        this.#differs(path, `${field} is ${found[field]}, not ${wanted[field]}`);
    }
  }

  #xattrs(path: string, wanted: ModelNode, found: FoundNode): void {
    const names = new Set([...wanted.xattrs.keys(), ...found.xattrs.keys()]);
    for (const name of names) {
      const [is, shall] = [found.xattrs.get(name), wanted.xattrs.get(name)];
      if (is !== undefined && shall?.equals(is) === true) continue;
      const text = (value: Buffer | undefined): string =>
        value === undefined ? 'not there' : `"${value.toString('latin1', 0, 20)}"`;
      this.#differs(path, `attribute ${name} is ${text(is)}, not ${text(shall)}`);
    }
  }

  #bytes(path: string, wanted: ModelNode, found: FoundNode): void {
    const { content } = wanted;
    if (content.sizeBytes !== found.bytes.length) {
      this.#differs(path, `has ${found.bytes.length} bytes, not ${content.sizeBytes}`);
      return;
    }
    const page = content.firstDifference(found.bytes);
    if (page !== undefined) this.#differs(path, `page ${page} has other bytes`);
  }
}
