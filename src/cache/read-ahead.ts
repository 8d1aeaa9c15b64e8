import { blockCeil } from '../base/blocks.ts';
import { BLOCK_BYTES, CHUNK_BYTES_MAX } from '../base/limits.ts';
import type { CachedFile } from './cached-file.ts';
import type { Fetcher } from './fetcher.ts';

/** How far ahead of a reader chunks are fetched. */
const AHEAD_BYTES: number = 3 * CHUNK_BYTES_MAX;
/** Reads in a row that make it worth it. */
const STREAK_MIN = 2;
/** Requests of one reader overtake each other; so far out of order they still are a row. */
const DISORDER_BYTES: number = CHUNK_BYTES_MAX / 2;
/** Chunks fetched ahead at one time, for all readers together. */
const FETCHES_MAX = 6;

interface Row {
  /** Where the reads of the row have come. */
  end: number;
  streak: number;
  /** All before this was asked for. */
  asked: number;
}

/**
 * Fetches what a sequential reader will ask for next, so that disks and hashes work while it does.
 * Bounded: some chunks ahead of each reader, some for all of them, and none in a full cache.
 */
export class ReadAhead {
  readonly #fetcher: Fetcher;
  readonly #isFull: (moreBytes: number) => boolean;
  readonly #rows = new WeakMap<CachedFile, Row>();
  #running = 0;

  constructor(fetcher: Fetcher, isFull: (moreBytes: number) => boolean) {
    this.#fetcher = fetcher;
    this.#isFull = isFull;
  }

  /** Somebody reads [offset, end). */
  note(file: CachedFile, offset: number, end: number): void {
    const row = this.#rows.get(file);
    if (row === undefined) {
      this.#rows.set(file, { end, streak: offset === 0 ? STREAK_MIN - 1 : 0, asked: 0 });
      return;
    }
    const isNext = offset <= row.end + BLOCK_BYTES && end + DISORDER_BYTES > row.end;
    if (!isNext) {
      Object.assign(row, { end, streak: 0, asked: 0 });
      return;
    }
    row.streak++;
    row.end = Math.max(row.end, end);
    if (row.streak >= STREAK_MIN) this.#ask(file, row);
  }

  #ask(file: CachedFile, row: Row): void {
    const size = blockCeil(file.inode.sizeBytes);
    const from = Math.max(row.asked, row.end);
    const to = Math.min(row.end + AHEAD_BYTES, size);
    // A chunk at a time: each read would ask in vain.
    if (from >= to || (to < size && to - from < CHUNK_BYTES_MAX / 2)) return;
    if (this.#running >= FETCHES_MAX || this.#isFull(2 * AHEAD_BYTES)) return;
    const { asked, started } = this.#fetcher.fetchAhead(file, from, to);
    row.asked = asked;
    this.#running += started.length;
    for (const one of started) void this.#ended(one);
  }

  /** Whoever needs what failed asks for it again, and hears why. */
  async #ended(fetch: Promise<void>): Promise<void> {
    await fetch.catch(() => undefined);
    this.#running--;
  }
}
