import { closeSync, constants, openSync, statSync } from 'node:fs';
import { LRUCache } from 'lru-cache';

const OPEN_MAX = 512;
/** Permissions of a file of the cache. */
export const CACHE_FILE_MODE = 0o600;

/**
 * Descriptors of cache files, opened when needed; the least recently used ones are closed.
 * Invariant: one that is held by a call on another thread is closed only after that call.
 */
export class Descriptors {
  readonly #open = new LRUCache<string, number>({
    max: OPEN_MAX,
    dispose: (fd) => {
      if (this.#held.has(fd)) this.#doomed.add(fd);
      else closeSync(fd);
    },
  });
  /** How many calls use a descriptor. */
  readonly #held = new Map<number, number>();
  /** Held descriptors to be closed when they are released. */
  readonly #doomed = new Set<number>();
  /** The path last found to name no file: who asks for it next mostly makes it. */
  #absent: string | undefined;

  /** The descriptor of `path`, or undefined when there is no such file. */
  existing(path: string): number | undefined {
    const known = this.#open.get(path);
    if (known !== undefined) return known;
    // An error thrown costs four times as much as the question, and most files asked for are new.
    if (statSync(path, { throwIfNoEntry: false }) === undefined) {
      this.#absent = path;
      return undefined;
    }
    try {
      return this.#keep(path, openSync(path, constants.O_RDWR));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** `path` names no file, as its owner knows. */
  isAbsent(path: string): void {
    this.#absent = path;
  }

  /** The descriptor of `path`, which is made with `mode` when missing. */
  created(path: string, mode: number = CACHE_FILE_MODE): { fd: number; isNew: boolean } {
    const known = this.#absent === path ? undefined : this.existing(path);
    if (known !== undefined) return { fd: known, isNew: false };
    this.#absent = undefined;
    const flags = constants.O_RDWR | constants.O_CREAT;
    return { fd: this.#keep(path, openSync(path, flags, mode)), isNew: true };
  }

  /** Runs `call` with a descriptor from here, which stays open until the call has ended. */
  async hold<T>(fd: number, call: (fd: number) => Promise<T>): Promise<T> {
    this.#held.set(fd, (this.#held.get(fd) ?? 0) + 1);
    try {
      return await call(fd);
    } finally {
      const left = (this.#held.get(fd) ?? 1) - 1;
      if (left > 0) this.#held.set(fd, left);
      else {
        this.#held.delete(fd);
        if (this.#doomed.delete(fd)) closeSync(fd);
      }
    }
  }

  /** `path` is about to name another file, or none. */
  forget(path: string): void {
    this.#open.delete(path);
  }

  close(): void {
    this.#open.clear();
  }

  #keep(path: string, fd: number): number {
    this.#open.set(path, fd);
    return fd;
  }
}
