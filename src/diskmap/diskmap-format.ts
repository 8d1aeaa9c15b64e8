import type { DiskState } from './diskmap.ts';

/**
 * Layout of an encoded diskmap; docs/formats/diskmap.md is its description. Little-endian.
 *
 * OFFSET SIZE FIELD
 *      0    4 magic "DFSM"
 *      4    2 format version
 *      6    2 reserved, zero
 *      8    4 length of all of it in bytes, checksum included
 *     12    4 number of disks
 *     16    8 map version
 *     24    8 creation time, milliseconds since 1970; 0: unknown
 *     32   16 volume UUID
 *     48    8 bucket size in bytes
 *     56    1 length of the scheme in bytes
 *     57    7 reserved, zero
 *     64    n scheme, UTF-8
 *   then for every disk, ids strictly ascending:
 *      0    2 disk id
 *      2    1 state: 0 in, 1 failed, 2 draining, 3 removed
 *      3    1 room
 *      4    1 row
 *      5    1 rack
 *      6    1 machine
 *      7    1 length of the label in bytes
 *      8    2 disk number in its machine
 *     10    2 reserved, zero
 *     12    4 weight
 *     16   16 UUID of the disk
 *     32    n label, UTF-8
 *   at the end:
 *      0   32 BLAKE3-256 of everything before it
 *
 * Version 1 is the same, with the states 0 in and 1 out, which is read as failed.
 *
 * Magic, version, length and checksum keep their places in every later version, so that a flipped
 * bit in the version is told from a newer format.
 */
export const DISKMAP_MAGIC = 'DFSM';
export const DISKMAP_VERSION = 2;
export const HEADER_BYTES = 64;
export const DISK_BYTES = 32;
export const CHECKSUM_BYTES = 32;

/** States by their code. */
export const STATES: readonly DiskState[] = ['in', 'failed', 'draining', 'removed'];
/** The largest code of a state in version 1. */
export const STATE_MAX_V1 = 1;
