import type { ChunkId } from '../base/ids.ts';
import { parseScheme } from '../chunk/mod.ts';
import type { Volume } from '../commit/mod.ts';
import { encodeBucketId, findDisk, formatLocation, volumeTag } from '../diskmap/mod.ts';
import { type ChunkRow, INLINE_SCHEME } from '../meta/mod.ts';
import type { PieceReport } from '../store/mod.ts';

/** Where one piece is. */
export interface LocatedPiece {
  index: number;
  diskId: number | undefined;
  /** room.row.rack.machine.disk.bucket; undefined when the piece has no place. */
  bucket: string | undefined;
  /** The whole bucket id with the volume's tag, 32 hex digits. */
  bucketId: string | undefined;
  health: 'ok' | 'missing' | 'bad' | 'disk down';
}

/** One extent of a file and the pieces of its chunk. Sizes and offsets in bytes. */
export interface LocatedExtent {
  offset: number;
  lengthBytes: number;
  chunk: string;
  chunkBytes: number;
  scheme: string;
  pieces: LocatedPiece[];
}

/** By the scheme that the chunk has when they are found: it may be stored anew meanwhile. */
async function piecesOf(
  volume: Volume,
  id: ChunkId,
): Promise<{ row: ChunkRow | undefined; pieces: PieceReport[] }> {
  for (let row = volume.committed.chunk(id); ; ) {
    if (row === undefined || row.scheme === INLINE_SCHEME) return { row, pieces: [] };
    const pieces = await volume.chunks.locate({ id, scheme: parseScheme(row.scheme) });
    const now = volume.committed.chunk(id);
    if (now === undefined || now.scheme === row.scheme) return { row, pieces };
    row = now;
  }
}

/** Finds the pieces of the chunks of extents; nothing is read but indexes. */
export async function locate(
  volume: Volume,
  extents: { chunk: ChunkId; offset: number; lengthBytes: number }[],
): Promise<LocatedExtent[]> {
  const tag = volumeTag(volume.map.volumeUuid);
  const located: LocatedExtent[] = [];
  for (const { chunk, offset, lengthBytes } of extents) {
    const { row, pieces } = await piecesOf(volume, chunk);
    located.push({
      offset,
      lengthBytes,
      chunk: chunk.toString('hex'),
      chunkBytes: row?.lengthBytes ?? 0,
      scheme: row?.scheme ?? 'unknown',
      pieces: pieces.map(({ index, diskId, bucket, health }) => {
        const disk = diskId === undefined ? undefined : findDisk(volume.map, diskId);
        const place = disk && bucket !== undefined ? { ...disk, bucket } : undefined;
        return {
          index,
          diskId,
          bucket: place && formatLocation(place),
          bucketId: place && encodeBucketId(tag, place).toString('hex'),
          health,
        };
      }),
    });
  }
  return located;
}
