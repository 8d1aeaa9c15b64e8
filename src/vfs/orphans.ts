import { InvariantError } from '../base/errors.ts';
import type { Ino } from '../base/ids.ts';
import type { Timed } from '../base/pauses.ts';
import type { LiveMeta, MetaOp } from '../meta/mod.ts';
import { now } from './clock.ts';

/** One turn of the event loop removes so many inodes, at some 20 us each, ... */
const INODES_A_TURN = 50;
/** ... or so many extents of one that has more. */
const EXTENTS_A_TURN = 4000;

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
  readonly #queue = new Set<Ino>();
  #isScheduled = false;

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

  #enqueue(ino: Ino): void {
    this.#queue.add(ino);
    this.#schedule();
  }

  /** Removes them behind the requests that are waiting, and lets others in after each turn. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#timed('reap', () => this.reapSome())) this.#schedule();
    });
  }

  /** Removes all that wait, in this turn. */
  flush(): void {
    while (this.reapSome());
  }

  /** Removes some, in one transaction; false when none is left. */
  reapSome(): boolean {
    const ops: MetaOp[] = [];
    for (const ino of this.#queue) {
      const inode = this.#meta.inode(ino);
      if (inode?.nlink === 0) {
        const sizeBytes = this.#meta.state.extents.offsetFromEnd(ino, EXTENTS_A_TURN);
        if (sizeBytes !== undefined) {
          // Nobody can see it any more, so it may become shorter in steps; alone in its turn.
          if (ops.length === 0) ops.push({ kind: 'truncate', ino, sizeBytes, time: now() });
          break;
        }
        this.#dropData(ino);
        ops.push({ kind: 'reap', ino });
      }
      this.#queue.delete(ino);
      if (ops.length >= INODES_A_TURN) break;
    }
    try {
      if (ops.length > 0) this.#meta.run(ops);
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      // A full device: they stay orphans until the next mount (invariant 3).
      if (ops[0]?.kind === 'truncate') this.#queue.delete(ops[0].ino);
    }
    return this.#queue.size > 0;
  }
}
