import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Timed } from '../base/pauses.ts';
import type { FileExtents } from '../meta/mod.ts';

/**
 * How many rows of metadata, or files of the cache, one turn of the event loop deals with at most:
 * each takes up to some 15 us, and requests wait for no more than 2 ms (docs/performance.md).
 */
export const ROWS_A_TURN = 100;

/** Cuts the extents of files into pieces with at most `rows` ranges; a long file goes into many. */
export function* slicesOf(files: Iterable<FileExtents>, rows: number): Generator<FileExtents[]> {
  let slice: FileExtents[] = [];
  let room = rows;
  for (const { ino, ranges } of files) {
    for (let at = 0; at < ranges.length; ) {
      const some = at === 0 && ranges.length <= room ? ranges : ranges.slice(at, at + room);
      slice.push({ ino, ranges: some });
      at += some.length;
      room -= some.length;
      if (room > 0) continue;
      yield slice;
      slice = [];
      room = rows;
    }
  }
  if (slice.length > 0) yield slice;
}

/** Has `step` done again and again, a turn of the event loop each, until it returns false. */
export async function inTurns(timed: Timed, cause: string, step: () => boolean): Promise<void> {
  while (timed(cause, step)) await nextTurn();
}
