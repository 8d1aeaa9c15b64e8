import { closeSync, openSync, writeSync } from 'node:fs';
import { DfsError } from '../base/errors.ts';
import type { ChunkId } from '../base/ids.ts';
import { hashChunk, parseScheme } from '../chunk/mod.ts';
import { type ChunkRow, type CommittedMeta, INLINE_SCHEME } from '../meta/mod.ts';
import type { ChunkStore } from '../store/mod.ts';

/** Parts of a chunk to be written into the file at `path`. */
export interface FetchOrder {
  path: string;
  chunk: Uint8Array;
  parts: { offset: number; chunkOffset: number; lengthBytes: number }[];
}

/** Where the contents of chunks are. */
export interface ContentSource {
  chunks: Pick<ChunkStore, 'get'>;
  committed: CommittedMeta;
}

/** The content of a chunk, verified, from the disks or from the metadata, by what is known of it. */
export async function contentOf(
  id: ChunkId,
  row: ChunkRow | undefined,
  from: ContentSource,
): Promise<Buffer> {
  const action = `Cannot read chunk ${id.toString('hex')}`;
  if (row === undefined) throw new DfsError('CORRUPT', `${action}: nothing is known of it`);
  const { scheme, lengthBytes } = row;
  if (scheme !== INLINE_SCHEME) {
    return from.chunks.get({ id, scheme: parseScheme(scheme), chunkBytes: lengthBytes });
  }
  const content = from.committed.inline.content(id);
  if (content !== undefined && hashChunk(content).equals(id)) return content;
  const state = 'its content in the committed metadata is damaged';
  throw new DfsError('CORRUPT', `${action}: ${state}`);
}

/** What `read` makes of what is known of a chunk, and of what is known then if it fails. */
export async function readAsKnown(
  lookUp: () => ChunkRow | undefined,
  read: (row: ChunkRow | undefined) => Promise<Buffer>,
): Promise<Buffer> {
  for (let row = lookUp(); ; ) {
    try {
      return await read(row);
    } catch (error) {
      const now = lookUp();
      if (now === undefined || now.scheme === row?.scheme) throw error;
      // It was stored anew under another scheme meanwhile, and what was read by is gone.
      row = now;
    }
  }
}

/** Writes the parts of a chunk's content to their places. */
export function writeParts({ path, parts }: FetchOrder, content: Buffer): void {
  const fd = openSync(path, 'r+');
  try {
    for (const { offset, chunkOffset, lengthBytes } of parts) {
      for (let done = 0; done < lengthBytes; ) {
        const from = chunkOffset + done;
        done += writeSync(fd, content, from, lengthBytes - done, offset + done);
      }
    }
  } finally {
    closeSync(fd);
  }
}
