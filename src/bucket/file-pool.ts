import type { FileHandle } from 'node:fs/promises';
import { assert } from '../base/errors.ts';

// Invariants.
// 1. A file that was written is synced on the handle it was written with: a handle opened later
//    may never hear of the failure of an earlier write. So a dirty file is synced before it closes.
// 2. A handle is closed only while nobody uses it.
// 3. sync() returns when no write that ended before the call is left unsynced, also those whose
//    sync another caller had begun.
// 4. Never more than `limit` files are open; at most half of them are in use.
// 5. No more calls wait for the disk at the same time than USERS_MAX and SYNCS_MAX: a disk that hangs
//    must not take all the threads that the process has for waiting (node/mount-main.ts).

const USERS_MAX = 6;
const SYNCS_MAX = 6;

interface PooledFile {
  readonly handle: Promise<FileHandle>;
  users: number;
  dirty: boolean;
  syncing: Promise<void> | undefined;
}

/** What the pool needs to know of the files. */
export interface FilePoolOptions {
  /** Most handles that are open at once. */
  readonly limit: number;
  readonly open: (bucket: number) => Promise<FileHandle>;
  readonly sync: (bucket: number, handle: FileHandle) => Promise<void>;
}

/** The open bucket files of a disk, least recently used closed first. */
export class FilePool {
  readonly #options: FilePoolOptions;
  /** In the order of last use. */
  readonly #files = new Map<number, PooledFile>();
  /** Who waits for the number of users to fall. */
  readonly #waiting: (() => void)[] = [];
  #users = 0;
  readonly #running = new Set<Promise<unknown>>();
  #shrinking: Promise<void> | undefined;

  constructor(options: FilePoolOptions) {
    this.#options = options;
  }

  get openCount(): number {
    return this.#files.size;
  }

  /** Runs `work` with the file's handle, which it must not keep. */
  async use<T>(bucket: number, work: (handle: FileHandle) => Promise<T>): Promise<T> {
    const done = this.#use(bucket, work);
    this.#running.add(done);
    try {
      return await done;
    } finally {
      this.#running.delete(done);
    }
  }

  async #use<T>(bucket: number, work: (handle: FileHandle) => Promise<T>): Promise<T> {
    const usersMax = Math.min(USERS_MAX, this.#options.limit / 2);
    while (this.#users >= usersMax) await this.#nextIdle();
    this.#users++;
    try {
      // Half of the limit is in use at most, so there is always something to close (invariant 4).
      while (!this.#files.has(bucket) && this.#files.size >= this.#options.limit) {
        await this.#shrink();
      }
      const file = this.#files.get(bucket) ?? this.#open(bucket);
      this.#files.delete(bucket);
      this.#files.set(bucket, file);
      file.users++;
      try {
        return await work(await file.handle);
      } finally {
        file.users--;
      }
    } finally {
      this.#users--;
      this.#waiting.shift()?.();
    }
  }

  /** Says that the file holds bytes that are not synced; only from inside use(). */
  markDirty(bucket: number): void {
    const file = this.#files.get(bucket);
    assert(file !== undefined && file.users > 0, 'a file is written while it is used');
    file.dirty = true;
  }

  /** Syncs every dirty file, some at once. */
  async sync(): Promise<void> {
    const files = [...this.#files].filter(([, file]) => file.dirty || file.syncing !== undefined);
    const todo = files.values();
    const worker = async (): Promise<void> => {
      for (const [bucket, file] of todo) await this.#sync(bucket, file);
    };
    const results = await Promise.allSettled(Array.from({ length: SYNCS_MAX }, worker));
    const failure = results.find((result) => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }

  /** Waits for what uses the files and closes every handle, without a sync. */
  async close(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
    await this.#shrinking;
    const files = [...this.#files.values()];
    this.#files.clear();
    for (const file of files) {
      assert(file.users === 0, 'a pool closes when nobody uses its files');
      await (await file.handle).close();
    }
  }

  #open(bucket: number): PooledFile {
    const handle = this.#options.open(bucket);
    const file: PooledFile = { handle, users: 0, dirty: false, syncing: undefined };
    handle.catch(() => {
      if (this.#files.get(bucket) === file) this.#files.delete(bucket);
    });
    return file;
  }

  async #sync(bucket: number, file: PooledFile): Promise<void> {
    while (file.syncing !== undefined) await file.syncing;
    if (!file.dirty) return;
    // Invariant 3: from here to the end of the sync the file is dirty or syncing for everybody.
    file.dirty = false;
    file.syncing = file.handle
      .then((handle) => this.#options.sync(bucket, handle))
      .finally(() => {
        file.syncing = undefined;
      });
    await file.syncing;
  }

  #shrink(): Promise<void> {
    this.#shrinking ??= this.#closeIdle().finally(() => {
      this.#shrinking = undefined;
    });
    return this.#shrinking;
  }

  /** Closes the files longest unused, down to three quarters of the limit. */
  async #closeIdle(): Promise<void> {
    const idle = [...this.#files].filter(([, file]) => file.users === 0);
    const surplus = this.#files.size - Math.floor((this.#options.limit * 3) / 4);
    const closing = idle.slice(0, surplus);
    const syncs = await Promise.allSettled(
      closing.map(([bucket, file]) => this.#sync(bucket, file)),
    );
    for (const [bucket, file] of closing) {
      // It may have been taken up, or written again, during the syncs (invariants 1 and 2).
      if (file.users > 0 || file.dirty || file.syncing !== undefined) continue;
      this.#files.delete(bucket);
      await (await file.handle).close();
    }
    const failed = syncs.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  #nextIdle(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
