import { assert, DfsError } from '../base/errors.ts';
import { CHUNK_BYTES_MAX } from '../base/limits.ts';
import { decodeShards, encodeShards } from './erasure.ts';
import { formatScheme, pieceBytes, pieceCount, piecesNeeded, type Scheme } from './scheme.ts';

/**
 * The pieces of a chunk in order. They may share memory with `content` and each other, so none may
 * be written to.
 */
export async function encodePieces(scheme: Scheme, content: Buffer): Promise<Buffer[]> {
  assert(isChunkLength(content.length), `a chunk has ${content.length} bytes`);
  if (scheme.kind === 'replica') return new Array<Buffer>(scheme.copies).fill(content);
  return encodeShards(scheme, content);
}

/**
 * The content of a chunk from its pieces by index, undefined where one is missing. Pieces are
 * trusted: who read them has verified them. UNAVAILABLE when they are too few, CORRUPT when one
 * has a length no piece of this chunk can have.
 */
export async function decodePieces(
  scheme: Scheme,
  chunkBytes: number,
  pieces: readonly (Buffer | undefined)[],
): Promise<Buffer> {
  assert(isChunkLength(chunkBytes), `a chunk has ${chunkBytes} bytes`);
  const [count, needed] = [pieceCount(scheme), piecesNeeded(scheme)];
  assert(pieces.length <= count, `${pieces.length} pieces of ${formatScheme(scheme)}`);
  const expectedBytes = pieceBytes(scheme, chunkBytes);
  let present = 0;
  for (const [index, piece] of pieces.entries()) {
    if (piece === undefined) continue;
    present++;
    if (piece.length === expectedBytes) continue;
    throw new DfsError(
      'CORRUPT',
      `Cannot decode a chunk: piece ${index} has ${piece.length} of ${expectedBytes} bytes`,
    );
  }
  if (present < needed) {
    throw new DfsError(
      'UNAVAILABLE',
      `Cannot decode a chunk: ${present} of the ${needed} pieces ${formatScheme(scheme)} needs`,
    );
  }
  if (scheme.kind === 'replica') {
    const copy = pieces.find((piece) => piece !== undefined);
    assert(copy !== undefined, 'a present piece is found');
    return copy;
  }
  return decodeShards(scheme, chunkBytes, pieces);
}

/** True for a length a chunk can have. */
export function isChunkLength(bytes: number): boolean {
  return Number.isInteger(bytes) && bytes >= 1 && bytes <= CHUNK_BYTES_MAX;
}
