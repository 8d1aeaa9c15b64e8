import type { Epoch, Ino } from '../base/ids.ts';
import type { Interval } from '../base/interval-set.ts';
import type { Inode } from '../meta/mod.ts';

/**
 * A file as it was at the cut: its dirty ranges, in whole blocks, and where their bytes are now.
 */
export interface FrozenFile {
  readonly ino: Ino;
  /** Size at the cut: blocks beyond it hold nothing. */
  readonly sizeBytes: number;
  readonly ranges: readonly Interval[];
  /** The file that holds the bytes at their own offsets; it may change until they are captured. */
  path(): string;
}

/**
 * Where the bytes of a captured range are: in `path`, but for `saved` ranges, which are in
 * `savedPath`.
 */
export interface CapturedRange {
  path: string;
  savedPath: string;
  saved: Interval[];
}

/**
 * What the commit needs of the write-back cache. All calls are made on the event loop and return at
 * once.
 */
export interface CutSource {
  /** Inodes whose size or times changed since they were last written down. */
  grown(): Inode[];
  /**
   * The cut: all that is dirty becomes frozen, writes from now on belong to the epoch behind
   * `epoch`.
   */
  freeze(epoch: Epoch): FrozenFile[];
  /**
   * The reader has read [start, end): says which bytes of it changed since the cut. From now on
   * they may.
   */
  capture(ino: Ino, start: number, end: number): CapturedRange;
  /** The epoch is committed: frozen ranges are clean. */
  published(): void;
  /** The epoch failed: frozen ranges are dirty again. */
  abandoned(): void;
}
