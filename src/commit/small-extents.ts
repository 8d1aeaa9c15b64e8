import type { Ino } from '../base/ids.ts';
import { CHUNK_BYTES_MAX } from '../base/limits.ts';
import type { Timed } from '../base/pauses.ts';
import type { FileExtents, LiveMeta } from '../meta/mod.ts';
import { inTurns } from './slices.ts';

/** A region of 4 MiB with more extents than this is stored anew as one chunk. */
const EXTENTS_A_REGION_MAX = 24;
/** To count those of one takes up to 100 us. */
const REGIONS_A_TURN = 15;

interface Region {
  ino: Ino;
  start: number;
  end: number;
}

/**
 * Many small writes leave many small chunks: marks such regions among those just committed, so that
 * the next commit makes one of them.
 */
export async function joinSmallExtents(
  on: {
    meta: LiveMeta;
    cache: { rewrite(ino: Ino, start: number, end: number): void };
    timed: Timed;
  },
  files: FileExtents[],
): Promise<void> {
  const regions = regionsOf(files);
  await inTurns(on.timed, 'look for small extents', () => {
    for (let count = 0; count < REGIONS_A_TURN; count++) {
      const next = regions.next();
      if (next.done === true) return false;
      const { ino, start, end } = next.value;
      if (on.meta.state.extents.countInside(ino, start, end) > EXTENTS_A_REGION_MAX) {
        on.cache.rewrite(ino, start, end);
      }
    }
    return true;
  });
}

/** The regions of 4 MiB in which a commit has stored something behind their start. */
function* regionsOf(files: FileExtents[]): Generator<Region, undefined> {
  for (const { ino, ranges } of files) {
    let last = -1;
    for (const { offset } of ranges) {
      const start = offset - (offset % CHUNK_BYTES_MAX);
      // A region written from its start on, as most are, was just stored in few chunks.
      if (start === offset || start === last) continue;
      last = start;
      yield { ino, start, end: start + CHUNK_BYTES_MAX };
    }
  }
}
