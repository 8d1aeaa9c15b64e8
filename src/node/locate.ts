import type { ChunkId } from '../base/ids.ts';
import { parseScheme } from '../chunk/mod.ts';
import type { Volume } from '../commit/mod.ts';
import { encodeBucketId, findDisk, formatLocation, volumeTag } from '../diskmap/mod.ts';
import { INLINE_SCHEME } from '../meta/mod.ts';

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

/** Finds the pieces of the chunks of extents; nothing is read but indexes. */
export async function locate(
  volume: Volume,
  extents: { chunk: ChunkId; offset: number; lengthBytes: number }[],
): Promise<LocatedExtent[]> {
  const tag = volumeTag(volume.map.volumeUuid);
  const located: LocatedExtent[] = [];
  for (const { chunk, offset, lengthBytes } of extents) {
    const row = volume.committed.chunk(chunk);
    const pieces =
      row === undefined || row.scheme === INLINE_SCHEME
        ? []
        : await volume.chunks.locate({ id: chunk, scheme: parseScheme(row.scheme) });
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
