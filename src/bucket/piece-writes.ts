import { blake3 } from '@napi-rs/blake-hash';
import { assert, DfsError } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import { CHUNK_ID_BYTES } from '../base/ids.ts';
import { checkScheme, isChunkLength, type PieceKey, pieceBytes, pieceCount } from '../chunk/mod.ts';
import { BUCKET_MAX, FILE_HEADER_BYTES, recordBytes } from './bucket-format.ts';
import type { IndexedPiece } from './bucket-index.ts';
import { encodeFileHeader, encodeRecordHeader, recordPadding } from './bucket-writer.ts';

/** A piece to be stored. */
export interface BucketPiece extends PieceKey {
  readonly bucket: number;
  /** Length of the whole chunk. */
  readonly chunkBytes: number;
  readonly payload: Buffer;
  /** The BLAKE3-256 of the payload, if it was just computed. */
  readonly payloadHash?: Buffer | undefined;
}

/** One contiguous write behind the end of a bucket, and the pieces in it. */
export interface BucketWrite {
  readonly bucket: number;
  readonly offset: number;
  readonly end: number;
  readonly buffers: Buffer[];
  readonly placed: IndexedPiece[];
}

/** Of which disk the pieces will be. */
export interface WriteTarget {
  readonly volumeTag: Buffer;
  readonly diskId: DiskId;
  readonly endOf: (bucket: number) => number;
}

/** BAD_ARGUMENT unless a record could hold the piece. */
export function checkPiece(piece: BucketPiece): void {
  const { bucket, chunkId, pieceIndex, scheme, chunkBytes, payload } = piece;
  checkScheme(scheme);
  const good =
    isWithin(bucket, BUCKET_MAX) &&
    chunkId.length === CHUNK_ID_BYTES &&
    isWithin(pieceIndex, pieceCount(scheme) - 1) &&
    isChunkLength(chunkBytes) &&
    payload.length === pieceBytes(scheme, chunkBytes);
  if (good) return;
  throw new DfsError(
    'BAD_ARGUMENT',
    `Cannot append piece ${pieceIndex} of chunk ${chunkId.toString('hex')} to bucket ${bucket}: ` +
      `it has ${payload.length} bytes, its chunk ${chunkBytes}`,
  );
}

/** Lays pieces out behind the ends of their buckets. */
export function planWrites(pieces: readonly BucketPiece[], target: WriteTarget): BucketWrite[] {
  const byBucket = new Map<number, BucketPiece[]>();
  for (const piece of pieces) {
    const others = byBucket.get(piece.bucket);
    if (others === undefined) byBucket.set(piece.bucket, [piece]);
    else others.push(piece);
  }
  return [...byBucket].map(([bucket, group]) => planBucket(bucket, group, target));
}

function planBucket(bucket: number, pieces: BucketPiece[], target: WriteTarget): BucketWrite {
  const { volumeTag, diskId } = target;
  const offset = target.endOf(bucket);
  const buffers: Buffer[] = [];
  const placed: IndexedPiece[] = [];
  let end = offset;
  if (offset === 0) {
    buffers.push(encodeFileHeader({ volumeTag, diskId, bucket }));
    end = FILE_HEADER_BYTES;
  }
  for (const { chunkId, pieceIndex, scheme, chunkBytes, payload, ...piece } of pieces) {
    const payloadHash = piece.payloadHash ?? blake3(payload);
    // A replica is the chunk itself; a wrong id would only be noticed when it is read.
    const matches = scheme.kind === 'ec' || payloadHash.equals(chunkId);
    assert(matches, 'a chunk is named by the hash of its content');
    const payloadBytes = payload.length;
    const header = { chunkId, pieceIndex, scheme, chunkBytes, payloadBytes, payloadHash };
    const place = { volumeTag, bucket, offset: end };
    buffers.push(encodeRecordHeader(place, header), payload, recordPadding(payloadBytes));
    const bytes = recordBytes(payloadBytes);
    placed.push({ chunkId, scheme, pieceIndex, bucket, offset: end, bytes });
    end += bytes;
  }
  return { bucket, offset, end, buffers: buffers.filter((part) => part.length > 0), placed };
}

function isWithin(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}
