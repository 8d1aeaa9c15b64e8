import { ftruncateSync, writeSync } from 'node:fs';
import { blockCeil, blockFloor } from '../base/blocks.ts';
import { Cancels } from '../base/cancels.ts';
import { timestamp } from '../base/clock.ts';
import { EINTR, ENOSPC, type NegativeErrno } from '../base/errno.ts';
import { assert } from '../base/errors.ts';
import type { Epoch, Ino } from '../base/ids.ts';
import { BLOCK_BYTES } from '../base/limits.ts';
import type { Timed } from '../base/pauses.ts';
import { syncData } from '../base/sync-data.ts';
import type { CapturedRange, CutSource, FrozenFile } from '../commit/mod.ts';
import { blocksOf, type Inode, type LiveMeta } from '../meta/mod.ts';
import { Backlog } from './backlog.ts';
import { CacheFiles, FREED_AT_ONCE_BYTES_MAX } from './cache-files.ts';
import type { CachedFile } from './cached-file.ts';
import { Cut } from './cut.ts';
import { type Fetch, Fetcher } from './fetcher.ts';
import { Holes } from './holes.ts';
import { Lending } from './lending.ts';
import { type CacheCounters, Reader, type Resident } from './reader.ts';
import { noteSynced } from './sync-marks.ts';

export interface FileCacheOptions {
  folder: string;
  meta: LiveMeta;
  /** Device space the cache may use, in bytes. */
  limitBytes: number;
  fetch: Fetch;
  /** Asks for a commit because dirty data fills the cache; rejects when it failed. */
  relieve: () => Promise<void>;
  timed?: Timed;
  /** What reads without waiting; for tests. */
  resident?: Resident | undefined;
}

/** Times an operation waits for its blocks, when others take them away again. */
const TRIES = 64;

/**
 * The write-back cache: one sparse file an inode, at its own offsets.
 *
 * Invariants:
 *  1. A block in `present` reads right from the cache file; every other block comes from the
 *     extents, or is a hole.
 *  2. The cache file, where there is one, is exactly as long as the inode.
 *  3. Before the first byte of an epoch goes into a cache file, table `dirty` says so (a crash
 *     finds it again).
 *  4. Bytes of a frozen, not yet captured range are saved before they change: the commit sees the
 *     cut.
 *  5. Dirty and frozen blocks are never evicted.
 *  6. While a fetch writes into a range, nobody else does: who needs the range waits for the fetch.
 *
 * States of a block: absent -> (fetch) present -> (write) dirty -> (freeze) frozen -> (publish)
 * present -> (evict) absent; a write makes any of them dirty, a frozen one also.
 */
export class FileCache implements CutSource {
  readonly #options: FileCacheOptions;
  readonly #meta: LiveMeta;
  readonly #files: CacheFiles;
  readonly #fetcher: Fetcher;
  readonly #reader: Reader;
  readonly #cut: Cut;
  readonly #cancels = new Cancels();
  /** Where files have data and where not; erases ranges. */
  readonly holes: Holes;
  /** Who writes faster than commits are. */
  readonly backlog: Backlog;
  /** Lends cache files to the kernel. */
  readonly lending: Lending;
  #openEpoch = 1 as Epoch;
  #writtenBytes = 0;

  constructor(options: FileCacheOptions) {
    this.#options = options;
    this.#meta = options.meta;
    this.#files = new CacheFiles(options);
    this.#fetcher = new Fetcher(this.#files, options.meta, options.fetch);
    const { meta, resident, limitBytes } = options;
    const files = this.#files;
    this.#reader = new Reader({ files, fetcher: this.#fetcher, meta, resident });
    this.#cut = new Cut(files);
    this.backlog = new Backlog(() => files.dirtyBytes + this.#cut.frozenBytes);
    const markDirty = (file: CachedFile): void => this.#markDirty(file);
    this.lending = new Lending({ files, meta, limitBytes, markDirty });
    const noteMapped = (file: CachedFile): void => this.lending.noteFile(file);
    this.holes = new Holes({ files, cut: this.#cut, meta, markDirty, noteMapped });
  }

  get dirtyBytes(): number {
    return this.#files.dirtyBytes;
  }

  get frozenBytes(): number {
    return this.#cut.frozenBytes;
  }

  get cachedBytes(): number {
    return this.#files.evictor.totalBytes;
  }

  get limitBytes(): number {
    return this.#options.limitBytes;
  }

  get counters(): CacheCounters {
    const { fetches, fetchedBytes } = this.#fetcher;
    const { readBytes, hits, misses, deviceReads } = this.#reader;
    const writtenBytes = this.#writtenBytes;
    return { readBytes, writtenBytes, fetches, fetchedBytes, hits, misses, deviceReads };
  }

  /** Takes up what an earlier process left: see {@link CacheFiles.open}. */
  open(openEpoch: Epoch, options: { keepClean: boolean }): void {
    this.#openEpoch = openEpoch;
    this.#files.open(options);
  }

  /** Takes note of an inode that was just made. */
  fresh(inode: Inode): void {
    this.#files.fresh(inode);
  }

  /** Reads as {@link Vfs.read} does. */
  read(
    inode: Inode,
    offset: number,
    length: number,
    into: Buffer,
    at: number,
  ): number | Promise<Buffer | NegativeErrno> {
    return this.#reader.read(inode, offset, length, into, at);
  }

  /** Writes all of `data` at `offset`: the count or a negative errno. `unique`: see cancelWrite(). */
  write(inode: Inode, offset: number, data: Buffer, unique?: number): number | Promise<number> {
    const file = this.#files.load(inode);
    const { backlog } = this;
    const waiting = backlog.isOver ? backlog.wait() : this.#readyToWrite(file, offset, data.length);
    if (waiting === undefined) return this.#writeNow(file, offset, data);
    return this.#writeLater(file.ino, offset, Buffer.from(data), { waiting, unique });
  }

  /** Ends the write of the request `unique` with EINTR and nothing written, if it waits. */
  cancelWrite(unique: number): void {
    this.#cancels.cancel(unique);
  }

  async #writeLater(
    ino: Ino,
    offset: number,
    data: Buffer,
    wait: { waiting: Promise<void>; unique: number | undefined },
  ): Promise<number> {
    let pending: Promise<void> | undefined = wait.waiting;
    for (let tries = 0; tries < TRIES; tries++) {
      if (await this.#cancels.during(wait.unique, pending)) return -EINTR;
      const inode = this.#meta.inode(ino);
      if (inode === undefined) return data.length; // Nobody can read it any more.
      const file = this.#files.load(inode);
      pending = this.#readyToWrite(file, offset, data.length);
      if (pending === undefined) return this.#writeNow(file, offset, data);
    }
    return -ENOSPC;
  }

  /**
   * What a write must wait for: room in the cache, fetches in its range, blocks it covers only in
   * part.
   */
  #readyToWrite(file: CachedFile, offset: number, length: number): Promise<void> | undefined {
    const { evictor } = this.#files;
    if (evictor.isFull(length)) return evictor.makeRoom(this.#options.relieve);
    const end = offset + length;
    const start = blockFloor(offset);
    const running = file.fillTouching(start, blockCeil(end));
    // Should the fetch fail, the blocks are asked for again below, if the write needs them at all.
    if (running !== undefined) return running.done.catch(() => undefined);
    const size = file.inode.sizeBytes;
    if (offset !== start && start < size) {
      const head = this.#fetcher.ensure(file, start, start + BLOCK_BYTES);
      if (head !== undefined) return head;
    }
    const tail = blockFloor(end);
    if (end !== tail && end < size) return this.#fetcher.ensure(file, tail, tail + BLOCK_BYTES);
    return undefined;
  }

  #writeNow(file: CachedFile, offset: number, data: Buffer): number {
    const start = blockFloor(offset);
    const end = blockCeil(offset + data.length);
    this.#markDirty(file);
    this.#cut.save(file, start, end);
    const fd = this.#files.created(file);
    let written = 0;
    try {
      while (written < data.length) {
        written += writeSync(fd, data, written, data.length - written, offset + written);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      return this.#shortWrite(file, offset, written);
    }
    this.#files.addPresent(file, start, end);
    this.#files.addDirty(file, start, end);
    this.#wrote(file, offset + data.length);
    this.#writtenBytes += data.length;
    return data.length;
  }

  /** The device is full: what was written in whole blocks stays, the rest did not happen. */
  #shortWrite(file: CachedFile, offset: number, written: number): number {
    const whole = blockFloor(offset + written);
    if (whole > offset) {
      this.#files.addPresent(file, blockFloor(offset), whole);
      this.#files.addDirty(file, blockFloor(offset), whole);
      this.#wrote(file, whole);
    }
    ftruncateSync(this.#files.created(file), file.inode.sizeBytes);
    return whole > offset ? whole - offset : -ENOSPC;
  }

  #wrote(file: CachedFile, end: number): void {
    const { inode } = file;
    if (end > inode.sizeBytes) {
      inode.sizeBytes = end;
      inode.blocks = blocksOf(end);
    }
    const { sec, nsec } = timestamp();
    inode.mtimeSec = sec;
    inode.mtimeNsec = nsec;
    inode.ctimeSec = inode.mtimeSec;
    inode.ctimeNsec = inode.mtimeNsec;
    this.#files.noteGrown(file);
  }

  /** Invariant 3. */
  #markDirty(file: CachedFile): void {
    if (file.markedEpoch === this.#openEpoch) return;
    this.#meta.markDirty(file.ino, this.#openEpoch);
    file.markedEpoch = this.#openEpoch;
  }

  /**
   * The owner set the times of `inode`: a crash must find them at the cache file of a dirty inode.
   */
  mtimeSet(inode: Inode): void {
    const file = this.#files.known(inode.ino);
    if (file?.isBusy) this.#files.restoreMtime(file);
  }

  /**
   * Makes the cache file of `inode` `size` bytes long, before the metadata says so: undefined when
   * done, else a promise after which to ask again.
   */
  resize(inode: Inode, size: number): Promise<void> | undefined {
    const file = this.#files.load(inode);
    const running = file.fills[0];
    if (running !== undefined) return running.done.catch(() => undefined);
    if (size === 0 && !this.lending.isLent(file.ino)) {
      this.#files.empty(file);
      this.#files.removeRange(file, 0, Number.MAX_SAFE_INTEGER);
      return undefined;
    }
    const before = file.cachedBytes;
    if (size < inode.sizeBytes) {
      this.#cut.save(file, blockFloor(size), blockCeil(inode.sizeBytes));
      this.#files.removeRange(file, blockCeil(size), Number.MAX_SAFE_INTEGER);
    }
    const fd = this.#files.existing(file);
    if (fd === undefined) return undefined;
    this.#files.unsynced.changed(file.ino);
    if (before - file.cachedBytes > FREED_AT_ONCE_BYTES_MAX) {
      return this.#files.shrinker.shrink(file, fd, size);
    }
    ftruncateSync(fd, size);
    return undefined;
  }

  /** The inode is gone for good. */
  drop(ino: Ino): void {
    const file = this.#files.known(ino);
    if (file === undefined) {
      this.#files.remove(ino);
      this.#files.removals.add(this.#files.layout.file(ino));
      return;
    }
    file.deleted = true;
    const fills = file.fills.map((fill) => fill.done.catch(() => undefined));
    if (fills.length === 0) this.#files.discard(file);
    else void Promise.all(fills).then(() => this.#files.discard(file));
    this.#files.removeRange(file, 0, Number.MAX_SAFE_INTEGER);
    this.#files.remove(ino);
  }

  /** Frees what of `ino` is clean, which the next reader fetches from the disks: the bytes freed. */
  evict(ino: Ino): Promise<number> {
    return this.#files.evictor.evict(ino);
  }

  /** Inodes that have a cache file. */
  cachedInodes(): Iterable<Ino> {
    return this.#files.layout.inodes();
  }

  /** fdatasync of the cache file: undefined when there is nothing to sync. */
  sync(ino: Ino): Promise<void> | undefined {
    const isMapped = this.lending.keepMark(ino);
    const { unsynced } = this.#files;
    const inode = isMapped || unsynced.has(ino) ? this.#meta.inode(ino) : undefined;
    if (inode === undefined) return undefined;
    const file = this.#files.load(inode);
    const fd = this.#files.existing(file);
    if (fd === undefined) return undefined;
    const path = this.#files.path(file);
    const epoch = this.#openEpoch;
    return this.#files.descriptors.hold(fd, async (held) => {
      await unsynced.sync(ino, path, () => syncData(held, path));
      noteSynced(this.#meta, file, epoch);
    });
  }

  /** Blocks with bytes no published chunk holds. */
  uncommittedBytes(ino: Ino): { dirty: number; frozen: number } {
    const dirty = this.#files.known(ino)?.dirty.total ?? 0;
    return { dirty, frozen: this.#cut.bytesOf(ino) };
  }

  /**
   * Marks blocks dirty that did not change, so that the next commit stores them in larger chunks.
   */
  rewrite(ino: Ino, start: number, end: number): void {
    const inode = this.#meta.inode(ino);
    if (inode === undefined) return;
    const file = this.#files.load(inode);
    const to = Math.min(end, blockCeil(inode.sizeBytes));
    if (!file.present.covers(start, to) || file.fills.length > 0) return;
    this.#markDirty(file);
    this.#files.restoreMtime(file);
    this.#files.addDirty(file, start, to);
  }

  get resizing(): Promise<void> | undefined {
    return this.#files.shrinker.running;
  }

  get grownFiles(): number {
    return this.#files.grown.size;
  }

  grown(count: number): Inode[] {
    const inodes: Inode[] = [];
    for (const { inode } of this.#files.grown) {
      if (inodes.length >= count) break;
      inodes.push(inode);
    }
    return inodes;
  }

  settled(inodes: Inode[]): void {
    for (const { ino } of inodes) {
      const file = this.#files.known(ino);
      if (file !== undefined) this.#files.settle(file);
    }
  }

  freeze(epoch: Epoch): void {
    assert(epoch === this.#openEpoch, `cut of epoch ${epoch} while ${this.#openEpoch} is open`);
    this.#openEpoch = (epoch + 1) as Epoch;
    this.#files.unsynced.freeze();
    this.#cut.freeze(epoch);
  }

  frozen(count: number): FrozenFile[] {
    return this.#cut.frozen(count);
  }

  capture(ino: Ino, start: number, end: number): CapturedRange {
    return this.#cut.capture(ino, start, end);
  }

  published(count: number): boolean {
    const isMore = this.#cut.published(count);
    if (isMore) return true;
    this.#files.unsynced.published();
    this.#files.evictor.check();
    return false;
  }

  abandoned(count: number): boolean {
    this.#files.unsynced.abandoned();
    return this.#cut.abandoned(count);
  }

  close(): void {
    this.#files.close();
  }
}
