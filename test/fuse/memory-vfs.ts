import { openSync, readFileSync, truncateSync, writeSync } from 'node:fs';

import type { NegativeErrno } from '../../src/base/errno.ts';
import { EEXIST, ENODATA, ENOENT, ENXIO, EOPNOTSUPP } from '../../src/base/errno.ts';
import { InvariantError } from '../../src/base/errors.ts';
import type { Ino } from '../../src/base/ids.ts';
import type {
  Attr,
  AttrChange,
  EntryPlusSink,
  EntrySink,
  OpenResult,
  RequestContext,
  StatFs,
  Vfs,
} from '../../src/vfs/mod.ts';
import type { MemoryNode, TreeChange, TreeOp } from './memory-tree.ts';
import { MemoryTree } from './memory-tree.ts';

const O_EXCL = 0o200;
const SEEK_DATA = 3;
const TYPE_SYMLINK = 0o120000;
const OPEN: OpenResult = { keepCache: true, noFlush: true };
const LATE_MS = 2;
const [THROWS, REJECTS, BROKEN] = ['throws', 'rejects', 'broken'].map((name) =>
  Buffer.from(name),
) as [Buffer, Buffer, Buffer];

type Answer<T> = T | NegativeErrno | Promise<T | NegativeErrno>;

export interface MemoryVfsOptions {
  /**
   * Every change is appended here before it is answered, so that a new process can go on after a
   * kill -9.
   */
  journal?: string;
}

/**
 * A file system in memory, for tests of the driver. Files and folders named late* answer with
 * promises; the fsync of a file named stuck* never ends; to look up throws, rejects or broken fails
 * as they say. With a journal, a change that is sent again is answered as the first time, not
 * applied twice.
 */
export class MemoryVfs implements Vfs {
  readonly #tree: MemoryTree = new MemoryTree();
  readonly #answered: Map<number, number> = new Map();
  readonly #journal: number | undefined;

  constructor(options: MemoryVfsOptions = {}) {
    if (options.journal === undefined) return;
    this.#journal = openSync(options.journal, 'a+');
    const bytes = readFileSync(options.journal);
    const end = bytes.lastIndexOf('\n') + 1;
    // A kill may have cut the last write, whose request was then not answered.
    truncateSync(options.journal, end);
    for (const line of bytes.toString('utf8', 0, end).split('\n')) {
      if (line === '') continue;
      const [unique, op] = JSON.parse(line) as [number, TreeOp];
      this.#answered.set(unique, this.#tree.apply(op));
    }
  }

  connect(): void {}

  accessed(): void {}

  cancel(): void {}

  mounted(): void {}

  lookup(parent: Ino, name: Buffer): Answer<Attr> {
    if (name.equals(THROWS)) throw new Error('thrown on request');
    if (name.equals(REJECTS)) return Promise.reject(new Error('rejected on request'));
    if (name.equals(BROKEN)) throw new InvariantError('broken on request');
    const folder = this.#tree.nodes.get(parent);
    const entry = folder?.children.get(name.toString('latin1'));
    return this.#reply(entry?.ino, (node) => node.attr);
  }

  forget(): void {}

  getattr(ino: Ino): Answer<Attr> {
    return this.#reply(ino, (node) => node.attr);
  }

  setattr(context: RequestContext, ino: Ino, change: AttrChange): Answer<Attr> {
    const result = this.#change(context, {
      kind: 'setattr',
      ino,
      change: treeChange(change),
      timeMs: Date.now(),
    });
    return result < 0 ? result : this.getattr(ino);
  }

  readlink(ino: Ino): Answer<Buffer> {
    return this.#reply(ino, (node) => node.data);
  }

  symlink(context: RequestContext, parent: Ino, name: Buffer, target: Buffer): Answer<Attr> {
    const text = target.toString('latin1');
    return this.#make(context, parent, name, { mode: TYPE_SYMLINK | 0o777, target: text });
  }

  mknod(
    context: RequestContext,
    parent: Ino,
    name: Buffer,
    mode: number,
    rdev: number,
  ): Answer<Attr> {
    return this.#make(context, parent, name, { mode, rdev });
  }

  mkdir(context: RequestContext, parent: Ino, name: Buffer, mode: number): Answer<Attr> {
    return this.#make(context, parent, name, { mode: 0o040000 | (mode & 0o7777) });
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
    return this.#change(context, {
      kind: 'rename',
      parent,
      name: name.toString('latin1'),
      newParent,
      newName: newName.toString('latin1'),
      flags,
      timeMs: Date.now(),
    });
  }

  link(context: RequestContext, ino: Ino, newParent: Ino, newName: Buffer): Answer<Attr> {
    const name = newName.toString('latin1');
    const op: TreeOp = { kind: 'link', ino, newParent, newName: name, timeMs: Date.now() };
    const result = this.#change(context, op);
    return result < 0 ? result : this.getattr(ino);
  }

  open(_context: RequestContext, ino: Ino): Answer<OpenResult> {
    return this.#reply(ino, () => OPEN);
  }

  create(
    context: RequestContext,
    parent: Ino,
    name: Buffer,
    mode: number,
    flags: number,
  ): Answer<{ attr: Attr; open: OpenResult }> {
    let made = this.#make(context, parent, name, { mode });
    if (made === -EEXIST && (flags & O_EXCL) === 0) made = this.lookup(parent, name);
    if (made instanceof Promise) {
      return made.then((attr) => (typeof attr === 'number' ? attr : { attr, open: OPEN }));
    }
    return typeof made === 'number' ? made : { attr: made, open: OPEN };
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
    if (node === undefined) return -ENOENT;
    const end = Math.min(node.attr.sizeBytes, offset + length);
    if (node.late)
      return later(() => Buffer.from(node.data.subarray(offset, Math.max(end, offset))));
    return end <= offset ? 0 : node.data.copy(into, at, offset, end);
  }

  write(
    context: RequestContext,
    ino: Ino,
    offset: number,
    data: Buffer,
    kill: boolean,
  ): number | Promise<number> {
    const timeMs = Date.now();
    if (this.#tree.nodes.get(ino)?.late === true) {
      const [copy, own] = [Buffer.from(data), { ...context }];
      return later(() => this.#write(own, ino, offset, copy, kill, timeMs));
    }
    return this.#write(context, ino, offset, data, kill, timeMs);
  }

  writeBy(
    context: RequestContext,
    ino: Ino,
    offset: number,
    data: Buffer,
    how: { killSuidGid: boolean },
  ): number | Promise<number> {
    return this.write(context, ino, offset, data, how.killSuidGid);
  }

  syncfs(): 0 {
    return 0;
  }

  commit(): number {
    return 7;
  }

  flush(): 0 {
    return 0;
  }

  fsync(ino: Ino): Answer<0> {
    for (const [name, entry] of this.#tree.nodes.get(1 as Ino)?.children ?? []) {
      if (entry.ino === ino && name.startsWith('stuck')) return new Promise(() => undefined);
    }
    return later(() => 0);
  }

  fsyncdir(): Answer<0> {
    return later(() => 0);
  }

  readdir(ino: Ino, cookie: number, sink: EntrySink): Answer<0> {
    return this.readdirplus(ino, cookie, (name, child, type, next) =>
      sink(name, child, type, next),
    );
  }

  readdirplus(ino: Ino, cookie: number, sink: EntryPlusSink): Answer<0> {
    return this.#reply(ino, (folder) => {
      if (cookie < 1 && !sink(Buffer.from('.'), ino, 4, 1, undefined)) return 0;
      if (cookie < 2 && !sink(Buffer.from('..'), folder.parent, 4, 2, undefined)) return 0;
      for (const [name, entry] of folder.children) {
        if (entry.cookie <= cookie) continue;
        const attr = this.#tree.nodes.get(entry.ino)?.attr;
        const type = (attr?.mode ?? 0) >> 12;
        if (!sink(Buffer.from(name, 'latin1'), entry.ino, type, entry.cookie, attr)) break;
      }
      return 0;
    });
  }

  statfs(): StatFs {
    return {
      blockBytes: 4096,
      blocks: 1 << 20,
      blocksFree: 1 << 19,
      blocksAvailable: 1 << 19,
      files: 1 << 20,
      filesFree: (1 << 20) - this.#tree.nodes.size,
      nameBytesMax: 255,
    };
  }

  setxattr(
    context: RequestContext,
    ino: Ino,
    { name, value, flags }: { name: Buffer; value: Buffer; flags: number },
  ): Answer<0> {
    return this.#change(context, {
      kind: 'setxattr',
      ino,
      name: name.toString('latin1'),
      value: value.toString('base64'),
      flags,
      timeMs: Date.now(),
    });
  }

  getxattr(ino: Ino, name: Buffer): Answer<Buffer> {
    const key = name.toString('latin1');
    return this.#reply(ino, (node) => node.xattrs.get(key) ?? -ENODATA);
  }

  listxattr(_context: RequestContext, ino: Ino): Answer<Buffer> {
    return this.#reply(ino, (node) =>
      Buffer.from([...node.xattrs.keys()].map((name) => `${name}\0`).join(''), 'latin1'),
    );
  }

  removexattr(context: RequestContext, ino: Ino, name: Buffer): Answer<0> {
    const op: TreeOp = {
      kind: 'removexattr',
      ino,
      name: name.toString('latin1'),
      timeMs: Date.now(),
    };
    return this.#change(context, op);
  }

  tmpfile(): number {
    return -EOPNOTSUPP;
  }

  fallocate(): number {
    return -EOPNOTSUPP;
  }

  copyRange(): number {
    return -EOPNOTSUPP;
  }

  lseek(ino: Ino, offset: number, whence: number): number {
    const size = this.#tree.nodes.get(ino)?.attr.sizeBytes ?? 0;
    if (offset >= size) return -ENXIO;
    return whence === SEEK_DATA ? offset : size;
  }

  #write(
    context: RequestContext,
    ino: Ino,
    offset: number,
    data: Buffer,
    kill: boolean,
    timeMs: number,
  ): number {
    if (this.#journal === undefined) return this.#tree.write(ino, offset, data, kill, timeMs);
    const text = data.toString('base64');
    return this.#change(context, { kind: 'write', ino, offset, data: text, kill, timeMs });
  }

  #make(
    context: RequestContext,
    parent: Ino,
    name: Buffer,
    what: { mode: number; rdev?: number; target?: string },
  ): Answer<Attr> {
    const { mode, rdev = 0, target } = what;
    const ino = this.#change(context, {
      kind: 'make',
      parent,
      name: name.toString('latin1'),
      mode: mode & ~context.umask,
      rdev,
      uid: context.uid,
      gid: context.gid,
      ...(target === undefined ? {} : { target }),
      timeMs: Date.now(),
    });
    return ino < 0 ? ino : this.getattr(ino as Ino);
  }

  #remove(context: RequestContext, parent: Ino, name: Buffer, folder: boolean): Answer<0> {
    const op: TreeOp = {
      kind: 'remove',
      parent,
      name: name.toString('latin1'),
      folder,
      timeMs: Date.now(),
    };
    return this.#change(context, op);
  }

  /** The second answer to a request that the kernel sent again is the first one. */
  #change(context: RequestContext, op: TreeOp): NegativeErrno | 0 {
    const { unique, resent } = context;
    if (resent && this.#answered.has(unique)) return this.#answered.get(unique) as 0;
    const result = this.#tree.apply(op);
    if (this.#journal !== undefined) {
      writeSync(this.#journal, `${JSON.stringify([unique, op])}\n`);
      this.#answered.set(unique, result);
    }
    return result;
  }

  #reply<T>(ino: Ino | undefined, answer: (node: MemoryNode) => T | NegativeErrno): Answer<T> {
    const node = ino === undefined ? undefined : this.#tree.nodes.get(ino);
    if (node === undefined) return -ENOENT;
    return node.late ? later(() => answer(node)) : answer(node);
  }
}

function later<T>(answer: () => T): Promise<T> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(answer()), LATE_MS);
  });
}

function treeChange(change: AttrChange): TreeChange {
  const { atime, mtime, killSuidGid, ...rest } = change;
  const result: TreeChange = rest;
  if (atime !== undefined) result.atime = atime === 'now' ? now() : atime;
  if (mtime !== undefined) result.mtime = mtime === 'now' ? now() : mtime;
  if (killSuidGid === true) result.kill = true;
  return result;
}

function now(): { sec: number; nsec: number } {
  const ms = Date.now();
  return { sec: Math.floor(ms / 1000), nsec: (ms % 1000) * 1_000_000 };
}
