import type { Epoch } from '../base/ids.ts';
import { MIB } from '../base/limits.ts';
import type { HeaderKind } from '../base/sealed-header.ts';

// OFFSET  SIZE  FIELD
//      0     4  magic "DFSE"
//      4     2  version, 2
//      6     2  header length, 152
//      8     8  volume tag
//     16     8  epoch, u53
//     24     8  incarnation, u53
//     32     8  time of the cut, ms since 1970, u53
//     40     8  last journal sequence number in the body, u53
//     48    32  identity of the previous record, zero for the first
//     80     4  body length
//     84     4  reserved, zero
//     88    32  BLAKE3 of the body
//    120    32  BLAKE3 of bytes 0 to 119: the record's identity
//    152        the body: encoded operations
//
// Version 1 differs in its body alone, which has no forget.

export const EPOCH_RECORD: HeaderKind = {
  magic: 'DFSE',
  version: 2,
  headerBytes: 152,
  older: new Map([[1, 152]]),
  what: 'an epoch record',
};

/** Where the volume tag stands in every version. */
export const EPOCH_RECORD_TAG_OFFSET = 8;
export const EPOCH_RECORD_RESERVED_BYTES = 4;
export const EPOCH_BODY_BYTES_MAX: number = 256 * MIB;
/** Length of a record's identity, the checksum that ends its header. */
export const RECORD_ID_BYTES = 32;

/** What a record says of itself, verified. */
export interface EpochRecordHeader {
  /** First 8 bytes of the volume UUID's BLAKE3. */
  volumeTag: Buffer;
  epoch: Epoch;
  /** Counts the lives of the volume; tells two epochs of one number apart. */
  incarnation: number;
  cutTimeMs: number;
  /** Last journal sequence number that the body holds. */
  lastSeq: number;
  /** `id` of the record before, 32 zero bytes for the first. */
  previous: Buffer;
  bodyBytes: number;
  bodyChecksum: Buffer;
  /** The header's own checksum, 32 bytes: it names the record and everything before it. */
  id: Buffer;
}

/** `previous` of the first record of a volume. */
export const NO_RECORD_ID: Buffer = Buffer.alloc(RECORD_ID_BYTES);
