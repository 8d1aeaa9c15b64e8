import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Timed } from '../base/pauses.ts';
import type { LiveMeta } from '../meta/mod.ts';

/** How many transactions, of some five pages each, make a checkpoint worth while. */
const TRANSACTIONS = 1000;
/** Pages of SQLite's log above which it has to begin anew: 64 MiB. */
const PAGES_MAX = 16_384;

export interface CheckpointsOptions {
  meta: Pick<LiveMeta, 'transactions' | 'wal' | 'checkpoint'>;
  /** Copies the log into the database on another thread; resolves to the pages in the log. */
  copy: () => Promise<number>;
  timed: Timed;
  log: Log;
}

/**
 * Keeps SQLite's log of the live metadata short, whatever a commit takes: a thousand transactions a
 * second make it grow by 20 MB.
 *
 * The store's thread copies it while the event loop goes on writing, so it never sees the end, and
 * only at its end the log can begin anew. When it has become long, the loop copies what little has
 * come since the store's thread was last there; its next transaction then begins the log anew.
 */
export class Checkpoints {
  readonly #options: CheckpointsOptions;
  #copied = 0;
  #running: Promise<void> | undefined;

  constructor(options: CheckpointsOptions) {
    this.#options = options;
  }

  /** Begins a checkpoint if it is time for one. */
  check(): void {
    const { meta, log } = this.#options;
    if (this.#running !== undefined || meta.transactions - this.#copied < TRANSACTIONS) return;
    this.#running = this.#run()
      .catch((error: unknown) => log('error', 'checkpoint failed', { message: messageOf(error) }))
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #run(): Promise<void> {
    const { meta, copy, timed } = this.#options;
    this.#copied = meta.transactions;
    if ((await copy()) <= PAGES_MAX) return;
    // Once more for what came meanwhile, and synced, so that as little as can be is left.
    await Promise.all([copy(), meta.wal.syncAll()]);
    timed('checkpoint', () => meta.checkpoint());
  }

  /** Waits for the one that runs. */
  async close(): Promise<void> {
    await this.#running;
  }
}
