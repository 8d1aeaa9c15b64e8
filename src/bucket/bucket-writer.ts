import { blake3 } from '@napi-rs/blake-hash';
import { ByteWriter } from '../base/bytes.ts';
import { assert } from '../base/errors.ts';
import {
  ALIGN_BYTES,
  type BucketIdentity,
  CHECKSUM_BYTES,
  FILE_HEADER_BYTES,
  FILE_MAGIC,
  FORMAT_VERSION,
  RECORD_HEADER_BYTES,
  RECORD_MAGIC,
  type RecordHeader,
  recordBytes,
  SCHEME_ERASURE,
  SCHEME_REPLICA,
} from './bucket-format.ts';

const PADDING = Buffer.alloc(ALIGN_BYTES);

/** The first bytes of a bucket file. */
export function encodeFileHeader({ volumeTag, diskId, bucket }: BucketIdentity): Buffer {
  const writer = new ByteWriter(FILE_HEADER_BYTES).raw(FILE_MAGIC);
  writer.u16(FORMAT_VERSION).u16(FILE_HEADER_BYTES).raw(volumeTag).u16(diskId).u16(bucket);
  writer.raw(PADDING.subarray(0, 24));
  return sealHeader(writer, FILE_HEADER_BYTES);
}

/** Where a record stands. */
export interface RecordPlace {
  readonly volumeTag: Buffer;
  readonly bucket: number;
  readonly offset: number;
}

/** The header of a record; the piece and {@link recordPadding} follow it. */
export function encodeRecordHeader(place: RecordPlace, header: RecordHeader): Buffer {
  const { chunkId, pieceIndex, scheme, chunkBytes, payloadBytes, payloadHash } = header;
  const writer = new ByteWriter(RECORD_HEADER_BYTES).raw(RECORD_MAGIC);
  writer.u16(FORMAT_VERSION).u16(RECORD_HEADER_BYTES).raw(place.volumeTag);
  writer.u16(place.bucket).u16(pieceIndex).raw(chunkId);
  if (scheme.kind === 'replica') writer.u8(SCHEME_REPLICA).u8(scheme.copies).u8(0);
  else writer.u8(SCHEME_ERASURE).u8(scheme.dataPieces).u8(scheme.parityPieces);
  writer.u8(0).u32(chunkBytes).u32(payloadBytes).raw(payloadHash).u53(place.offset).u32(0);
  return sealHeader(writer, RECORD_HEADER_BYTES);
}

/** The zeros behind a piece of `payloadBytes`. */
export function recordPadding(payloadBytes: number): Buffer {
  const gap = recordBytes(payloadBytes) - RECORD_HEADER_BYTES - payloadBytes;
  return PADDING.subarray(0, gap);
}

function sealHeader(writer: ByteWriter, headerBytes: number): Buffer {
  assert(writer.length === headerBytes - CHECKSUM_BYTES, 'a header has its fixed length');
  return writer.raw(blake3(writer.view()).subarray(0, CHECKSUM_BYTES)).view();
}
