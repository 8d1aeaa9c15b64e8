// A bucket is one append-only file, `buckets/NNNNN`: a file header, then records, each on a
// multiple of ALIGN_BYTES. Integers are little-endian, reserved bytes zero. docs/formats/bucket.md
// explains.
//
// FILE HEADER                                RECORD HEADER
// OFFSET SIZE FIELD                          OFFSET SIZE FIELD
//      0    8 magic "DFSBUCKT"                    0    8 magic "DFSPIECE"
//      8    2 format version                      8    2 format version
//     10    2 header length, 64                  10    2 header length, 128
//     12    8 volume tag                         12    8 volume tag
//     20    2 disk id                            20    2 bucket number
//     22    2 bucket number                      22    2 piece index
//     24   24 reserved                           24   32 chunk id
//     48   16 checksum of bytes 0 to 47          56    1 scheme kind: 1 replica, 2 ec
//                                                57    1 copies, or data pieces
//                                                58    1 0, or parity pieces
//                                                59    1 reserved
//                                                60    4 chunk length
//                                                64    4 piece length
//                                                68   32 BLAKE3-256 of the piece
//                                               100    8 offset of this record in the file
//                                               108    4 reserved
//                                               112   16 checksum of bytes 0 to 111
//                                               128    n the piece, then zeros to a multiple of 64

import type { ChunkId, DiskId } from '../base/ids.ts';
import type { Scheme } from '../chunk/mod.ts';

export const FILE_MAGIC: Buffer = Buffer.from('DFSBUCKT', 'latin1');
export const RECORD_MAGIC: Buffer = Buffer.from('DFSPIECE', 'latin1');
export const FORMAT_VERSION = 1;
export const FILE_HEADER_BYTES = 64;
export const RECORD_HEADER_BYTES = 128;
/** No later version has a longer header, so that reading this much of one tells its version. */
export const HEADER_BYTES_MAX = 512;
/** The checksum is the last bytes of a header, in this and every later version. */
export const CHECKSUM_BYTES = 16;
/** Records begin at multiples of this, so that a reader that lost its way finds the next one. */
export const ALIGN_BYTES = 64;
export const VOLUME_TAG_BYTES = 8;
export const SCHEME_REPLICA = 1;
export const SCHEME_ERASURE = 2;
/** Bucket numbers have 16 bits in a bucket id. */
export const BUCKET_MAX = 65_535;

/** Whose file it is. */
export interface BucketIdentity {
  readonly volumeTag: Buffer;
  readonly diskId: DiskId;
  readonly bucket: number;
}

/** What a record says of its piece. */
export interface RecordHeader {
  readonly chunkId: ChunkId;
  readonly pieceIndex: number;
  readonly scheme: Scheme;
  readonly chunkBytes: number;
  readonly payloadBytes: number;
  readonly payloadHash: Buffer;
}

/** Length of a record with a piece of `payloadBytes`, header and padding included. */
export function recordBytes(payloadBytes: number): number {
  return alignUp(RECORD_HEADER_BYTES + payloadBytes);
}

/** The first multiple of {@link ALIGN_BYTES} at or after `offset`. */
export function alignUp(offset: number): number {
  return Math.ceil(offset / ALIGN_BYTES) * ALIGN_BYTES;
}

/** The file's name in the folder of buckets: five digits. */
export function bucketFileName(bucket: number): string {
  return String(bucket).padStart(5, '0');
}

/** The number of the bucket a file name stands for, undefined if it is no bucket's. */
export function bucketOfFileName(name: string): number | undefined {
  if (!/^[0-9]{5}$/.test(name)) return undefined;
  const bucket = Number(name);
  return bucket <= BUCKET_MAX ? bucket : undefined;
}
