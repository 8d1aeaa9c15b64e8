import type { Ino } from '../base/ids.ts';

/** What a handle says of its open; the kernel gives it back with RELEASE. */
export const HANDLE = {
  /** Reads and writes go through the kernel's pages of the inode. */
  CACHED: 0,
  /** The kernel reads the cache file. */
  PASSED: 1,
  /** Beside {@link HANDLE.PASSED}: reads and writes come to us, mappings go to the cache file. */
  DIRECT: 2,
  /** Reads and writes come to us; mappings are the kernel's pages. */
  UNCACHED: 3,
} as const;

/** The opens of one inode of which the kernel knows the cache file. */
export interface PassedOpens {
  /** The kernel's number of the cache file. */
  id: number;
  /** How many of {@link HANDLE.PASSED} and {@link HANDLE.DIRECT} there are. */
  readers: number;
  direct: number;
}

/**
 * Opens by inode and mode, as the kernel has them, or more: an open counts before the kernel hears
 * of it, and until its RELEASE, before which the kernel has ended it.
 *
 * Invariant, which the kernel insists on (an open that breaks it fails with EIO): the opens of one
 * inode are either all cached, or all passed with one number.
 */
export class OpenTable {
  readonly #cached = new Map<Ino, number>();
  /** How many of the cached ones are {@link HANDLE.UNCACHED}. */
  readonly #uncached = new Map<Ino, number>();
  readonly #passed = new Map<Ino, PassedOpens>();

  /** The opens of `ino`, if they are passed. */
  passed(ino: Ino): PassedOpens | undefined {
    return this.#passed.get(ino);
  }

  /** Opens of `ino` that are not passed, beside which none can be. */
  cachedCount(ino: Ino): number {
    return this.#cached.get(ino) ?? 0;
  }

  hasUncached(ino: Ino): boolean {
    return this.#uncached.has(ino);
  }

  /** An open that is not passed, by its handle. */
  addCached(ino: Ino, handle: number): void {
    this.#cached.set(ino, (this.#cached.get(ino) ?? 0) + 1);
    if (handle !== HANDLE.UNCACHED) return;
    this.#uncached.set(ino, (this.#uncached.get(ino) ?? 0) + 1);
  }

  /** From now on the opens of `ino`, of which it has none but these, are passed. */
  setPassed(ino: Ino, opens: PassedOpens): void {
    this.#passed.set(ino, opens);
  }

  releaseCached(ino: Ino, handle: number): void {
    release(this.#cached, ino);
    if (handle === HANDLE.UNCACHED) release(this.#uncached, ino);
  }

  /** Counts the end of a passed open: the rest, of which there may be none; undefined when unknown. */
  releasePassed(ino: Ino, handle: number): PassedOpens | undefined {
    const opens = this.#passed.get(ino);
    if (opens === undefined) return undefined;
    if (handle === HANDLE.DIRECT) opens.direct = Math.max(0, opens.direct - 1);
    else opens.readers = Math.max(0, opens.readers - 1);
    if (opens.readers + opens.direct === 0) this.#passed.delete(ino);
    return opens;
  }

  /** The inode is gone: what it had passed. */
  forget(ino: Ino): PassedOpens | undefined {
    const opens = this.#passed.get(ino);
    this.#passed.delete(ino);
    this.#cached.delete(ino);
    this.#uncached.delete(ino);
    return opens;
  }

  clear(): void {
    this.#cached.clear();
    this.#uncached.clear();
    this.#passed.clear();
  }
}

function release(counts: Map<Ino, number>, ino: Ino): void {
  const left = (counts.get(ino) ?? 0) - 1;
  if (left > 0) counts.set(ino, left);
  else counts.delete(ino);
}
