import { InvariantError, messageOf } from '../base/errors.ts';
import { MIB } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import type { Scheme } from '../chunk/mod.ts';
import type { CommittedMeta } from '../meta/mod.ts';
import type { ChunkStore } from '../store/mod.ts';
import type { EpochBuilder } from './epoch-builder.ts';

/** Inline content that one commit puts into buckets, beside what it has to store itself. */
const MOVED_BYTES_MAX: number = 4 * MIB;

/** Puts inline chunks into buckets, as far as it can: this epoch will say that they are there. */
export async function moveInline(parts: {
  inline: CommittedMeta['inline'];
  chunks: Pick<ChunkStore, 'putMany'>;
  scheme: Scheme;
  epoch: EpochBuilder;
  log: Log;
}): Promise<void> {
  const { inline, chunks, scheme, epoch, log } = parts;
  if (inline.bytes === 0) return;
  const oldest = inline.oldest(MOVED_BYTES_MAX);
  try {
    await chunks.putMany(oldest.map(({ id, content }) => ({ id, content, scheme })));
  } catch (error) {
    if (error instanceof InvariantError) throw error;
    // They stay where they are: this commit may do without those disks.
    log('warn', 'small chunks stay with the metadata', { message: messageOf(error) });
    return;
  }
  for (const { id, content } of oldest) {
    epoch.addChunk(id, { lengthBytes: content.length, scheme });
  }
}
