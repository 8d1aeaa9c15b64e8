import { LRUCache } from 'lru-cache';
import type { Ino } from '../base/ids.ts';
import type { Inode } from './inode.ts';

const INODES_MAX = 16_384;

/**
 * The one object in memory for each inode that is: the most recently used, and those that are
 * pinned because their owner changes size and times in them.
 */
export class InodeCache {
  readonly #recent = new LRUCache<Ino, Inode>({ max: INODES_MAX });
  readonly #pinned = new Map<Ino, Inode>();

  get(ino: Ino): Inode | undefined {
    return this.#pinned.get(ino) ?? this.#recent.get(ino);
  }

  set(inode: Inode): void {
    this.#recent.set(inode.ino, inode);
  }

  /** Keeps the object until {@link unpin}. */
  pin(inode: Inode): void {
    this.#pinned.set(inode.ino, inode);
    this.#recent.delete(inode.ino);
  }

  unpin(ino: Ino): void {
    const inode = this.#pinned.get(ino);
    if (inode === undefined) return;
    this.#pinned.delete(ino);
    this.#recent.set(ino, inode);
  }

  delete(ino: Ino): void {
    this.#recent.delete(ino);
    this.#pinned.delete(ino);
  }

  clear(): void {
    this.#recent.clear();
    this.#pinned.clear();
  }
}
