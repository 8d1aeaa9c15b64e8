import { fstatSync } from 'node:fs';
import { blockCeil, blockFloor } from '../base/blocks.ts';
import type { Ino } from '../base/ids.ts';
import type { Inode, LiveMeta } from '../meta/mod.ts';
import type { CacheFiles } from './cache-files.ts';
import type { CachedFile } from './cached-file.ts';
import { allocatedRanges } from './ranges.ts';

/** Lent files take this share of the cache at most: they cannot be evicted. */
const LENT_SHARE = 0.5;
/** What a writable mapping may have changed is stored at this rate on average, in bytes a ms. */
const MAPPED_BYTES_A_MS = 50_000;
/** And not more often than this. */
const MAPPED_MS_MIN = 1000;
/** So many files are looked at in one turn of the event loop. */
const MAPPED_FILES_A_TURN = 50;

export interface LendingOptions {
  files: CacheFiles;
  meta: LiveMeta;
  limitBytes: number;
  markDirty: (file: CachedFile) => void;
}

/**
 * Lends cache files to the kernel, which then reads them without us (FOPEN_PASSTHROUGH), and takes
 * note of what mappings write to them.
 */
export class Lending {
  readonly #options: LendingOptions;
  /** When what mappings may have written is stored next, by inode. */
  readonly #nextMs = new Map<Ino, number>();

  constructor(options: LendingOptions) {
    this.#options = options;
  }

  /** Called when a file that was returned is about to change or to go. */
  set onEnd(call: (ino: Ino) => void) {
    this.#options.files.loans.onEnd = call;
  }

  /** The path of the cache file of `inode`, if all of it is there and it can be lent. */
  lend(inode: Inode): string | undefined {
    const { files } = this.#options;
    const file = files.load(inode);
    if (!this.#isWhole(file) || !this.#hasRoom(file)) return undefined;
    const fd = files.existing(file);
    if (fd === undefined || fstatSync(fd).size !== inode.sizeBytes) return undefined;
    files.loans.begin(inode.ino, file.cachedBytes);
    return files.path(file);
  }

  #hasRoom(file: CachedFile): boolean {
    const { files, limitBytes } = this.#options;
    const limit = limitBytes * LENT_SHARE - file.cachedBytes;
    if (files.loans.bytes > limit) files.loans.sweep();
    return files.loans.bytes <= limit;
  }

  /** A file that a process before this one lent, and that is still open. */
  lent(ino: Ino): void {
    this.#options.files.loans.begin(ino, 0);
  }

  /** A process before this one has lent files, of which some may still be mapped. */
  inherit(): void {
    const { files, meta } = this.#options;
    files.loans.inherit();
    // Whoever could write to a lent file was marked dirty for it.
    for (const { ino } of meta.dirtyInodes()) this.writing(ino);
  }

  /** A new mount: nothing was lent before it. */
  inheritNothing(): void {
    this.#options.files.loans.inheritNothing();
  }

  /** Nobody has the file open any more; mappings may live on. */
  returned(ino: Ino): void {
    this.#options.files.loans.closed(ino);
  }

  /** Whether programs may be reading the cache file itself. */
  isLent(ino: Ino): boolean {
    return this.#options.files.loans.isLent(ino);
  }

  /** Whether mappings may be writing to the cache file of `ino`. */
  isWriting(ino: Ino): boolean {
    return this.#options.files.loans.isWriting(ino);
  }

  /** A lent file is opened by one who may write: his mappings write to it without us. */
  writing(ino: Ino): void {
    this.#options.files.loans.writing(ino);
    const inode = this.#options.meta.inode(ino);
    if (inode !== undefined) this.#options.markDirty(this.#options.files.load(inode));
  }

  /** No block is missing; what neither the cache nor the extents have is a hole. */
  #isWhole(file: CachedFile): boolean {
    if (file.fills.length > 0 || file.deleted) return false;
    const end = blockCeil(file.inode.sizeBytes);
    const { extents } = this.#options.meta.state;
    const gaps = [...file.present.gaps(0, end)];
    for (const gap of gaps) {
      if (extents.overlapping(file.ino, gap.start, gap.end).length > 0) return false;
      file.present.add(gap.start, gap.end);
    }
    return true;
  }

  /**
   * Marks dirty what writable mappings may have changed, now or when it is due: nobody tells what
   * they change, so it is all of the file, of which the commit stores what is new.
   */
  noteMapped(when: 'now' | 'when due'): void {
    const { files, meta } = this.#options;
    let left = when === 'now' ? Number.POSITIVE_INFINITY : MAPPED_FILES_A_TURN;
    const writable = [...files.loans.writable];
    for (const ino of writable) {
      if (--left < 0) return;
      const inode = meta.inode(ino);
      if (inode === undefined) {
        files.loans.forget(ino);
        continue;
      }
      files.loans.writing(ino);
      const file = files.load(inode);
      this.#options.markDirty(file);
      const nowMs = performance.now();
      if (when === 'when due' && nowMs < (this.#nextMs.get(ino) ?? 0)) continue;
      const isLast = !files.loans.isWritable(ino);
      this.#markAll(file);
      const pauseMs = Math.max(MAPPED_MS_MIN, file.cachedBytes / MAPPED_BYTES_A_MS);
      if (isLast) this.#nextMs.delete(ino);
      else this.#nextMs.set(ino, nowMs + pauseMs);
    }
  }

  /**
   * Marks those files for the open epoch, before the marks of the one that is being published go:
   * the next process finds them by their marks.
   */
  keepMarks(): void {
    for (const ino of this.#options.files.loans.writable) this.keepMark(ino);
  }

  /** As {@link Lending.keepMarks} for one inode; whether mappings may write to it unseen. */
  keepMark(ino: Ino): boolean {
    const { files, meta, markDirty } = this.#options;
    const inode = files.loans.isWriting(ino) ? meta.inode(ino) : undefined;
    if (inode !== undefined) markDirty(files.load(inode));
    return inode !== undefined;
  }

  /** As {@link Lending.noteMapped} for one file, whose holes matter now. */
  noteFile(file: CachedFile): void {
    const { files, markDirty } = this.#options;
    if (!files.loans.isWriting(file.ino)) return;
    markDirty(file);
    this.#markAll(file);
  }

  #markAll(file: CachedFile): void {
    const { files } = this.#options;
    const fd = files.existing(file);
    if (fd === undefined) return;
    for (const { start, end } of allocatedRanges(fd)) {
      files.addPresent(file, blockFloor(start), blockCeil(end));
      files.addDirty(file, blockFloor(start), blockCeil(end));
    }
  }
}
