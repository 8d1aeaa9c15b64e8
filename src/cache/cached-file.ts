import type { Epoch, Ino } from '../base/ids.ts';
import { type Interval, IntervalSet } from '../base/interval-set.ts';
import type { Inode } from '../meta/mod.ts';

/** What a running commit needs of a file (see file-cache.ts, invariant 4). */
export interface Frozen {
  sizeBytes: number;
  ranges: Interval[];
  /** What of the ranges is still part of the file: not cut off, punched or written over whole. */
  left: IntervalSet;
  /** Frozen ranges the commit has not read yet. */
  uncaptured: IntervalSet;
  /** Ranges whose bytes at the cut are in the saved file. */
  saved: IntervalSet;
  /** Where the bytes are: the cache file, or `whole` once the inode was emptied or deleted. */
  path: string;
  /** Where the file goes when its content is emptied or deleted while it is being committed. */
  readonly wholePath: string;
  readonly savedPath: string;
}

/** A fetch of missing ranges that is under way. */
export interface Fill {
  start: number;
  end: number;
  done: Promise<void>;
}

/** The cache's knowledge of one inode. All ranges are whole blocks. */
export class CachedFile {
  readonly ino: Ino;
  readonly inode: Inode;
  /** Blocks whose bytes in the cache file are right: cached, written, or known to be a hole. */
  readonly present: IntervalSet = new IntervalSet();
  /** Blocks that take device space: `present` without what is known to be a hole. */
  readonly allocated: IntervalSet = new IntervalSet();
  /** Blocks that no published chunk holds. A subset of `present`. */
  dirty: IntervalSet = new IntervalSet();
  readonly fills: Fill[] = [];
  frozen: Frozen | undefined;
  /** The epoch in which the inode was last marked dirty in SQLite; 0 if never. */
  markedEpoch = 0 as Epoch;
  /** The epoch in which an fsync was last noted; 0 if never. */
  syncedEpoch = 0 as Epoch;
  /** Size or times in memory are newer than the row. */
  grown = false;
  lastUsed = 0;
  /** How often blocks have ceased to be present: whoever reads meanwhile may have read zeros. */
  losses = 0;
  deleted = false;

  constructor(inode: Inode) {
    this.ino = inode.ino;
    this.inode = inode;
  }

  /** Bytes of device space counted for this file. */
  get cachedBytes(): number {
    return this.allocated.total;
  }

  /** Whether losing the memory of this file would lose something. */
  get isBusy(): boolean {
    return !this.dirty.isEmpty || this.frozen !== undefined || this.fills.length > 0 || this.grown;
  }

  /** The first fetch under way that touches [start, end). */
  fillTouching(start: number, end: number): Fill | undefined {
    return this.fills.find((fill) => fill.start < end && start < fill.end);
  }
}
