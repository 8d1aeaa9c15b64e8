import type { DiskId } from '../base/ids.ts';
import type { HeaderKind } from '../base/sealed-header.ts';

// OFFSET  SIZE  FIELD
//      0     4  magic "DFSI"
//      4     2  version, 1
//      6     2  length, 88
//      8    16  UUID of the volume
//     24    16  UUID of the disk
//     40     2  id of the disk in the diskmap, u16
//     42     6  reserved, zero
//     48     8  time of creation, ms since 1970, u53
//     56    32  BLAKE3 of bytes 0 to 55

export const DISK_IDENTITY: HeaderKind = {
  magic: 'DFSI',
  version: 1,
  headerBytes: 88,
  what: "a disk's identity",
};

export const DISK_IDENTITY_RESERVED_BYTES = 6;
export const UUID_BYTES = 16;

/** Whose a disk is: the first file that is read of it. */
export interface DiskIdentity {
  /** Lower-case text with hyphens. */
  volumeUuid: string;
  diskUuid: string;
  diskId: DiskId;
  createdMs: number;
}
