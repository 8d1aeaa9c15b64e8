import { setImmediate as nextTurn } from 'node:timers/promises';
import { blockCeil, blockFloor } from '../base/blocks.ts';
import type { Interval } from '../base/interval-set.ts';
import type { Timed } from '../base/pauses.ts';
import type { CachedFile, Fill } from './cached-file.ts';
import type { Descriptors } from './descriptors.ts';
import { allocatedRanges } from './ranges.ts';

/** Ranges of a cache file that are taken up in one turn of the event loop, at some 2 us each. */
const RANGES_A_TURN = 500;

/**
 * Finds out which blocks a cache file has. A file in many pieces is taken up in turns of the event
 * loop: until then it is as if all of it were being fetched (invariant 6 of file-cache.ts).
 */
export class Scanner {
  readonly #descriptors: Descriptors;
  readonly #timed: Timed;

  constructor(options: { descriptors: Descriptors; timed: Timed }) {
    this.#descriptors = options.descriptors;
    this.#timed = options.timed;
  }

  /** Takes up all ranges in this turn. */
  whole(file: CachedFile, fd: number): void {
    take(file, allocatedRanges(fd), Number.POSITIVE_INFINITY);
  }

  /** Takes up the first ranges; `onEnd` is called if there were more, when all are taken up. */
  begin(file: CachedFile, fd: number, onEnd: () => void): void {
    const ranges = allocatedRanges(fd);
    if (!take(file, ranges, RANGES_A_TURN)) return;
    const fill: Fill = { start: 0, end: Number.MAX_SAFE_INTEGER, done: Promise.resolve() };
    file.fills.push(fill);
    fill.done = this.#descriptors
      .hold(fd, () => this.#rest(file, ranges))
      // What was not found is fetched again: the file is clean.
      .catch(() => undefined)
      .finally(() => {
        file.fills.splice(file.fills.indexOf(fill), 1);
        if (!file.deleted) onEnd();
      });
  }

  async #rest(file: CachedFile, ranges: Generator<Interval, undefined>): Promise<void> {
    do await nextTurn();
    while (!file.deleted && this.#timed('scan', () => take(file, ranges, RANGES_A_TURN)));
  }
}

/** Takes up to `count` ranges; false when there are no more. */
function take(file: CachedFile, ranges: Generator<Interval, undefined>, count: number): boolean {
  for (let taken = 0; taken < count; taken++) {
    const next = ranges.next();
    if (next.done === true) return false;
    const { start, end } = next.value;
    file.present.add(blockFloor(start), blockCeil(end));
    file.allocated.add(blockFloor(start), blockCeil(end));
  }
  return true;
}
