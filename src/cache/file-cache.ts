import { fdatasync, ftruncateSync, futimesSync, readSync } from 'node:fs';
import { existsSync, renameSync, statSync, unlink, unlinkSync, writeSync } from 'node:fs';
import { ENOSPC, type NegativeErrno } from '../base/errno.ts';
import { assert, DfsError, messageOf } from '../base/errors.ts';
import type { ChunkId, Epoch, Ino } from '../base/ids.ts';
import { IntervalSet } from '../base/interval-set.ts';
import { BLOCK_BYTES, FILE_BYTES_MAX } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import type { CapturedRange, CutSource, FrozenFile } from '../commit/mod.ts';
import { blocksOf, type Inode, type LiveMeta } from '../meta/mod.ts';
import { blockCeil, blockFloor, CachedFile } from './cached-file.ts';
import { Descriptors } from './descriptors.ts';
import { Evictor } from './evictor.ts';
import { CacheLayout } from './layout.ts';
import { allocatedRanges, preserve } from './ranges.ts';

/** Parts of one chunk to be written into a cache file. */
export interface FetchRequest {
  path: string;
  chunk: ChunkId;
  parts: { offset: number; chunkOffset: number; lengthBytes: number }[];
}

export interface FileCacheOptions {
  folder: string;
  meta: LiveMeta;
  /** Device space the cache may use, in bytes. */
  limitBytes: number;
  /** Reads a chunk, verifies it and writes the parts into the file at `path`; off the event loop. */
  fetch: (request: FetchRequest) => Promise<void>;
  /** Asks for a commit because dirty data fills the cache; resolves when it has ended, well or not. */
  relieve: () => Promise<void>;
  log: Log;
}

/** Result of an operation that is done at once when the blocks it needs are cached. */
export type Now<T> = T | Promise<T>;

const FILES_IN_MEMORY_MAX = 16_384;
const ENSURE_TRIES = 64;

/**
 * The write-back cache: one sparse file an inode, at its own offsets.
 *
 * Invariants:
 *  1. A block in `present` reads right from the cache file; every other block comes from the extents, or is a hole.
 *  2. The cache file, where there is one, is exactly as long as the inode.
 *  3. Before the first byte of an epoch goes into a cache file, table `dirty` says so (a crash finds it again).
 *  4. Bytes of a frozen, not yet captured range are saved before they change: the commit sees the cut.
 *  5. Dirty and frozen blocks are never evicted.
 *  6. While a fetch writes into a range, nobody else does: who needs the range waits for the fetch.
 *
 * States of a block: absent -> (fetch) present -> (write) dirty -> (freeze) frozen -> (publish) present -> (evict) absent;
 * a write makes any of them dirty, a frozen one also.
 */
export class FileCache implements CutSource {
  readonly #options: FileCacheOptions;
  readonly #meta: LiveMeta;
  readonly #layout: CacheLayout;
  readonly #descriptors = new Descriptors();
  readonly #files = new Map<Ino, CachedFile>();
  readonly #frozen = new Map<Ino, CachedFile>();
  readonly #evictor: Evictor;
  #openEpoch = 1 as Epoch;
  #tick = 0;
  #dirtyBytes = 0;
  #frozenBytes = 0;
  #oldestDirtyMs: number | undefined;
  /** Counters for status: bytes of reads answered, and of chunks fetched. */
  readonly counters = { readBytes: 0, writtenBytes: 0, fetchedBytes: 0, fetches: 0 };

  constructor(options: FileCacheOptions) {
    this.#options = options;
    this.#meta = options.meta;
    this.#layout = new CacheLayout(options.folder);
    this.#evictor = new Evictor({
      files: this.#files,
      limitBytes: options.limitBytes,
      layout: this.#layout,
      descriptors: this.#descriptors,
      forget: (file) => this.#forget(file),
    });
  }

  get dirtyBytes(): number {
    return this.#dirtyBytes;
  }

  get frozenBytes(): number {
    return this.#frozenBytes;
  }

  get cachedBytes(): number {
    return this.#evictor.totalBytes;
  }

  get limitBytes(): number {
    return this.#options.limitBytes;
  }

  /** When the oldest byte that no commit has taken was written, in ms since 1970. */
  get oldestDirtyMs(): number | undefined {
    return this.#oldestDirtyMs;
  }

  /**
   * Makes folders, finds what an earlier process left and takes up its dirty files. Without `keepClean` cached blocks
   * that are not dirty are not trusted and go.
   */
  open(openEpoch: Epoch, options: { keepClean: boolean }): void {
    this.#openEpoch = openEpoch;
    this.#layout.prepare();
    const dirty = this.#meta.dirtyInodes();
    if (!options.keepClean) this.#removeClean(new Set(dirty.map(({ ino }) => ino)));
    for (const { ino } of dirty) this.#takeUp(ino);
    this.#evictor.scan();
  }

  /** After a power cut clean blocks may not be what they were: nobody synced them. */
  #removeClean(dirty: ReadonlySet<Ino>): void {
    for (const ino of this.#layout.inodes()) {
      if (!dirty.has(ino)) unlinkSync(this.#layout.file(ino));
    }
  }

  /**
   * A dirty file of an earlier process: its cache file is the truth about size and content. All that is allocated
   * counts as dirty, which is more than needed: deduplication finds what is stored already.
   */
  #takeUp(ino: Ino): void {
    const inode = this.#meta.inode(ino);
    const stat = statSync(this.#layout.file(ino), { bigint: true, throwIfNoEntry: false });
    if (inode === undefined || stat === undefined) return;
    const file = this.#load(inode);
    const rowMs = inode.mtimeSec * 1000 + inode.mtimeNsec / 1e6;
    const fileMs = Number(stat.mtimeNs / 1_000_000n);
    // A write gives both clocks' times within a tick of each other; anything else means the file was written later.
    if (Math.abs(rowMs - fileMs) > 20) {
      inode.mtimeSec = Number(stat.mtimeNs / 1_000_000_000n);
      inode.mtimeNsec = Number(stat.mtimeNs % 1_000_000_000n);
      inode.ctimeSec = inode.mtimeSec;
      inode.ctimeNsec = inode.mtimeNsec;
    }
    inode.sizeBytes = Number(stat.size);
    inode.blocks = blocksOf(inode.sizeBytes);
    file.grown = true;
    file.markedEpoch = 0 as Epoch;
    for (const { start, end } of file.present) this.#addDirty(file, start, end);
  }

  #load(inode: Inode): CachedFile {
    const known = this.#files.get(inode.ino);
    if (known !== undefined) {
      known.lastUsed = ++this.#tick;
      return known;
    }
    if (this.#files.size >= FILES_IN_MEMORY_MAX) this.#trimMemory();
    const file = new CachedFile(inode);
    file.lastUsed = ++this.#tick;
    const fd = this.#descriptors.existing(this.#layout.file(inode.ino));
    if (fd !== undefined) {
      for (const { start, end } of allocatedRanges(fd)) file.present.add(start, blockCeil(end));
    }
    file.cachedBytes = file.present.total;
    this.#evictor.loaded(file);
    this.#meta.pin(inode);
    this.#files.set(inode.ino, file);
    return file;
  }

  /** Forgets files that can be loaded again, the least recently used half. */
  #trimMemory(): void {
    const idle = [...this.#files.values()].filter((file) => !file.isBusy);
    idle.sort((a, b) => a.lastUsed - b.lastUsed);
    for (const file of idle.slice(0, Math.ceil(idle.length / 2))) this.#forget(file);
  }

  #forget(file: CachedFile): void {
    this.#files.delete(file.ino);
    this.#meta.unpin(file.ino);
  }

  /** Reads as {@link Vfs.read} does. */
  read(
    inode: Inode,
    offset: number,
    length: number,
    into: Buffer,
    at: number,
  ): number | Promise<Buffer | NegativeErrno> {
    const end = Math.min(offset + length, inode.sizeBytes);
    if (end <= offset) return 0;
    const file = this.#load(inode);
    const waiting = this.#ensure(file, blockFloor(offset), blockCeil(end));
    if (waiting === undefined) return this.#readPresent(file, offset, end - offset, into, at);
    return this.#readLater(file.ino, offset, length, waiting);
  }

  /** Nothing of before an await is used after it: the file may have been cut, evicted or deleted. */
  async #readLater(
    ino: Ino,
    offset: number,
    length: number,
    waiting: Promise<void>,
  ): Promise<Buffer | NegativeErrno> {
    let pending: Promise<void> | undefined = waiting;
    for (let tries = 0; tries < ENSURE_TRIES; tries++) {
      await pending;
      const inode = this.#meta.inode(ino);
      const end = Math.min(offset + length, inode?.sizeBytes ?? 0);
      if (inode === undefined || end <= offset) return Buffer.alloc(0);
      const file = this.#load(inode);
      pending = this.#ensure(file, blockFloor(offset), blockCeil(end));
      if (pending !== undefined) continue;
      const buffer = Buffer.allocUnsafe(end - offset);
      this.#readPresent(file, offset, end - offset, buffer, 0);
      return buffer;
    }
    throw new DfsError('TIMEOUT', `Cannot read inode ${ino}: its blocks are evicted at once`);
  }

  #readPresent(
    file: CachedFile,
    offset: number,
    length: number,
    into: Buffer,
    at: number,
  ): number {
    const fd = this.#descriptors.existing(this.#layout.file(file.ino));
    const count = fd === undefined ? 0 : readSync(fd, into, at, length, offset);
    // No cache file, or one that ends early: the rest is a hole.
    if (count < length) into.fill(0, at + count, at + length);
    this.counters.readBytes += length;
    return length;
  }

  /**
   * Makes blocks [start, end) present: undefined when they are, else a promise after which to ask again.
   */
  #ensure(file: CachedFile, start: number, end: number): Promise<void> | undefined {
    if (file.present.covers(start, end)) return undefined;
    const running = file.fillTouching(start, end);
    if (running !== undefined) return running.done;
    const fetches: Promise<void>[] = [];
    for (const gap of file.present.gaps(start, end)) {
      for (const extent of this.#meta.state.extents.overlapping(file.ino, gap.start, gap.end)) {
        fetches.push(this.#fetchExtent(file, extent));
      }
      if (fetches.length === 0) file.present.add(gap.start, gap.end);
    }
    if (fetches.length === 0) return undefined;
    return Promise.all(fetches).then(() => undefined);
  }

  /** Fetches the absent blocks of a whole extent, since its chunk must be read and verified whole. */
  #fetchExtent(
    file: CachedFile,
    extent: { offset: number; lengthBytes: number; chunk: ChunkId; chunkOffset: number },
  ): Promise<void> {
    const extentEnd = extent.offset + extent.lengthBytes;
    const end = blockCeil(extentEnd);
    const busy = file.fillTouching(extent.offset, end);
    if (busy !== undefined) return busy.done;
    const gaps = file.present.gaps(extent.offset, end);
    const { fd } = this.#openForWriting(file);
    const parts = gaps
      .filter((gap) => gap.start < extentEnd)
      .map((gap) => ({
        offset: gap.start,
        chunkOffset: extent.chunkOffset + (gap.start - extent.offset),
        lengthBytes: Math.min(gap.end, extentEnd) - gap.start,
      }));
    const path = this.#layout.file(file.ino);
    const fill = { start: extent.offset, end, done: Promise.resolve() };
    fill.done = this.#options.fetch({ path, chunk: extent.chunk, parts }).then(
      () => {
        for (const gap of gaps) this.#addPresent(file, gap.start, gap.end);
        if (!file.dirty.isEmpty) this.#restoreMtime(file, fd);
        this.counters.fetches++;
        this.counters.fetchedBytes += extent.lengthBytes;
        file.fills.splice(file.fills.indexOf(fill), 1);
      },
      (error: unknown) => {
        file.fills.splice(file.fills.indexOf(fill), 1);
        throw error;
      },
    );
    file.fills.push(fill);
    return fill.done;
  }

  /** Writes all of `data` at `offset`: the count or a negative errno. */
  write(inode: Inode, offset: number, data: Buffer): Now<number> {
    const file = this.#load(inode);
    const waiting = this.#readyToWrite(file, offset, data.length);
    if (waiting === undefined) return this.#writeNow(file, offset, data);
    return this.#writeLater(file.ino, offset, Buffer.from(data), waiting);
  }

  async #writeLater(
    ino: Ino,
    offset: number,
    data: Buffer,
    waiting: Promise<void>,
  ): Promise<number> {
    let pending: Promise<void> | undefined = waiting;
    for (let tries = 0; tries < ENSURE_TRIES; tries++) {
      await pending;
      const inode = this.#meta.inode(ino);
      if (inode === undefined) return data.length; // Nobody can read it any more.
      const file = this.#load(inode);
      pending = this.#readyToWrite(file, offset, data.length);
      if (pending === undefined) return this.#writeNow(file, offset, data);
    }
    return -ENOSPC;
  }

  /** What a write must wait for: room in the cache, fetches in its range, blocks it covers only in part. */
  #readyToWrite(file: CachedFile, offset: number, length: number): Promise<void> | undefined {
    if (this.#evictor.isFull(length)) return this.#evictor.makeRoom(this.#options.relieve);
    const end = offset + length;
    const start = blockFloor(offset);
    const running = file.fillTouching(start, blockCeil(end));
    if (running !== undefined) return running.done;
    const fileEnd = blockCeil(file.inode.sizeBytes);
    if (offset !== start && start < fileEnd) {
      const head = this.#ensure(file, start, Math.min(blockCeil(offset), fileEnd));
      if (head !== undefined) return head;
    }
    const tail = blockFloor(end);
    if (end !== tail && end < file.inode.sizeBytes && tail < fileEnd) {
      return this.#ensure(file, tail, tail + BLOCK_BYTES);
    }
    return undefined;
  }

  #writeNow(file: CachedFile, offset: number, data: Buffer): number {
    const start = blockFloor(offset);
    const end = blockCeil(offset + data.length);
    this.#aboutToChange(file, start, end);
    const { fd } = this.#openForWriting(file);
    let written = 0;
    try {
      while (written < data.length) {
        written += writeSync(fd, data, written, data.length - written, offset + written);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      return this.#shortWrite(file, offset, written);
    }
    this.#addPresent(file, start, end);
    this.#addDirty(file, start, end);
    this.#wrote(file, offset + data.length);
    this.counters.writtenBytes += data.length;
    return data.length;
  }

  /** The device is full: what was written in whole blocks stays, the rest did not happen. */
  #shortWrite(file: CachedFile, offset: number, written: number): number {
    const whole = blockFloor(offset + written);
    if (whole <= offset) {
      this.#restoreSize(file);
      return -ENOSPC;
    }
    this.#addPresent(file, blockFloor(offset), whole);
    this.#addDirty(file, blockFloor(offset), whole);
    this.#wrote(file, whole);
    this.#restoreSize(file);
    return whole - offset;
  }

  #restoreSize(file: CachedFile): void {
    const fd = this.#descriptors.existing(this.#layout.file(file.ino));
    if (fd !== undefined) ftruncateSync(fd, file.inode.sizeBytes);
  }

  #wrote(file: CachedFile, end: number): void {
    const { inode } = file;
    if (end > inode.sizeBytes) {
      inode.sizeBytes = end;
      inode.blocks = blocksOf(end);
    }
    const now = Date.now();
    inode.mtimeSec = Math.floor(now / 1000);
    inode.mtimeNsec = (now % 1000) * 1_000_000;
    inode.ctimeSec = inode.mtimeSec;
    inode.ctimeNsec = inode.mtimeNsec;
    file.grown = true;
    this.#oldestDirtyMs ??= now;
  }

  /** Keeps invariants 3 and 4 for a change of blocks [start, end). */
  #aboutToChange(file: CachedFile, start: number, end: number): void {
    if (file.markedEpoch !== this.#openEpoch) {
      this.#meta.markDirty(file.ino, this.#openEpoch);
      file.markedEpoch = this.#openEpoch;
    }
    this.#save(file, start, end);
  }

  /** Keeps the bytes of [start, end) that the running commit has not read yet (invariant 4). */
  #save(file: CachedFile, start: number, end: number): void {
    const { frozen } = file;
    if (frozen === undefined || !frozen.uncaptured.intersects(start, end)) return;
    if (frozen.path !== this.#layout.file(file.ino)) return; // The whole file was set aside.
    const source = this.#descriptors.existing(frozen.path);
    const target = this.#descriptors.created(this.#layout.saved(file.ino)).fd;
    assert(source !== undefined, `frozen cache file ${frozen.path} is gone`);
    for (const range of frozen.uncaptured.inside(start, end)) {
      for (const gap of frozen.saved.gaps(range.start, range.end)) {
        preserve(source, target, gap.start, gap.end);
        frozen.saved.add(gap.start, gap.end);
      }
    }
  }

  #openForWriting(file: CachedFile): { fd: number } {
    const { fd, isNew } = this.#descriptors.created(this.#layout.file(file.ino));
    if (isNew && file.inode.sizeBytes > 0) ftruncateSync(fd, file.inode.sizeBytes);
    return { fd };
  }

  #addPresent(file: CachedFile, start: number, end: number): void {
    const added = file.present.add(start, end);
    if (added > 0) this.#evictor.grew(file, added);
  }

  #addDirty(file: CachedFile, start: number, end: number): void {
    this.#dirtyBytes += file.dirty.add(start, end);
    this.#oldestDirtyMs ??= Date.now();
  }

  #restoreMtime(file: CachedFile, fd: number): void {
    const { mtimeSec, mtimeNsec } = file.inode;
    try {
      futimesSync(fd, mtimeSec, mtimeSec + mtimeNsec / 1e9);
    } catch {
      // The descriptor was closed by the LRU meanwhile: the time is only a hint for after a crash.
    }
  }

  /** The owner set the times of `inode`: a crash must find them at the cache file of a dirty inode. */
  mtimeSet(inode: Inode): void {
    const file = this.#files.get(inode.ino);
    if (file === undefined || !file.isBusy) return;
    const fd = this.#descriptors.existing(this.#layout.file(inode.ino));
    if (fd !== undefined) this.#restoreMtime(file, fd);
  }

  /**
   * Makes the cache file of `inode` `size` bytes long, before the metadata says so: undefined when done, else a
   * promise after which to ask again.
   */
  resize(inode: Inode, size: number): Promise<void> | undefined {
    const file = this.#load(inode);
    const running = file.fills[0];
    if (running !== undefined) return running.done.catch(() => undefined);
    const path = this.#layout.file(inode.ino);
    if (size === 0) {
      this.#setAside(file);
      this.#removeRange(file, 0, Number.MAX_SAFE_INTEGER);
      return undefined;
    }
    const fd = this.#descriptors.existing(path);
    if (size < inode.sizeBytes) {
      this.#save(file, blockFloor(size), blockCeil(inode.sizeBytes));
      this.#removeRange(file, blockCeil(size), Number.MAX_SAFE_INTEGER);
    }
    if (fd !== undefined) ftruncateSync(fd, size);
    return undefined;
  }

  #removeRange(file: CachedFile, start: number, end: number): void {
    this.#dirtyBytes -= file.dirty.remove(start, end);
    this.#evictor.shrank(file, file.present.remove(start, end));
  }

  /** The content of `file` is going: keeps what a running commit needs of it, removes the rest. */
  #setAside(file: CachedFile): void {
    const path = this.#layout.file(file.ino);
    this.#descriptors.forget(path);
    const { frozen } = file;
    if (frozen !== undefined && frozen.path === path && !frozen.uncaptured.isEmpty) {
      frozen.path = this.#layout.whole(file.ino);
      if (existsSync(path)) renameSync(path, frozen.path);
      return;
    }
    if (file.present.isEmpty && file.inode.sizeBytes === 0) return;
    try {
      unlinkSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  /** The inode is gone for good. */
  drop(ino: Ino): void {
    const file = this.#files.get(ino);
    if (file === undefined) {
      this.#evictor.removed(ino);
      unlink(this.#layout.file(ino), () => undefined);
      return;
    }
    file.deleted = true;
    const pending = file.fills.map((fill) => fill.done.catch(() => undefined));
    if (pending.length > 0) {
      void Promise.all(pending).then(() => this.#setAside(file));
    } else this.#setAside(file);
    this.#removeRange(file, 0, Number.MAX_SAFE_INTEGER);
    this.#evictor.removed(ino);
    file.grown = false;
    this.#files.delete(ino);
  }

  /** fdatasync of the cache file: undefined when there is nothing to sync. */
  sync(ino: Ino): Promise<void> | undefined {
    const file = this.#files.get(ino);
    if (file === undefined || (file.dirty.isEmpty && file.frozen === undefined)) return undefined;
    const path = this.#layout.file(ino);
    const fd = this.#descriptors.existing(path);
    if (fd === undefined) return undefined;
    return new Promise((resolve, reject) => {
      fdatasync(fd, (error) => {
        if (error === null) resolve();
        else reject(new DfsError('IO', `Cannot sync ${path}: ${messageOf(error)}`));
      });
    });
  }

  /** Blocks with bytes no published chunk holds. */
  uncommittedBytes(ino: Ino): { dirty: number; frozen: number } {
    const file = this.#files.get(ino);
    const frozen = (this.#frozen.get(ino)?.frozen?.ranges ?? []).reduce(
      (sum, range) => sum + range.end - range.start,
      0,
    );
    return { dirty: file?.dirty.total ?? 0, frozen };
  }

  /** The first stored or written byte at or behind `offset`; undefined when only holes follow. */
  nextData(inode: Inode, offset: number): number | undefined {
    const file = this.#load(inode);
    const end = inode.sizeBytes;
    const written = file.dirty.inside(offset, end)[0]?.start;
    const frozen = file.frozen?.ranges.find((range) => range.end > offset)?.start;
    const stored = this.#meta.state.extents.nextData(inode.ino, offset);
    const candidates = [written, frozen, stored].filter((at) => at !== undefined);
    const first = Math.max(offset, Math.min(...candidates));
    return first < end ? first : undefined;
  }

  /** The first byte of a hole at or behind `offset`; the end of the file counts as one. */
  nextHole(inode: Inode, offset: number): number {
    const file = this.#load(inode);
    let at = offset;
    while (at < inode.sizeBytes) {
      const dirty = file.dirty.inside(at, at + FILE_BYTES_MAX)[0];
      const frozen = file.frozen?.ranges.find((range) => range.start <= at && at < range.end);
      const stored = this.#meta.state.extents.overlapping(inode.ino, at, at + 1)[0];
      const next = Math.max(
        dirty !== undefined && dirty.start === at ? dirty.end : at,
        frozen?.end ?? at,
        stored === undefined ? at : stored.offset + stored.lengthBytes,
      );
      if (next === at) return at;
      at = next;
    }
    return inode.sizeBytes;
  }

  /** Marks blocks dirty that did not change, so that the next commit stores them in larger chunks. */
  rewrite(ino: Ino, start: number, end: number): void {
    const inode = this.#meta.inode(ino);
    if (inode === undefined) return;
    const file = this.#load(inode);
    const to = Math.min(end, blockCeil(inode.sizeBytes));
    if (!file.present.covers(start, to) || file.fills.length > 0) return;
    if (file.markedEpoch !== this.#openEpoch) {
      this.#meta.markDirty(ino, this.#openEpoch);
      file.markedEpoch = this.#openEpoch;
      const fd = this.#descriptors.existing(this.#layout.file(ino));
      if (fd !== undefined) this.#restoreMtime(file, fd);
    }
    this.#addDirty(file, start, to);
  }

  grown(): Inode[] {
    const inodes: Inode[] = [];
    for (const file of this.#files.values()) {
      if (file.grown) inodes.push(file.inode);
    }
    return inodes;
  }

  freeze(epoch: Epoch): FrozenFile[] {
    assert(this.#frozen.size === 0, 'a cut while another one is being committed');
    assert(epoch === this.#openEpoch, `cut of epoch ${epoch} while ${this.#openEpoch} is open`);
    const frozen: FrozenFile[] = [];
    for (const file of this.#files.values()) {
      file.grown = false;
      if (file.dirty.isEmpty) continue;
      frozen.push(this.#freezeFile(file));
      this.#frozen.set(file.ino, file);
    }
    this.#openEpoch = (epoch + 1) as Epoch;
    this.#frozenBytes = this.#dirtyBytes;
    this.#dirtyBytes = 0;
    this.#oldestDirtyMs = undefined;
    return frozen;
  }

  #freezeFile(file: CachedFile): FrozenFile {
    const ranges = [...file.dirty];
    const state = {
      sizeBytes: file.inode.sizeBytes,
      ranges,
      uncaptured: file.dirty.copy(),
      saved: new IntervalSet(),
      path: this.#layout.file(file.ino),
    };
    file.frozen = state;
    file.dirty.clear();
    return { ino: file.ino, sizeBytes: state.sizeBytes, ranges, path: () => state.path };
  }

  capture(ino: Ino, start: number, end: number): CapturedRange {
    const frozen = this.#frozen.get(ino)?.frozen;
    assert(frozen !== undefined, `capture of inode ${ino}, which is not frozen`);
    frozen.uncaptured.remove(start, blockCeil(end));
    const saved = frozen.saved.inside(start, end);
    return { path: frozen.path, savedPath: this.#layout.saved(ino), saved };
  }

  published(): void {
    this.#thaw(() => undefined);
    this.#evictor.check();
  }

  abandoned(): void {
    this.#thaw((file, ranges) => {
      if (file.deleted) return;
      // What was cut off or emptied since is not dirty any more: only blocks still present are.
      for (const range of ranges) {
        for (const kept of file.present.inside(range.start, range.end)) {
          this.#addDirty(file, kept.start, kept.end);
        }
      }
    });
  }

  #thaw(each: (file: CachedFile, ranges: readonly { start: number; end: number }[]) => void): void {
    for (const file of this.#frozen.values()) {
      const { frozen } = file;
      assert(frozen !== undefined, `inode ${file.ino} lost its frozen ranges`);
      file.frozen = undefined;
      if (!frozen.saved.isEmpty) this.#remove(this.#layout.saved(file.ino));
      if (frozen.path !== this.#layout.file(file.ino)) this.#remove(frozen.path);
      each(file, frozen.ranges);
    }
    this.#frozen.clear();
    this.#frozenBytes = 0;
  }

  #remove(path: string): void {
    this.#descriptors.forget(path);
    unlink(path, () => undefined);
  }

  close(): void {
    this.#evictor.close();
    this.#descriptors.close();
  }
}
