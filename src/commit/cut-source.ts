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
  /** A descriptor of that file, for the turn of the cut only. */
  descriptor(): number | undefined;
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
  /** Marks dirty what may have changed unseen; to be called before asking what is dirty. */
  readonly lending: {
    noteMapped(when: 'now' | 'when due'): void;
    /** To be called before an epoch's marks of dirty files go. */
    keepMarks(): void;
  };
  /** A promise while some file is neither as long as it was nor as it will be: no time for a cut. */
  readonly resizing: Promise<void> | undefined;
  /** How many files have size or times that were not written down since they changed. */
  readonly grownFiles: number;
  /** Up to `count` of their inodes, the longest not written down first. */
  grown(count: number): Inode[];
  /** Size and times of these were written down, in this turn of the event loop. */
  settled(inodes: Inode[]): void;
  /**
   * The cut: all that is dirty becomes frozen, writes from now on belong to the epoch behind
   * `epoch`. What has grown was written down in this turn.
   */
  freeze(epoch: Epoch): void;
  /** The files of the cut, some with each call: about `count`, none when all have been told. */
  frozen(count: number): FrozenFile[];
  /**
   * The reader has read [start, end): says which bytes of it changed since the cut. From now on
   * they may.
   */
  capture(ino: Ino, start: number, end: number): CapturedRange;
  /** The epoch is committed: frozen ranges of up to `count` files are clean; false when of all. */
  published(count: number): boolean;
  /** The epoch failed: frozen ranges of up to `count` files are dirty again; false when of all. */
  abandoned(count: number): boolean;
}
