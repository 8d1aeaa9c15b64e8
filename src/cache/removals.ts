import { unlink, unlinkSync } from 'node:fs';

const WAIT_MS = 200;
/** So many files wait at most before they are removed. */
const WAITING_MAX = 1000;

/**
 * Cache files of inodes that are gone, some removed at once. A power cut may take back what removed
 * an inode from the metadata, but not that its cache file is gone: so the metadata comes to its
 * device first.
 */
export class Removals {
  readonly #sync: () => Promise<void>;
  #waiting: string[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** `sync` resolves when all changes of metadata up to its call are on their device. */
  constructor(sync: () => Promise<void>) {
    this.#sync = sync;
  }

  add(path: string): void {
    this.#waiting.push(path);
    if (this.#waiting.length >= WAITING_MAX) void this.#remove();
    else this.#timer ??= setTimeout(() => void this.#remove(), WAIT_MS).unref();
  }

  async #remove(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const paths = this.#waiting;
    this.#waiting = [];
    try {
      await this.#sync();
    } catch {
      return; // They are removed at the next start.
    }
    for (const path of paths) unlink(path, () => undefined);
  }

  /** Removes what still waits; the metadata is on its device, or nobody knows. */
  close(): void {
    clearTimeout(this.#timer);
    for (const path of this.#waiting.splice(0)) {
      try {
        unlinkSync(path);
      } catch {
        // It may never have been there.
      }
    }
  }
}
