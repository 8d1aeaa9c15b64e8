import { dirname } from 'node:path';
import type { Ino } from '../base/ids.ts';
import { syncFolder } from '../base/publish.ts';

/**
 * Cache files of which a power cut may take something back that was done since the last fsync: bytes,
 * a length, holes, or the file's name. Syncing a file need not sync its name.
 */
export class Unsynced {
  #changed = new Set<Ino>();
  /** What was changed before a cut that is being committed; nobody needs it once the disks do. */
  #frozen = new Set<Ino>();
  /** How many syncs of a file are under way. */
  readonly #syncing = new Map<Ino, number>();
  /** Files whose names the device has, or will have when the promise resolves. */
  readonly #named = new Map<Ino, Promise<void>>();

  /** The cache file changes, or ends sooner or later than before. */
  changed(ino: Ino): void {
    this.#changed.add(ino);
  }

  /** The cache file is a new one. */
  made(ino: Ino): void {
    this.#changed.add(ino);
    this.#named.delete(ino);
  }

  /** Whether a sync of `ino` has to wait for something; for another sync of it, too. */
  has(ino: Ino): boolean {
    return this.#changed.has(ino) || this.#frozen.has(ino) || this.#syncing.has(ino);
  }

  /** The inode is gone. */
  forget(ino: Ino): void {
    this.#changed.delete(ino);
    this.#frozen.delete(ino);
    this.#named.delete(ino);
  }

  freeze(): void {
    for (const ino of this.#changed) this.#frozen.add(ino);
    this.#changed = new Set();
  }

  published(): void {
    this.#frozen = new Set();
  }

  abandoned(): void {
    for (const ino of this.#frozen) this.#changed.add(ino);
    this.#frozen = new Set();
  }

  /** Brings the file at `path` to its device with `syncBytes`, and its name where that may be new. */
  async sync(ino: Ino, path: string, syncBytes: () => Promise<void>): Promise<void> {
    const wasFrozen = this.#frozen.delete(ino);
    const wasChanged = this.#changed.delete(ino);
    this.#syncing.set(ino, (this.#syncing.get(ino) ?? 0) + 1);
    try {
      await Promise.all([syncBytes(), this.#syncName(ino, path)]);
    } catch (error) {
      if (wasFrozen || wasChanged) this.#changed.add(ino);
      throw error;
    } finally {
      const left = (this.#syncing.get(ino) ?? 1) - 1;
      if (left > 0) this.#syncing.set(ino, left);
      else this.#syncing.delete(ino);
    }
  }

  #syncName(ino: Ino, path: string): Promise<void> {
    const known = this.#named.get(ino);
    if (known !== undefined) return known;
    const sync = syncFolder(dirname(path)).catch((error: unknown) => {
      if (this.#named.get(ino) === sync) this.#named.delete(ino);
      throw error;
    });
    this.#named.set(ino, sync);
    return sync;
  }
}
