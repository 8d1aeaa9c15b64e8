import { InvariantError } from '../base/errors.ts';
import type { Ino } from '../base/ids.ts';
import { type Timed } from '../base/pauses.ts';
import type { LiveMeta } from '../meta/mod.ts';

/**
 * Inodes the kernel knows, and those without a name that wait for it to forget them.
 *
 * Invariants:
 *  1. An inode without a name lives until the kernel forgets it: somebody may have it open.
 *  2. The kernel forgets an inode with all its lookups at once. After a takeover the counts of
 *     before are unknown, so a forget of at least what was counted is the last one.
 *  3. A forget lost with a dead process is made good at the next mount, when nobody can have
 *     anything open.
 */
export class Orphans {
  readonly #meta: LiveMeta;
  readonly #dropData: (ino: Ino) => void;
  readonly #timed: Timed;
  readonly #lookups = new Map<Ino, number>();
  #queue: Ino[] = [];

  constructor(options: { meta: LiveMeta; dropData: (ino: Ino) => void; timed: Timed }) {
    this.#meta = options.meta;
    this.#dropData = options.dropData;
    this.#timed = options.timed;
  }

  /** The kernel was told of `ino` once more. */
  known(ino: Ino): void {
    this.#lookups.set(ino, (this.#lookups.get(ino) ?? 0) + 1);
  }

  forget(ino: Ino, count: number): void {
    const left = (this.#lookups.get(ino) ?? 0) - count;
    if (left > 0) {
      this.#lookups.set(ino, left);
      return;
    }
    this.#lookups.delete(ino);
    if (this.#meta.inode(ino)?.nlink === 0) this.#enqueue(ino);
  }

  /** A new mount: nothing is open, so every inode without a name can go. */
  reapAll(): void {
    this.#lookups.clear();
    for (const ino of this.#meta.state.orphans()) this.#enqueue(ino);
  }

  /** Many inodes go in one transaction, behind the requests that are waiting. */
  #enqueue(ino: Ino): void {
    this.#queue.push(ino);
    if (this.#queue.length === 1) setImmediate(() => this.#timed('reap', () => this.flush()));
  }

  flush(): void {
    const queue = this.#queue;
    this.#queue = [];
    const gone = [...new Set(queue)].filter((ino) => this.#meta.inode(ino)?.nlink === 0);
    if (gone.length === 0) return;
    for (const ino of gone) this.#dropData(ino);
    try {
      this.#meta.run(gone.map((ino) => ({ kind: 'reap', ino })));
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      // A full device: they stay orphans until the next mount (invariant 3).
    }
  }
}
