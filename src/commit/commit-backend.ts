import type { Epoch } from '../base/ids.ts';
import type { Segment } from './segments.ts';

/** Which epoch is published: its number, the last journal number in it, the time of its cut. */
export interface EpochCut {
  epoch: Epoch;
  seq: number;
  cutTimeMs: number;
}

/** All of an epoch that is small. */
export interface SmallCommit extends EpochCut {
  /** The journal's operations in (afterSeq, seq], encoded. */
  afterSeq: number;
  ops: Uint8Array;
  segments: Segment[];
  /** The segments' bytes, one behind the other. */
  content: Uint8Array;
}

/** The side of a commit that touches disks; it lives on a thread of its own. */
export interface CommitBackend {
  /**
   * Reads the segments as they were at the cut, stores what is new: their chunk ids, 32 bytes each,
   * in order.
   */
  store(segments: Segment[]): Promise<Uint8Array>;
  /** Writes the epoch on the disks and syncs them; resolves when it has its redundancy. */
  publish(cut: EpochCut): Promise<void>;
  /**
   * Does both for a small epoch, in one round trip: the chunk ids, and the bytes of small commits
   * that are kept with the metadata by now.
   */
  commitSmall(small: SmallCommit): Promise<{ ids: Uint8Array; inlineBytes: number }>;
  /** Forgets what was stored for an epoch that will not be published. */
  abandon(): Promise<void>;
  /** Copies SQLite's log of the live metadata into its file; resolves to the pages in the log. */
  checkpoint(): Promise<number>;
}
