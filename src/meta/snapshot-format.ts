import type { Epoch } from '../base/ids.ts';
import { MIB } from '../base/limits.ts';
import type { HeaderKind } from '../base/sealed-header.ts';

// The header:
// OFFSET  SIZE  FIELD
//      0     4  magic "DFSS"
//      4     2  version, 2
//      6     2  header length, 120
//      8     8  volume tag
//     16     8  epoch, u53
//     24     8  incarnation, u53
//     32    32  identity of the epoch record that led to this state
//     64     8  length of the raw content, u53
//     72     4  raw bytes in every frame but the last, 1 MiB
//     76     4  reserved, zero
//     80     8  time of the epoch's cut, ms since 1970, u53
//     88    32  BLAKE3 of bytes 0 to 87
//
// Version 1 has no time: 112 bytes, the BLAKE3 at 80.
//
// A frame, as many as the content needs:
//      0     4  magic "DFSF"
//      4     4  index, from 0
//      8     4  raw length
//     12     4  stored length
//     16    32  BLAKE3 of bytes 0 to 15 and the stored bytes
//     48        the stored bytes: raw content, zlib at level 1
//
// The end, after which the file ends:
//      0     4  magic "DFSZ"
//      4     4  number of frames
//      8     8  length of the raw content, u53
//     16    32  BLAKE3 of the raw content
//     48    32  BLAKE3 of bytes 0 to 47

export const SNAPSHOT: HeaderKind = {
  magic: 'DFSS',
  version: 2,
  headerBytes: 120,
  older: new Map([[1, 112]]),
  what: 'a snapshot',
};

export const SNAPSHOT_RESERVED_BYTES = 4;
export const FRAME_MAGIC = 'DFSF';
export const END_MAGIC = 'DFSZ';
/** The frame's fields without their checksum. */
export const FRAME_FIELD_BYTES = 16;
export const FRAME_HEADER_BYTES = 48;
export const END_FIELD_BYTES = 48;
export const END_BYTES = 80;
export const FRAME_RAW_BYTES: number = MIB;
/** Incompressible content grows by a few bytes in 16 KiB; nothing larger is allocated. */
export const FRAME_STORED_BYTES_MAX: number = FRAME_RAW_BYTES + 1024;

/** What a snapshot says of itself, verified. */
export interface SnapshotHeader {
  /** First 8 bytes of the volume UUID's BLAKE3. */
  volumeTag: Buffer;
  epoch: Epoch;
  incarnation: number;
  /** `id` of the epoch record that led to this state; the log goes on from there. */
  recordId: Buffer;
  /** When the epoch was cut; undefined in snapshots of version 1. */
  cutTimeMs: number | undefined;
  contentBytes: number;
}
