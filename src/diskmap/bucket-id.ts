import { blake3 } from '@napi-rs/blake-hash';
import { DfsError } from '../base/errors.ts';
import { uuidBytes } from './uuid.ts';

declare const brand: unique symbol;

/** 16 bytes: the volume's tag, then the location, big-endian, so that ids sort as the tree does. */
export type BucketId = Buffer & { readonly [brand]: 'BucketId' };

/** Where a bucket is: room, row, rack and machine 1..255, disk 1..65535, bucket 0..65535. */
export interface BucketLocation {
  readonly room: number;
  readonly row: number;
  readonly rack: number;
  readonly machine: number;
  readonly disk: number;
  /** Bucket 0 of every disk is reserved for metadata; data begins at 1. */
  readonly bucket: number;
}

export const BUCKET_ID_BYTES = 16;
export const VOLUME_TAG_BYTES = 8;

const FIELDS = [
  ['room', 1, 0xff],
  ['row', 1, 0xff],
  ['rack', 1, 0xff],
  ['machine', 1, 0xff],
  ['disk', 1, 0xffff],
  ['bucket', 0, 0xffff],
] as const;

/** The first 8 bytes of the BLAKE3 of the UUID's 16 bytes: no foreign bucket passes for ours. */
export function volumeTag(volumeUuid: string): Buffer {
  return Buffer.from(blake3(uuidBytes(volumeUuid)).subarray(0, VOLUME_TAG_BYTES));
}

/** Throws BAD_ARGUMENT unless every number of the location is in its range. */
export function checkLocation(location: BucketLocation): void {
  for (const [name, min, max] of FIELDS) {
    const value = location[name];
    if (!Number.isInteger(value) || value < min || value > max) {
      const state = `${name} is ${value}, allowed are ${min} to ${max}`;
      throw new DfsError('BAD_ARGUMENT', `Cannot use a bucket location: ${state}`);
    }
  }
}

/** The 16 bytes of a bucket's id; throws BAD_ARGUMENT when a number is out of its range. */
export function encodeBucketId(tag: Buffer, location: BucketLocation): BucketId {
  if (tag.length !== VOLUME_TAG_BYTES) {
    const state = `the volume tag has ${tag.length} of ${VOLUME_TAG_BYTES} bytes`;
    throw new DfsError('BAD_ARGUMENT', `Cannot encode a bucket id: ${state}`);
  }
  checkLocation(location);
  const id = Buffer.alloc(BUCKET_ID_BYTES);
  tag.copy(id, 0);
  id.writeUInt8(location.room, 8);
  id.writeUInt8(location.row, 9);
  id.writeUInt8(location.rack, 10);
  id.writeUInt8(location.machine, 11);
  id.writeUInt16BE(location.disk, 12);
  id.writeUInt16BE(location.bucket, 14);
  return id as BucketId;
}

/** Tag and location of a bucket id; throws CORRUPT when the bytes are none. */
export function decodeBucketId(id: Buffer): { tag: Buffer; location: BucketLocation } {
  if (id.length !== BUCKET_ID_BYTES) {
    const state = `got ${id.length} of ${BUCKET_ID_BYTES} bytes`;
    throw new DfsError('CORRUPT', `Cannot decode a bucket id: ${state}`);
  }
  const location: BucketLocation = {
    room: id.readUInt8(8),
    row: id.readUInt8(9),
    rack: id.readUInt8(10),
    machine: id.readUInt8(11),
    disk: id.readUInt16BE(12),
    bucket: id.readUInt16BE(14),
  };
  try {
    checkLocation(location);
  } catch (cause) {
    const state = `${formatLocation(location)} is no location`;
    throw new DfsError('CORRUPT', `Cannot decode a bucket id: ${state}`, { cause });
  }
  return { tag: Buffer.from(id.subarray(0, VOLUME_TAG_BYTES)), location };
}

/** Text of a location, `room.row.rack.machine.disk.bucket`, as in `1.1.1.3.2.117`. */
export function formatLocation(location: BucketLocation): string {
  return FIELDS.map(([name]) => location[name]).join('.');
}

/** Reads what {@link formatLocation} wrote; throws BAD_ARGUMENT, also for numbers like `01`. */
export function parseLocation(text: string): BucketLocation {
  const parts = text.split('.');
  if (parts.length !== FIELDS.length || !parts.every((part) => /^(0|[1-9]\d{0,4})$/.test(part))) {
    const wanted = 'room.row.rack.machine.disk.bucket, as in 1.1.1.3.2.117';
    throw new DfsError('BAD_ARGUMENT', `Cannot parse the location "${text}": it is not ${wanted}`);
  }
  const numbers = parts.map(Number);
  const at = (index: number): number => numbers[index] ?? 0;
  const location: BucketLocation = {
    room: at(0),
    row: at(1),
    rack: at(2),
    machine: at(3),
    disk: at(4),
    bucket: at(5),
  };
  checkLocation(location);
  return location;
}
