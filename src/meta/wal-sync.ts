import { closeSync, fdatasync, openSync } from 'node:fs';
import { DfsError, messageOf } from '../base/errors.ts';
import type { Ino } from '../base/ids.ts';

const TOUCHED_MAX = 50_000;

/**
 * Makes committed transactions of a SQLite database in WAL mode survive a power cut, many waiters
 * with one fdatasync of the log (group commit). The log's own file is opened: closing a descriptor
 * of the database file itself would drop SQLite's POSIX locks. A failed sync is final: the kernel
 * may have dropped the pages (the "fsyncgate" of 2018).
 */
export class WalSync {
  readonly #path: string;
  /** Number of the last transaction that touched an inode, for those not synced yet. */
  readonly #touched = new Map<Ino, number>();
  #fd: number | undefined;
  #last = 0;
  #synced = 0;
  /** The newest transaction of inodes no longer in the map. */
  #forgotten = 0;
  #running: Promise<void> | undefined;
  #failure: DfsError | undefined;
  /** fdatasync calls made, for tests and status. */
  syncCount = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** The transaction just committed concerns `ino`. */
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
    this.#fd ??= openSync(this.#path, 'r+');
    const fd = this.#fd;
    this.syncCount++;
    await new Promise<void>((resolve, reject) => {
      fdatasync(fd, (error) => {
        if (error === null) return resolve();
        this.#failure = new DfsError('IO', `Cannot sync ${this.#path}: ${messageOf(error)}`);
        reject(this.#failure);
      });
    });
    this.#synced = covers;
    if (covers === this.#last) this.#touched.clear();
  }

  async close(): Promise<void> {
    await this.#running?.catch(() => undefined);
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
