import type { DfsError } from '../base/errors.ts';
import type { Ino } from '../base/ids.ts';

const TOUCHED_MAX = 50_000;

/**
 * Makes changes of inodes survive a power cut, many waiters with one sync (group commit). A failed
 * sync is final: the kernel may have dropped the pages (the "fsyncgate" of 2018).
 */
export class GroupSync {
  readonly #sync: () => Promise<void>;
  /** Number of the last change that touched an inode, for those not synced yet. */
  readonly #touched = new Map<Ino, number>();
  #last = 0;
  #synced = 0;
  /** The newest change of inodes no longer in the map. */
  #forgotten = 0;
  #running: Promise<void> | undefined;
  #failure: DfsError | undefined;
  /** Syncs made, for tests and status. */
  syncCount = 0;

  /** `sync` resolves when all that was changed before its call is on the device. */
  constructor(sync: () => Promise<void>) {
    this.#sync = sync;
  }

  /** What was just changed concerns `ino`. */
  touched(ino: Ino): void {
    this.#touched.set(ino, ++this.#last);
    if (this.#touched.size > TOUCHED_MAX) {
      // Nobody has synced for long: whoever does next syncs it all.
      this.#touched.clear();
      this.#forgotten = this.#last;
    }
  }

  /** Resolves when all that concerns `ino` is on the device; undefined when it is already. */
  sync(ino: Ino): Promise<void> | undefined {
    const target = this.#touched.get(ino) ?? this.#forgotten;
    return target <= this.#synced ? undefined : this.#syncTo(target);
  }

  /** Resolves when everything is on the device. */
  async syncAll(): Promise<void> {
    await this.#syncTo(this.#last);
  }

  /** Resolves when no sync is under way. */
  async idle(): Promise<void> {
    await this.#running?.catch(() => undefined);
  }

  async #syncTo(target: number): Promise<void> {
    while (this.#synced < target) {
      if (this.#failure !== undefined) throw this.#failure;
      this.#running ??= this.#syncOnce().finally(() => {
        this.#running = undefined;
      });
      await this.#running;
    }
  }

  async #syncOnce(): Promise<void> {
    const covers = this.#last;
    this.syncCount++;
    try {
      await this.#sync();
    } catch (error) {
      this.#failure = error as DfsError;
      throw error;
    }
    this.#synced = covers;
    if (covers === this.#last) this.#touched.clear();
  }
}
