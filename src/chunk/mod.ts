/**
 * Chunks, purely: how content gets its name, and how a scheme turns it into pieces and back. This
 * room knows nothing of disks; it computes on buffers, and only the Reed-Solomon arithmetic leaves
 * the thread.
 */
export { hashChunk } from './chunk-id.ts';
export { type PieceKey, pieceKeysOf, pieceKeyText } from './piece-key.ts';
export { decodePieces, encodePieces, isChunkLength } from './pieces.ts';
export type { ErasureScheme, ReplicaScheme, Scheme } from './scheme.ts';
export {
  COPIES_MAX,
  checkScheme,
  DATA_PIECES_MAX,
  expansionFactor,
  formatScheme,
  PARITY_PIECES_MAX,
  parseScheme,
  pieceBytes,
  pieceCount,
  piecesNeeded,
  schemesEqual,
  survives,
} from './scheme.ts';
