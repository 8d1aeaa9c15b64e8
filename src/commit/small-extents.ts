import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Ino } from '../base/ids.ts';
import { CHUNK_BYTES_MAX } from '../base/limits.ts';
import type { Timed } from '../base/pauses.ts';
import type { FileExtents, LiveMeta } from '../meta/mod.ts';
import { slicesOf } from './slices.ts';

/** A region of 4 MiB with more extents than this is stored anew as one chunk, once it is quiet. */
const EXTENTS_A_REGION_MAX = 64;
/** So long after the last commit that stored something in it. */
const QUIET_MS = 5000;
/** To count those of one takes up to 100 us. */
const REGIONS_A_TURN = 15;
const REGIONS_MAX = 10_000;
const RANGES_A_TURN = 10_000;

interface Region {
  ino: Ino;
  start: number;
  atMs: number;
}

export interface SmallExtentsOptions {
  meta: LiveMeta;
  cache: { rewrite(ino: Ino, start: number, end: number): void };
  timed: Timed;
}

/**
 * Many small writes leave many small chunks: marks regions with many, so that the next commit makes
 * one of them. But not while they are being written: to store 4 MiB again for every few pages that a
 * database changes would be most of what the disks write.
 */
export class SmallExtents {
  readonly #options: SmallExtentsOptions;
  /** Regions with something stored behind their start, the longest quiet first. */
  readonly #regions = new Map<string, Region>();

  constructor(options: SmallExtentsOptions) {
    this.#options = options;
  }

  /** A commit stored these. */
  async note(files: FileExtents[]): Promise<void> {
    let count = 0;
    for (const some of slicesOf(files, RANGES_A_TURN)) {
      if (count++ > 0) await nextTurn();
      for (const file of some) this.#noteFile(file);
    }
  }

  #noteFile({ ino, ranges }: FileExtents): void {
    let last = -1;
    const atMs = performance.now();
    for (const { offset } of ranges) {
      const start = offset - (offset % CHUNK_BYTES_MAX);
      // A region written from its start on, as most are, was just stored in few chunks.
      if (start === offset || start === last) continue;
      last = start;
      const key = `${ino} ${start}`;
      this.#regions.delete(key);
      if (this.#regions.size < REGIONS_MAX) this.#regions.set(key, { ino, start, atMs });
    }
  }

  /** Looks at some that are quiet; to be called from time to time. */
  look(nowMs: number = performance.now()): void {
    const { meta, cache, timed } = this.#options;
    if (this.#regions.size === 0) return;
    timed('look for small extents', () => {
      let count = 0;
      for (const [key, { ino, start, atMs }] of this.#regions) {
        if (nowMs - atMs < QUIET_MS || count++ >= REGIONS_A_TURN) return;
        this.#regions.delete(key);
        const end = start + CHUNK_BYTES_MAX;
        if (meta.state.extents.countInside(ino, start, end) > EXTENTS_A_REGION_MAX) {
          cache.rewrite(ino, start, end);
        }
      }
    });
  }
}
