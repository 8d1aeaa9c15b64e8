import type { FileCache } from '../cache/mod.ts';
import { pieceCount, piecesNeeded, type Scheme } from '../chunk/mod.ts';
import type { Committer } from '../commit/mod.ts';
import type { VolumeReport } from './volume-report.ts';

/**
 * Content that fits on disks with so many bytes free, when the pieces of a chunk go to disks of
 * their own: a disk larger than the rest can use cannot be used up. 0 with too few disks.
 */
export function placeableBytes(scheme: Scheme, freeBytes: readonly number[]): number {
  const pieces = pieceCount(scheme);
  const sorted = [...freeBytes].sort((a, b) => b - a);
  let left = sorted.reduce((sum, bytes) => sum + bytes, 0);
  // Each of the largest disks takes a piece of every chunk, the others share the remaining pieces.
  for (let large = 0; large < pieces; large++) {
    const onEach = left / (pieces - large);
    const largest = sorted[large] ?? 0;
    if (largest <= onEach) return Math.floor(onEach * piecesNeeded(scheme));
    left -= largest;
  }
  return 0;
}

/** Bytes of content that commits have brought to the disks since the start. */
interface Stored {
  committed: number;
  /** By the commit that is running. */
  running: number;
}

/** What the volume can hold and still take, now; from a report that is some seconds old. */
export class Capacity {
  readonly #cache: FileCache;
  readonly #committer: Committer;
  #report: VolumeReport;
  /** {@link stored} when the report was asked for. */
  #then: Stored = { committed: 0, running: 0 };

  constructor(options: { cache: FileCache; committer: Committer; report: VolumeReport }) {
    this.#cache = options.cache;
    this.#committer = options.committer;
    this.#report = options.report;
  }

  get stored(): Stored {
    const { totals, status } = this.#committer;
    return { committed: totals.bytes, running: status.running?.bytesDone ?? 0 };
  }

  /** Takes over a report; `then` is what was {@link stored} before it was made. */
  reported(report: VolumeReport, then: Stored): void {
    this.#report = report;
    this.#then = then;
  }

  /** Bytes of content; what is not committed yet, or is since the report, is not free any more. */
  now(): { totalBytes: number; freeBytes: number; inodes: number } {
    const { capacityBytes, freeBytes, inodes } = this.#report;
    const { dirtyBytes, frozenBytes } = this.#cache;
    const { committed, running } = this.#then;
    const arrived = dirtyBytes + frozenBytes + this.#committer.totals.bytes - committed - running;
    const free = Math.max(0, freeBytes - Math.max(0, arrived));
    // The report counts as stored what is committed.
    return { totalBytes: capacityBytes + running, freeBytes: free, inodes };
  }
}
