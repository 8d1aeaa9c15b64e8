import { closeSync, openSync } from 'node:fs';
import type { Ino } from '../base/ids.ts';
import { hasOtherOpens, hasWriters } from '../base/os/mod.ts';
import type { Descriptors } from './descriptors.ts';
import type { CacheLayout } from './layout.ts';

/**
 * Cache files that the kernel has lent to programs: reads of the inode, or a mapping, go to the
 * cache file itself.
 *
 * Invariants:
 *  1. A lent cache file holds all of its inode, and changes only as the inode does: it is not
 *     punched, not removed, and not replaced by another one.
 *  2. A loan ends when nobody has the cache file open or mapped any more. A mapping lives on when
 *     its descriptor is closed, so only the kernel can tell: it grants a lease to who is alone.
 */
export class Loans {
  readonly #layout: CacheLayout;
  readonly #descriptors: Descriptors;
  /** Inodes that are open, and what their files took when they were lent. */
  readonly #open = new Map<Ino, number>();
  /** Those that were, and are perhaps still mapped. */
  readonly #left = new Map<Ino, number>();
  /** Those that perhaps are mapped to be written. */
  readonly #writable = new Set<Ino>();
  /** A process before this one may have lent any file. */
  #isInherited = false;
  /** Called when a loan is found to be over by somebody who will change or remove the file. */
  onEnd: ((ino: Ino) => void) | undefined;
  #bytes = 0;

  constructor(layout: CacheLayout, descriptors: Descriptors) {
    this.#layout = layout;
    this.#descriptors = descriptors;
  }

  /** Bytes of files that cannot be evicted for being lent. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the cache file of `ino` must stay what it is (invariant 1). */
  isLent(ino: Ino): boolean {
    if (this.#open.has(ino)) return true;
    if (!this.#isInherited && !this.#left.has(ino)) return false;
    const fd = this.#descriptors.existing(this.#layout.file(ino));
    if (fd !== undefined && hasOtherOpens(fd)) return true;
    if (this.#end(this.#left, ino) !== undefined) this.onEnd?.(ino);
    return false;
  }

  /** Ends the loans that are over. */
  sweep(): void {
    const left = [...this.#left.keys()];
    for (const ino of left) this.isLent(ino);
  }

  /** The kernel gets the file, which takes `bytes`. */
  begin(ino: Ino, bytes: number): void {
    this.#end(this.#left, ino);
    if (this.#open.has(ino)) return;
    this.#open.set(ino, bytes);
    this.#bytes += bytes;
  }

  /** The last open has ended; whether the loan has is looked at when it matters. */
  closed(ino: Ino): void {
    const bytes = this.#end(this.#open, ino);
    if (bytes === undefined) return;
    this.#left.set(ino, bytes);
    this.#bytes += bytes;
  }

  #end(loans: Map<Ino, number>, ino: Ino): number | undefined {
    const bytes = loans.get(ino);
    loans.delete(ino);
    this.#bytes -= bytes ?? 0;
    return bytes;
  }

  /** The inode is gone, so nobody can have it any more: mappings, too, keep the kernel's inode. */
  forget(ino: Ino): void {
    this.#end(this.#open, ino);
    this.#end(this.#left, ino);
    this.#writable.delete(ino);
  }

  /** There may be lent files of a process before this one: which ones, only the kernel knows. */
  inherit(): void {
    this.#isInherited = true;
  }

  /** There are none: the mount is new. */
  inheritNothing(): void {
    this.#isInherited = false;
  }

  /** Somebody who may write has opened a lent file: a mapping of his changes it unseen. */
  writing(ino: Ino): void {
    // To the end: those are looked at in turns.
    this.#writable.delete(ino);
    this.#writable.add(ino);
  }

  /** Whether `ino` is one of {@link writing}. */
  isWriting(ino: Ino): boolean {
    return this.#writable.has(ino);
  }

  /** Inodes of {@link writing}, the longest not named to it first. */
  get writable(): Iterable<Ino> {
    return this.#writable;
  }

  /** Whether a mapping may still write to the file; once not, it is no longer `writable`. */
  isWritable(ino: Ino): boolean {
    const path = this.#layout.file(ino);
    // Our own descriptor can write, too.
    this.#descriptors.forget(path);
    let fd: number;
    try {
      fd = openSync(path, 'r');
    } catch {
      this.#writable.delete(ino);
      return false;
    }
    try {
      const isWritable = hasWriters(fd);
      if (!isWritable) this.#writable.delete(ino);
      return isWritable;
    } finally {
      closeSync(fd);
    }
  }
}
