import { type ChunkId, chunkKey } from '../base/ids.ts';
import { formatScheme, pieceCount, type Scheme } from './scheme.ts';

/**
 * Which piece of which chunk. The scheme is part of the name: while a chunk is stored anew under
 * another scheme, the pieces of both lie beside each other.
 */
export interface PieceKey {
  readonly chunkId: ChunkId;
  readonly scheme: Scheme;
  readonly pieceIndex: number;
}

/** The keys of all pieces of a chunk. */
export function pieceKeysOf(chunkId: ChunkId, scheme: Scheme): PieceKey[] {
  return Array.from({ length: pieceCount(scheme) }, (_, pieceIndex) => {
    return { chunkId, scheme, pieceIndex };
  });
}

/** The key as a Map key, and for people: `ab12.. ec:2+1 0`. */
export function pieceKeyText({ chunkId, scheme, pieceIndex }: PieceKey): string {
  return `${chunkKey(chunkId)} ${formatScheme(scheme)} ${pieceIndex}`;
}
