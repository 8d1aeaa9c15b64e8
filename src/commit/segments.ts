import type { ChunkId, Ino } from '../base/ids.ts';
import { CHUNK_BYTES_MAX } from '../base/limits.ts';
import type { ExtentRange } from '../meta/mod.ts';
import type { FrozenFile } from './cut-source.ts';

/**
 * Bytes of one frozen file that become one chunk: `lengthBytes` from `offset` on, never across a
 * multiple of 4 MiB.
 */
export interface Segment {
  ino: Ino;
  path: string;
  offset: number;
  lengthBytes: number;
}

const BATCH_BYTES_MAX: number = CHUNK_BYTES_MAX;
const BATCH_SEGMENTS_MAX = 256;

/** Cuts the frozen ranges of files into segments; what lies behind a file's end is left out. */
export function* segmentsOf(files: Iterable<FrozenFile>): Generator<Segment> {
  for (const file of files) {
    for (const range of file.ranges) {
      const end = Math.min(range.end, file.sizeBytes);
      let offset = range.start;
      while (offset < end) {
        const boundary = offset - (offset % CHUNK_BYTES_MAX) + CHUNK_BYTES_MAX;
        const lengthBytes = Math.min(end, boundary) - offset;
        yield { ino: file.ino, path: file.path(), offset, lengthBytes };
        offset += lengthBytes;
      }
    }
  }
}

/**
 * Groups segments, so that a round trip to the store's thread moves many small files or one large
 * chunk.
 */
export function* batchesOf(segments: Iterable<Segment>): Generator<Segment[]> {
  let batch: Segment[] = [];
  let bytes = 0;
  for (const segment of segments) {
    const full =
      batch.length >= BATCH_SEGMENTS_MAX || bytes + segment.lengthBytes > BATCH_BYTES_MAX;
    if (full && batch.length > 0) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(segment);
    bytes += segment.lengthBytes;
  }
  if (batch.length > 0) yield batch;
}

/** Adds to the extents of a file that the bytes of a segment are, whole, those of a chunk. */
export function addExtent(
  files: Map<Ino, ExtentRange[]>,
  segment: Pick<Segment, 'ino' | 'offset' | 'lengthBytes'>,
  chunk: ChunkId,
): void {
  const { ino, offset, lengthBytes } = segment;
  let ranges = files.get(ino);
  if (ranges === undefined) {
    ranges = [];
    files.set(ino, ranges);
  }
  ranges.push({ offset, lengthBytes, chunk, chunkOffset: 0 });
}
