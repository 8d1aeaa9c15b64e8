import type { Ino } from '../base/ids.ts';
import type { MetaState } from './state.ts';

/**
 * All entries of a folder, some `count` at a time, in the order of their names' hashes. A batch ends
 * behind all names that share a hash, so that going on behind it overlooks none.
 */
export function* entryBatches(
  state: MetaState,
  folder: Ino,
  count: number,
): Generator<[number, Buffer, Ino, number][]> {
  for (let behind = -1, limit = count; ; ) {
    const read = state.entries(folder, behind, limit);
    // Names that share the last hash may go on behind the limit: they wait for the next batch.
    const last = read.at(-1)?.[0];
    const isEnd = read.length < limit;
    const batch = isEnd ? read : read.filter(([hash]) => hash !== last);
    yield batch;
    if (isEnd) return;
    limit = batch.length > 0 ? count : limit * 2;
    behind = batch.at(-1)?.[0] ?? behind;
  }
}
