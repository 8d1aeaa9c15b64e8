import { renameSync, statSync, unlink, unlinkSync } from 'node:fs';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { DfsError, messageOf } from '../base/errors.ts';
import type { Ino } from '../base/ids.ts';
import type { Interval } from '../base/interval-set.ts';
import { MIB } from '../base/limits.ts';
import { punchHole } from '../base/os/mod.ts';
import type { Timed } from '../base/pauses.ts';
import type { CachedFile } from './cached-file.ts';
import type { Descriptors } from './descriptors.ts';
import { DeviceRoom } from './device-room.ts';
import type { CacheLayout } from './layout.ts';

export interface EvictorOptions {
  files: ReadonlyMap<Ino, CachedFile>;
  limitBytes: number;
  layout: CacheLayout;
  descriptors: Descriptors;
  /** Drops a clean file from memory. */
  forget: (file: CachedFile) => void;
  /** Whether the file of an inode must stay as it is: see {@link Loans}. */
  isLent: (ino: Ino) => boolean;
  timed: Timed;
}

/** What one turn of the event loop does at most: each takes about a millisecond. */
const SCAN_FILES_A_TURN = 200;
const UNLINK_FILES_A_TURN = 30;
const FREE_BYTES_A_TURN: number = 4 * MIB;
const PUNCHES_A_TURN = 30;
const LOOKS_A_TURN = 2000;
const WRITE_BYTES_MAX: number = MIB;
/** Eviction begins above the first share of the limit and goes on down to the second. */
/** A device that was given blocks back may take so long to have them. */
const DEVICE_WAIT_MS = 20;
const HIGH_SHARE = 0.9;
const LOW_SHARE = 0.8;

/** What a turn has freed of a file, and whether another one may free more. */
interface Part {
  freed: number;
  isMore: boolean;
}

const NOTHING: Part = { freed: 0, isMore: false };

/**
 * Counts the device space of the cache and frees clean blocks, least recently used files first.
 * Invariant: what is dirty, frozen, lent or being fetched stays.
 */
export class Evictor {
  /** Where in a file the next turn goes on. */
  readonly #places = new WeakMap<CachedFile, number>();
  readonly #options: EvictorOptions;
  /** Bytes a cache file takes, for each there is; the longest not loaded first. */
  readonly #bytes = new Map<Ino, number>();
  readonly #room: DeviceRoom;
  #total = 0;
  #running: Promise<void> | undefined;
  #scanned: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: EvictorOptions) {
    this.#options = options;
    this.#room = new DeviceRoom(options.layout.folder);
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
    this.#room.grew(bytes);
    this.#bytes.set(file.ino, file.cachedBytes);
    this.check();
  }

  shrank(file: CachedFile, bytes: number): void {
    this.#total -= bytes;
    this.#room.shrank(bytes);
    this.#bytes.set(file.ino, file.cachedBytes);
  }

  removed(ino: Ino): void {
    const bytes = this.#bytes.get(ino) ?? 0;
    this.#total -= bytes;
    this.#room.shrank(bytes);
    this.#bytes.delete(ino);
  }

  /** What the cache may take: as much as it was given, if its device has that. */
  get #limit(): number {
    return Math.min(this.#options.limitBytes, this.#total + this.#room.bytes);
  }

  isFull(moreBytes: number): boolean {
    return this.#total + moreBytes > this.#limit;
  }

  /** Starts to evict when little room is left. */
  check(): void {
    const limit = this.#limit;
    if (this.#total > limit * HIGH_SHARE) this.#start(limit * LOW_SHARE);
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
    const limit = this.#limit;
    this.#start(Math.min(limit * LOW_SHARE, limit - WRITE_BYTES_MAX));
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
    if (!this.isFull(WRITE_BYTES_MAX)) return;
    await pause(DEVICE_WAIT_MS);
    this.#room.look();
  }

  /**
   * `bytes` will be fetched: undefined, or what to wait for first, because the device may be full.
   * They count until {@link landed}.
   */
  expect(bytes: number): Promise<void> | undefined {
    const isFull = this.isFull(bytes);
    this.#room.grew(bytes);
    return isFull ? this.#evictForWrite() : undefined;
  }

  /** A fetch has ended. */
  landed(bytes: number): void {
    this.#room.shrank(bytes);
  }

  /** Frees all clean blocks of one inode, whether room is needed or not: the bytes freed. */
  async evict(ino: Ino): Promise<number> {
    await this.#scanned;
    let freed = 0;
    const known = this.#options.files.get(ino);
    if (known !== undefined) this.#places.delete(known);
    while (!this.#closed) {
      // Looked up each turn: the file may have been forgotten or deleted in between.
      const file = this.#options.files.get(ino);
      const part = file === undefined ? this.#evictUnloaded(ino) : this.#evictFrom(file);
      freed += part.freed;
      if (!part.isMore) break;
      await nextTurn();
    }
    return freed;
  }

  /** What is not in memory is clean. */
  #evictUnloaded(ino: Ino): Part {
    const bytes = this.#bytes.get(ino) ?? 0;
    if (bytes === 0 || this.#options.isLent(ino)) return NOTHING;
    this.#unlink(ino);
    return { freed: bytes, isMore: false };
  }

  /**
   * Begins in a turn of its own: whoever has just found or written a block goes on with it in this
   * one.
   */
  async #evict(target: number): Promise<void> {
    await nextTurn();
    let looked = 0;
    let unlinked = 0;
    for (const ino of this.#bytes.keys()) {
      if (this.#total <= target || this.#closed) return;
      if (!this.#options.files.has(ino) && !this.#options.isLent(ino)) {
        this.#unlink(ino);
        unlinked++;
      }
      if (++looked >= LOOKS_A_TURN || unlinked >= UNLINK_FILES_A_TURN) {
        looked = 0;
        unlinked = 0;
        await nextTurn();
      }
    }
    for (const file of this.#loaded()) {
      for (let isMore = true; isMore; ) {
        if (this.#total <= target || this.#closed) return;
        ({ isMore } = this.#evictFrom(file));
        await nextTurn();
      }
    }
  }

  /** Files in memory with something to evict, the least recently used first. */
  #loaded(): CachedFile[] {
    const files = [...this.#options.files.values()].filter(
      ({ allocated, dirty }) => allocated.total > dirty.total,
    );
    return files.sort((a, b) => a.lastUsed - b.lastUsed);
  }

  #evictFrom(file: CachedFile): Part {
    return this.#options.timed('evict', () => {
      if (file.deleted || file.fills.length > 0 || file.cachedBytes === 0) return NOTHING;
      if (this.#options.isLent(file.ino)) return NOTHING;
      if (file.isBusy || file.cachedBytes > FREE_BYTES_A_TURN) return this.#punch(file);
      const freed = file.cachedBytes;
      this.#options.forget(file);
      this.#unlink(file.ino);
      file.losses++;
      file.present.clear();
      file.allocated.clear();
      return { freed, isMore: false };
    });
  }

  /** Frees some clean blocks of a file that is large, or dirty in part. */
  #punch(file: CachedFile): Part {
    const fd = this.#options.descriptors.existing(this.#options.layout.file(file.ino));
    if (fd === undefined) return NOTHING;
    let freed = 0;
    let punches = 0;
    let at = this.#places.get(file) ?? 0;
    for (let looks = 0; looks < LOOKS_A_TURN; looks++) {
      const found = file.allocated.next(at);
      if (found === undefined) {
        this.#places.delete(file);
        return { freed, isMore: false };
      }
      const clean = cleanPart(file, found);
      at = clean.end;
      if (clean.start < clean.end) {
        const bytes = Math.min(clean.end - clean.start, FREE_BYTES_A_TURN - freed);
        at = clean.start + bytes;
        file.losses++;
        punchHole(fd, clean.start, bytes);
        file.present.remove(clean.start, at);
        const gone = file.allocated.remove(clean.start, at);
        this.shrank(file, gone);
        freed += gone;
        if (freed >= FREE_BYTES_A_TURN || ++punches >= PUNCHES_A_TURN) break;
      }
    }
    this.#places.set(file, at);
    return { freed, isMore: true };
  }

  #unlink(ino: Ino): void {
    const path = this.#options.layout.file(ino);
    this.#options.descriptors.forget(path);
    try {
      if ((this.#bytes.get(ino) ?? 0) <= FREE_BYTES_A_TURN) unlinkSync(path);
      else {
        const gone = this.#options.layout.gone(ino);
        renameSync(path, gone);
        unlink(gone, () => undefined);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    this.removed(ino);
  }

  close(): void {
    this.#closed = true;
  }
}

/**
 * The first part of an allocated range that may be evicted; an empty one at the end of what may not
 * be, if that comes first.
 */
function cleanPart(file: CachedFile, { start, end }: Interval): Interval {
  const { frozen } = file;
  const kept = frozen === undefined ? [file.dirty] : [file.dirty, frozen.left, frozen.uncaptured];
  let to = end;
  for (const set of kept) {
    const next = set.next(start);
    if (next === undefined || next.start >= to) continue;
    if (next.start === start) return { start: next.end, end: next.end };
    to = next.start;
  }
  return { start, end: to };
}
