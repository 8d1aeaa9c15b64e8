import { blockFloor } from '../../src/base/blocks.ts';
import { BLOCK_BYTES, CHUNK_BYTES_MAX, KIB } from '../../src/base/limits.ts';
import type { Dice } from '../../test/harness/seed.ts';
import type { Model, ModelNode } from './model.ts';
import { type Id, type Operation, ROOT_ID, type SyncKind } from './operations.ts';

type Kind = Operation['kind'];

/** How often each kind is tried; one that is not possible at the moment makes room for another. */
const WEIGHTS: Readonly<Record<Kind, number>> = {
  create: 9,
  mkdir: 3,
  symlink: 2,
  fifo: 1,
  tmpfile: 2,
  write: 30,
  truncate: 5,
  punch: 3,
  zero: 2,
  grow: 1,
  clone: 4,
  rename: 9,
  link: 4,
  unlink: 6,
  rmdir: 2,
  close: 2,
  setxattr: 4,
  removexattr: 2,
  chmod: 3,
  chown: 1,
  utimes: 2,
  sync: 16,
  commit: 4,
  evict: 2,
  pause: 4,
};
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];
const XATTRS = ['user.a', 'user.b', 'trusted.c'];
const MODES = [0o600, 0o644, 0o755, 0o711];
const DEPTH_MAX = 3;
const FILES_MAX = 24;
const FOLDERS_MAX = 8;
const FILE_BYTES_MAX: number = 512 * KIB;
/** A file that grows beyond a chunk: one in so many writes begins there. */
const FAR_EVERY = 150;
const WIDE_XATTR_EVERY = 12;
const TRIES = 50;

/** Chooses operations that are possible, by dice and by the model's state alone. */
export class Generator {
  readonly #dice: Dice;
  readonly #model: Model;
  #nextId = ROOT_ID + 1;

  constructor(dice: Dice, model: Model) {
    this.#dice = dice;
    this.#model = model;
  }

  next(): Operation {
    for (let tries = 0; tries < TRIES; tries++) {
      const operation = this.#make(this.#kind());
      if (operation !== undefined) return operation;
    }
    return { kind: 'pause', ms: 0 };
  }

  #kind(): Kind {
    const all = Object.entries(WEIGHTS) as [Kind, number][];
    let at = this.#dice.below(all.reduce((sum, [, weight]) => sum + weight, 0));
    for (const [kind, weight] of all) {
      at -= weight;
      if (at < 0) return kind;
    }
    return 'pause';
  }

  #make(kind: Kind): Operation | undefined {
    switch (kind) {
      case 'create':
      case 'mkdir':
      case 'symlink':
      case 'fifo':
      case 'tmpfile':
        return this.#newNode(kind);
      case 'rename':
      case 'link':
      case 'unlink':
      case 'rmdir':
        return this.#nameChange(kind);
      case 'write':
      case 'truncate':
      case 'punch':
      case 'zero':
      case 'grow':
      case 'clone':
        return this.#contentChange(kind);
      case 'close': {
        const orphan = this.#pick((node) => node.nlink === 0);
        return orphan && { kind, id: orphan.id };
      }
      case 'setxattr':
      case 'removexattr':
      case 'chmod':
      case 'chown':
      case 'utimes':
        return this.#attributeChange(kind);
      case 'sync':
        return this.#sync();
      case 'commit':
        return { kind, waits: this.#one(3) };
      case 'evict': {
        const file = this.#pick((node) => node.kind === 'file');
        return file && { kind, id: file.id };
      }
      case 'pause':
        return { kind, ms: this.#one(3) ? this.#dice.below(12) : 0 };
    }
  }

  #one(outOf: number): boolean {
    return this.#dice.below(outOf) === 0;
  }

  #pick(fits: (node: ModelNode) => boolean): ModelNode | undefined {
    const all = [...this.#model.now.values()].filter(fits);
    return all.length === 0 ? undefined : this.#dice.pick(all);
  }

  #count(fits: (node: ModelNode) => boolean): number {
    let count = 0;
    for (const node of this.#model.now.values()) if (fits(node)) count++;
    return count;
  }

  #folder(): ModelNode {
    return this.#pick((node) => node.kind === 'folder') ?? this.#model.node(ROOT_ID);
  }

  /** A name in some folder that is taken, with what it leads to. */
  #entry(fits: (node: ModelNode) => boolean): { parent: Id; name: string; id: Id } | undefined {
    const all: { parent: Id; name: string; id: Id }[] = [];
    for (const { id: parent, entries } of this.#model.now.values()) {
      for (const [name, id] of entries)
        if (fits(this.#model.node(id))) all.push({ parent, name, id });
    }
    return all.length === 0 ? undefined : this.#dice.pick(all);
  }

  #freeName(): { parent: Id; name: string } | undefined {
    const { id: parent, entries } = this.#folder();
    const name = this.#dice.pick(NAMES);
    return entries.has(name) ? undefined : { parent, name };
  }

  #newNode(kind: 'create' | 'mkdir' | 'symlink' | 'fifo' | 'tmpfile'): Operation | undefined {
    const isFolder = kind === 'mkdir';
    const limit = isFolder ? FOLDERS_MAX : FILES_MAX;
    if (this.#count((node) => (node.kind === 'folder') === isFolder) >= limit) return undefined;
    const place = this.#freeName();
    if (place === undefined) return undefined;
    if (isFolder && this.#depth(place.parent) >= DEPTH_MAX) return undefined;
    const made = { ...place, id: this.#nextId, mode: this.#dice.pick(MODES) };
    this.#nextId++;
    if (kind === 'tmpfile') return { kind, parent: made.parent, id: made.id, mode: made.mode };
    if (kind !== 'symlink') return { kind, ...made };
    const target = `to/${made.id}/${'x'.repeat(this.#dice.below(200))}`;
    return { kind, ...made, mode: 0o777, target };
  }

  #parentOf(folder: Id): Id | undefined {
    for (const { id, entries } of this.#model.now.values()) {
      for (const entry of entries.values()) if (entry === folder) return id;
    }
    return undefined;
  }

  #depth(folder: Id): number {
    const parent = this.#parentOf(folder);
    return parent === undefined ? 0 : 1 + this.#depth(parent);
  }

  #isInside(folder: Id, other: Id): boolean {
    if (folder === other) return true;
    const parent = this.#parentOf(folder);
    return parent !== undefined && this.#isInside(parent, other);
  }

  #nameChange(kind: 'rename' | 'link' | 'unlink' | 'rmdir'): Operation | undefined {
    if (kind === 'rename') return this.#rename();
    if (kind === 'link') {
      const node = this.#pick(({ kind: of, nlink }) => of !== 'folder' && nlink < 4);
      // Only files made without a name may get one when they have none.
      const isLinkable =
        node !== undefined && (node.nlink > 0 || this.#wasTmpfile(node.id)) && node.kind === 'file';
      const place = this.#freeName();
      return isLinkable && place !== undefined ? { kind, id: node.id, ...place } : undefined;
    }
    const isFolder = kind === 'rmdir';
    const entry = this.#entry(
      ({ kind: of, entries }) => (of === 'folder') === isFolder && entries.size === 0,
    );
    if (entry === undefined) return undefined;
    const { parent, name } = entry;
    return isFolder
      ? { kind: 'rmdir', parent, name }
      : { kind: 'unlink', parent, name, keepOpen: this.#keepsOpen(entry.id) };
  }

  #wasTmpfile(id: Id): boolean {
    return (
      this.#model.done.some(
        ({ operation }) => operation.kind === 'tmpfile' && operation.id === id,
      ) &&
      !this.#model.done.some(({ operation }) => operation.kind === 'link' && operation.id === id)
    );
  }

  #keepsOpen(id: Id): boolean {
    return this.#one(3) && this.#model.node(id).kind === 'file';
  }

  #rename(): Operation | undefined {
    const from = this.#entry(() => true);
    if (from === undefined) return undefined;
    const newParent = this.#folder().id;
    const newName = this.#dice.pick(NAMES);
    const node = this.#model.node(from.id);
    const other = this.#model.node(newParent).entries.get(newName);
    if (other === from.id) return undefined;
    const exchange = other !== undefined && this.#one(3);
    if (node.kind === 'folder') {
      if (this.#isInside(newParent, from.id) || this.#depth(newParent) >= DEPTH_MAX)
        return undefined;
    }
    let keepOpen = false;
    if (other !== undefined) {
      const onto = this.#model.node(other);
      if (exchange && onto.kind === 'folder' && this.#isInside(from.parent, other))
        return undefined;
      if (!exchange) {
        if ((onto.kind === 'folder') !== (node.kind === 'folder')) return undefined;
        if (onto.entries.size > 0) return undefined;
        keepOpen = onto.kind !== 'folder' && this.#keepsOpen(other);
      }
    }
    const { parent, name } = from;
    return { kind: 'rename', parent, name, newParent, newName, exchange, keepOpen };
  }

  #contentChange(
    kind: 'write' | 'truncate' | 'punch' | 'zero' | 'grow' | 'clone',
  ): Operation | undefined {
    const file = this.#oftenRecent();
    if (file === undefined) return undefined;
    const { id } = file;
    const { sizeBytes } = file.content;
    switch (kind) {
      case 'write':
        return { kind, id, ...this.#writeRange(sizeBytes) };
      case 'truncate':
        return { kind, id, sizeBytes: this.#newSize(sizeBytes) };
      case 'punch':
      case 'zero': {
        const offset = blockFloor(this.#dice.below(sizeBytes + 1));
        const lengthBytes = BLOCK_BYTES * (1 + this.#dice.below(8));
        // What grows a file beside erasing is more than one step.
        if (offset + lengthBytes > sizeBytes && kind === 'zero') return undefined;
        return { kind, id, offset, lengthBytes };
      }
      case 'grow':
        return { kind, id, offset: sizeBytes, lengthBytes: 1 + this.#dice.below(20_000) };
      case 'clone':
        return this.#clone(file);
    }
  }

  /** Files that were just written are written again: a commit that began may not have read them. */
  #oftenRecent(): ModelNode | undefined {
    const recent = this.#model.changes
      .slice(-10)
      .flatMap(({ content }) =>
        content === undefined ? [] : (this.#model.now.get(content) ?? []),
      );
    if (recent.length > 0 && this.#one(2)) return this.#dice.pick(recent);
    return this.#pick((node) => node.kind === 'file');
  }

  #writeRange(sizeBytes: number): { offset: number; lengthBytes: number } {
    const dice = this.#dice;
    const lengthBytes = 1 + dice.below(this.#one(8) ? 150_000 : dice.pick([100, 5000, 20_000]));
    if (this.#one(FAR_EVERY)) return { offset: CHUNK_BYTES_MAX - dice.below(9000), lengthBytes };
    const reach = Math.min(sizeBytes, FILE_BYTES_MAX);
    switch (dice.below(4)) {
      case 0: // Appends.
        return { offset: reach, lengthBytes };
      case 1: // Whole blocks, as databases do.
        return {
          offset: blockFloor(dice.below(reach + 1)),
          lengthBytes: BLOCK_BYTES * (1 + dice.below(4)),
        };
      case 2:
        return { offset: dice.below(reach + 1), lengthBytes };
      default: // May leave a hole.
        return { offset: dice.below(reach + 30_000), lengthBytes };
    }
  }

  #newSize(sizeBytes: number): number {
    if (this.#one(3)) return 0;
    const size = this.#dice.below(Math.min(sizeBytes, FILE_BYTES_MAX) * 2 + 5000);
    return this.#one(2) ? blockFloor(size) : size;
  }

  #clone(target: ModelNode): Operation | undefined {
    const source = this.#pick(({ kind, content }) => kind === 'file' && content.sizeBytes > 0);
    if (source === undefined || source.id === target.id) return undefined;
    const { sizeBytes } = source.content;
    const isWhole = this.#one(2);
    const sourceOffset = isWhole ? 0 : blockFloor(this.#dice.below(sizeBytes));
    const lengthBytes = Math.min(sizeBytes - sourceOffset, FILE_BYTES_MAX);
    const reach = Math.min(target.content.sizeBytes, FILE_BYTES_MAX);
    const offset = isWhole ? 0 : blockFloor(this.#dice.below(reach + 1));
    return { kind: 'clone', source: source.id, sourceOffset, id: target.id, offset, lengthBytes };
  }

  #attributeChange(
    kind: 'setxattr' | 'removexattr' | 'chmod' | 'chown' | 'utimes',
  ): Operation | undefined {
    const dice = this.#dice;
    const node = this.#pick(({ kind: of }) => of !== 'symlink' && of !== 'fifo');
    if (node === undefined) return undefined;
    const { id } = node;
    switch (kind) {
      case 'setxattr': {
        const lengthBytes = this.#one(WIDE_XATTR_EVERY) ? 60_000 : 1 + dice.below(300);
        return { kind, id, name: dice.pick(XATTRS), lengthBytes };
      }
      case 'removexattr': {
        const names = [...node.xattrs.keys()];
        return names.length === 0 ? undefined : { kind, id, name: dice.pick(names) };
      }
      case 'chmod':
        return { kind, id, mode: dice.pick(MODES) };
      case 'chown':
        return { kind, id, uid: dice.below(3) * 1000, gid: dice.below(3) * 1000 };
      case 'utimes':
        return { kind, id, sec: 1_000_000_000 + dice.below(1e6), nsec: dice.below(1e9) };
    }
  }

  #sync(): Operation | undefined {
    const dice = this.#dice;
    // What was just written is what people sync.
    const recent = this.#model.changes
      .slice(-6)
      .flatMap(({ meta, content }) => (content === undefined ? meta : [content]))
      .filter((id) => this.#model.now.has(id));
    const isRecent = recent.length > 0 && !this.#one(4);
    const node = isRecent
      ? this.#model.node(dice.pick(recent))
      : this.#pick(({ kind }) => kind === 'file' || kind === 'folder');
    if (node === undefined || (node.kind !== 'file' && node.kind !== 'folder')) return undefined;
    const how: SyncKind = dice.pick(['fsync', 'fsync', 'fdatasync', 'flush']);
    const isFile = node.kind === 'file';
    return { kind: 'sync', id: node.id, how: isFile ? how : 'fsync', waits: !this.#one(4) };
  }
}
