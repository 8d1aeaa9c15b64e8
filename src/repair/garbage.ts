import type { ChunkId } from '../base/ids.ts';
import type { DeadChunk } from '../meta/mod.ts';
import type { WorkVolume } from './work-volume.ts';

/** Chunks that one epoch forgets. */
const FORGET_CHUNKS = 2048;
/** Rows that are looked at between two turns of the event loop. */
const PAGE_ROWS = 1024;

/** The dead chunks that nothing protects any more, some at a time, the longest dead first. */
export async function* doomedChunks(volume: WorkVolume): AsyncGenerator<DeadChunk[]> {
  let after: DeadChunk | undefined;
  let found: DeadChunk[] = [];
  for (;;) {
    const page = volume.committed.deadChunks(PAGE_ROWS, after);
    after = page.at(-1);
    if (after === undefined) break;
    found.push(...page.filter((chunk) => !volume.protects(chunk)));
    if (found.length >= FORGET_CHUNKS) {
      yield found;
      found = [];
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (found.length > 0) yield found;
}

/** Has an epoch forget dead chunks: from then on their pieces are garbage. Those it forgot. */
export async function forget(volume: WorkVolume, chunks: readonly DeadChunk[]): Promise<ChunkId[]> {
  const ids = chunks.map(({ id }) => id);
  await volume.maintain({ forget: ids, stored: [] });
  // One that was named again meanwhile is still known, and stays.
  return ids.filter((id) => volume.committed.chunk(id) === undefined);
}
