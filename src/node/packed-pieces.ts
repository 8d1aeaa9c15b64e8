import { CHUNK_ID_BYTES, type ChunkId } from '../base/ids.ts';
import type { PieceKey, Scheme } from '../chunk/mod.ts';
import type { ListedPiece } from '../store/mod.ts';

// Many piece names between two threads: one block of memory that is moved, instead of objects and
// buffers that are cloned one by one. Never on a disk, so any change of it is free.
//
// OFFSET SIZE FIELD
//      0   32 chunk id
//     32    1 1 replica, 2 ec
//     33    1 copies, or data pieces
//     34    1 parity pieces
//     35    1 1 when it is known to be bad
//     36    2 piece index
//     38    2 bucket
//     40    4 bytes on the disk

const ROW_BYTES = 44;

/** Packs pieces, or only their keys, for another thread. */
export function packPieces(pieces: readonly (PieceKey & Partial<ListedPiece>)[]): Uint8Array {
  const packed = Buffer.from(new ArrayBuffer(pieces.length * ROW_BYTES));
  for (const [index, piece] of pieces.entries()) {
    const { chunkId, scheme, pieceIndex, bucket = 0, bytes = 0, bad = false } = piece;
    const row = packed.subarray(index * ROW_BYTES);
    row.set(chunkId);
    const isReplica = scheme.kind === 'replica';
    row[32] = isReplica ? 1 : 2;
    row[33] = isReplica ? scheme.copies : scheme.dataPieces;
    row[34] = isReplica ? 0 : scheme.parityPieces;
    row[35] = bad ? 1 : 0;
    row.writeUInt16LE(pieceIndex, 36);
    row.writeUInt16LE(bucket, 38);
    row.writeUInt32LE(bytes, 40);
  }
  return packed;
}

/** What {@link packPieces} packed; the chunk ids share its memory. */
export function unpackPieces(packed: Uint8Array): ListedPiece[] {
  const rows = Buffer.from(packed.buffer, packed.byteOffset, packed.length);
  return Array.from({ length: rows.length / ROW_BYTES }, (_, index) => {
    const at = index * ROW_BYTES;
    return {
      chunkId: rows.subarray(at, at + CHUNK_ID_BYTES) as ChunkId,
      scheme: schemeAt(rows, at + 32),
      pieceIndex: rows.readUInt16LE(at + 36),
      bucket: rows.readUInt16LE(at + 38),
      bytes: rows.readUInt32LE(at + 40),
      bad: rows[at + 35] === 1,
    };
  });
}

function schemeAt(rows: Buffer, at: number): Scheme {
  const [first, second] = [rows.readUInt8(at + 1), rows.readUInt8(at + 2)];
  if (rows.readUInt8(at) === 1) return { kind: 'replica', copies: first };
  return { kind: 'ec', dataPieces: first, parityPieces: second };
}
