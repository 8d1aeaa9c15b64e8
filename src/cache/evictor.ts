import { statSync, unlinkSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DfsError, messageOf } from '../base/errors.ts';
import type { Ino } from '../base/ids.ts';
import { IntervalSet } from '../base/interval-set.ts';
import { MIB } from '../base/limits.ts';
import { punchHole } from '../base/os/mod.ts';
import type { Timed } from '../base/pauses.ts';
import type { CachedFile } from './cached-file.ts';
import type { Descriptors } from './descriptors.ts';
import type { CacheLayout } from './layout.ts';

export interface EvictorOptions {
  files: ReadonlyMap<Ino, CachedFile>;
  limitBytes: number;
  layout: CacheLayout;
  descriptors: Descriptors;
  /** Drops a clean file from memory. */
  forget: (file: CachedFile) => void;
  timed: Timed;
}

const SCAN_FILES_A_TURN = 200;
const PUNCH_BYTES_A_TURN: number = 64 * MIB;
const WRITE_BYTES_MAX: number = MIB;
/** Eviction begins above the first share of the limit and goes on down to the second. */
const HIGH_SHARE = 0.9;
const LOW_SHARE = 0.8;

/**
 * Counts the device space of the cache and frees clean blocks, least recently used files first.
 * Invariant: what is dirty, frozen or being fetched stays.
 */
export class Evictor {
  readonly #options: EvictorOptions;
  /** Bytes a cache file takes, for each there is; the longest not loaded first. */
  readonly #bytes = new Map<Ino, number>();
  #total = 0;
  #running: Promise<void> | undefined;
  #scanned: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: EvictorOptions) {
    this.#options = options;
  }

  get totalBytes(): number {
    return this.#total;
  }

  /** Counts what an earlier process left, some files a turn of the event loop. */
  scan(): void {
    this.#scanned = this.#scan();
  }

  async #scan(): Promise<void> {
    let scanned = 0;
    for (const ino of this.#options.layout.inodes()) {
      if (this.#closed) return;
      if (++scanned % SCAN_FILES_A_TURN === 0) await nextTurn();
      if (this.#bytes.has(ino)) continue;
      const stat = statSync(this.#options.layout.file(ino), { throwIfNoEntry: false });
      if (stat !== undefined) this.#set(ino, stat.blocks * 512);
    }
    this.check();
  }

  #set(ino: Ino, bytes: number): void {
    this.#total += bytes - (this.#bytes.get(ino) ?? 0);
    this.#bytes.delete(ino);
    this.#bytes.set(ino, bytes);
  }

  loaded(file: CachedFile): void {
    this.#set(file.ino, file.cachedBytes);
  }

  grew(file: CachedFile, bytes: number): void {
    this.#total += bytes;
    this.#bytes.set(file.ino, file.cachedBytes);
    this.check();
  }

  shrank(file: CachedFile, bytes: number): void {
    this.#total -= bytes;
    this.#bytes.set(file.ino, file.cachedBytes);
  }

  removed(ino: Ino): void {
    this.#total -= this.#bytes.get(ino) ?? 0;
    this.#bytes.delete(ino);
  }

  isFull(moreBytes: number): boolean {
    return this.#total + moreBytes > this.#options.limitBytes;
  }

  /** Starts to evict when little room is left. */
  check(): void {
    const { limitBytes } = this.#options;
    if (this.#total > limitBytes * HIGH_SHARE) this.#start(limitBytes * LOW_SHARE);
  }

  #start(targetBytes: number): void {
    if (this.#closed) return;
    this.#running ??= this.#evict(targetBytes).finally(() => {
      this.#running = undefined;
    });
  }

  /** Evicts until the longest write fits, also into a cache of which that is a large share. */
  async #evictForWrite(): Promise<void> {
    this.check();
    await this.#running;
    if (!this.isFull(WRITE_BYTES_MAX)) return;
    const { limitBytes } = this.#options;
    this.#start(Math.min(limitBytes * LOW_SHARE, limitBytes - WRITE_BYTES_MAX));
    await this.#running;
  }

  /**
   * Evicts; when that frees too little, waits for `relieve`, which makes dirty blocks clean.
   * NO_SPACE when it cannot: only then is a cache full of dirty data the writer's problem.
   */
  async makeRoom(relieve: () => Promise<void>): Promise<void> {
    await this.#evictForWrite();
    if (this.isFull(WRITE_BYTES_MAX)) {
      try {
        await relieve();
      } catch (error) {
        const state = `the cache is full of data that cannot be committed: ${messageOf(error)}`;
        throw new DfsError('NO_SPACE', `Cannot write: ${state}`, { cause: error });
      }
      await this.#evictForWrite();
    }
  }

  /** Frees all clean blocks of one inode, whether room is needed or not: the bytes freed. */
  async evict(ino: Ino): Promise<number> {
    await this.#scanned;
    let freed = 0;
    while (!this.#closed) {
      // Looked up each turn: the file may have been forgotten or deleted in between.
      const file = this.#options.files.get(ino);
      const part = file === undefined ? this.#evictUnloaded(ino) : this.#evictFrom(file);
      freed += part;
      if (part === 0) break;
      await nextTurn();
    }
    return freed;
  }

  /** What is not in memory is clean. */
  #evictUnloaded(ino: Ino): number {
    const bytes = this.#bytes.get(ino) ?? 0;
    if (bytes > 0) this.#unlink(ino);
    return bytes;
  }

  /**
   * Begins in a turn of its own: whoever has just found or written a block goes on with it in this
   * one.
   */
  async #evict(target: number): Promise<void> {
    await nextTurn();
    let work = 0;
    const counted = [...this.#bytes.keys()];
    for (const ino of counted) {
      if (this.#total <= target || this.#closed) return;
      if (this.#options.files.has(ino)) continue;
      this.#unlink(ino);
      if (++work % SCAN_FILES_A_TURN === 0) await nextTurn();
    }
    const loaded = [...this.#options.files.values()].sort((a, b) => a.lastUsed - b.lastUsed);
    for (const file of loaded) {
      while (this.#total > target && !this.#closed) {
        const freed = this.#options.timed('evict', () => this.#evictFrom(file));
        await nextTurn();
        if (freed === 0) break;
      }
      if (this.#total <= target || this.#closed) return;
    }
  }

  #evictFrom(file: CachedFile): number {
    if (file.deleted || file.fills.length > 0 || file.cachedBytes === 0) return 0;
    if (!file.isBusy && file.cachedBytes <= PUNCH_BYTES_A_TURN) {
      const freed = file.cachedBytes;
      this.#options.forget(file);
      this.#unlink(file.ino);
      file.present.clear();
      file.allocated.clear();
      return freed;
    }
    return this.#punch(file);
  }

  /** Frees clean blocks of a file that is large, or dirty in part. */
  #punch(file: CachedFile): number {
    const keep = new IntervalSet();
    for (const { start, end } of file.dirty) keep.add(start, end);
    for (const { start, end } of file.frozen?.ranges ?? []) keep.add(start, end);
    const fd = this.#options.descriptors.existing(this.#options.layout.file(file.ino));
    if (fd === undefined) return 0;
    let freed = 0;
    const allocated = [...file.allocated];
    for (const { start, end } of allocated) {
      for (const gap of keep.gaps(start, end)) {
        if (freed >= PUNCH_BYTES_A_TURN) return freed;
        const to = Math.min(gap.end, gap.start + PUNCH_BYTES_A_TURN);
        punchHole(fd, gap.start, to - gap.start);
        file.present.remove(gap.start, to);
        const gone = file.allocated.remove(gap.start, to);
        this.shrank(file, gone);
        freed += gone;
      }
    }
    return freed;
  }

  #unlink(ino: Ino): void {
    const path = this.#options.layout.file(ino);
    this.#options.descriptors.forget(path);
    try {
      unlinkSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    this.removed(ino);
  }

  close(): void {
    this.#closed = true;
  }
}
