import type { Epoch } from '../base/ids.ts';
import type { Settings } from '../base/settings.ts';
import type { AgedSnapshot } from './thinning.ts';

/** So many moments are told apart in the time that garbage is kept. */
const MOMENTS = 16;

export interface RetentionOptions {
  settings: () => Pick<Settings, 'garbageGraceMs'>;
  /** A clock in ms that never goes back; performance.now() by default. */
  now?: () => number;
}

/**
 * Which chunks that nothing names have to stay.
 *
 * Invariants:
 *  1. A chunk stays while a retained epoch names it: a snapshot that is kept, any epoch since the
 *     second newest one, which the logs lead to, or one that is mounted.
 *  2. What is protected once and then no longer is not protected again, unless something names it:
 *     later snapshots are of later epochs, in which it is dead.
 *  3. `#moments` are in the order of their epochs and times: all epochs up to that of a moment
 *     were published by then.
 */
export class Retention {
  readonly #options: RetentionOptions;
  readonly #now: () => number;
  /** Newest first. */
  #snapshots: readonly AgedSnapshot[] = [];
  /** Epochs that are mounted now. */
  #pinned: readonly number[] = [];
  #moments: { epoch: number; atMs: number }[] = [];

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** The snapshots that are kept, newest first. */
  get snapshots(): readonly AgedSnapshot[] {
    return this.#snapshots;
  }

  /** The first epoch from which on every epoch can be had again. */
  get windowStart(): number {
    return (this.#snapshots[1] ?? this.#snapshots[0])?.epoch ?? 0;
  }

  /** These are kept from now on, and what the `pinned` epochs name as well. */
  keep(snapshots: readonly AgedSnapshot[], pinned: readonly number[] = []): void {
    this.#pinned = pinned;
    this.#snapshots = snapshots.toSorted((a, b) => b.epoch - a.epoch);
  }

  /** An epoch was published, `ageMs` ago if not now. */
  published(epoch: Epoch, ageMs = 0): void {
    const atMs = this.#now() - Math.max(0, ageMs);
    const graceMs = this.#options.settings().garbageGraceMs;
    const last = this.#moments.at(-1);
    const before = this.#moments.at(-2);
    // The last one is always that of the newest epoch; those before are some time apart.
    if (last !== undefined && before !== undefined && last.atMs - before.atMs < graceMs / MOMENTS) {
      this.#moments.pop();
    }
    this.#moments.push({ epoch, atMs });
    const old = this.#moments.findLastIndex((moment) => atMs - moment.atMs >= graceMs);
    if (old > 0) this.#moments.splice(0, old);
  }

  /** Whether a chunk that was stored in one epoch and lost its last name in another has to stay. */
  protects({ born, died }: { born: number; died: number }): boolean {
    if (died > this.windowStart) return true;
    const names = (epoch: number): boolean => born <= epoch && epoch < died;
    if (this.#snapshots.some(({ epoch }) => names(epoch)) || this.#pinned.some(names)) return true;
    const youngMs = this.#now() - this.#options.settings().garbageGraceMs;
    return !this.#moments.some(({ epoch, atMs }) => epoch >= died && atMs <= youngMs);
  }
}
