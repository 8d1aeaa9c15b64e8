import { blake3 } from '@napi-rs/blake-hash';
import { ByteReader } from '../base/bytes.ts';
import { DfsError } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import type { DiskEntry, DiskMap } from './diskmap.ts';
import { createDiskMap } from './diskmap.ts';
import * as format from './diskmap-format.ts';
import { UUID_BYTES, uuidText } from './uuid.ts';

/** Reads {@link encodeDiskMap}'s bytes; throws CORRUPT, or NEWER_FORMAT for a later version. */
export function decodeDiskMap(bytes: Buffer): DiskMap {
  const { inner, formatVersion } = checkFrame(bytes);
  const reader = new ByteReader(inner, 'a diskmap');
  reader.raw(12);
  const diskCount = reader.u32();
  const version = reader.u53();
  const createdAt = reader.u53();
  const volumeUuid = uuidText(reader.raw(UUID_BYTES));
  const bucketBytes = reader.u53();
  const schemeBytes = reader.u8();
  checkZero(reader.raw(7));
  const scheme = readText(reader, schemeBytes);
  if (diskCount * format.DISK_BYTES > reader.remaining) {
    corrupt(`${diskCount} disks do not fit into ${reader.remaining} bytes`);
  }
  const disks: DiskEntry[] = [];
  for (let index = 0; index < diskCount; index++) {
    const disk = readDisk(reader, formatVersion);
    if (disk.id <= (disks.at(-1)?.id ?? 0)) corrupt(`disk ${disk.id} is out of order`);
    disks.push(disk);
  }
  reader.end();
  const map = { version, volumeUuid, scheme, bucketBytes, disks };
  try {
    return createDiskMap(createdAt === 0 ? map : { ...map, createdAt });
  } catch (cause) {
    throw new DfsError('CORRUPT', 'Cannot read a diskmap: what it says is not valid', { cause });
  }
}

/** Magic, length, checksum, then the version: what all versions have in common. */
function checkFrame(bytes: Buffer): { inner: Buffer; formatVersion: number } {
  if (bytes.length < format.HEADER_BYTES + format.CHECKSUM_BYTES) {
    corrupt(`it has ${bytes.length} bytes, too few for any`);
  }
  if (bytes.toString('latin1', 0, 4) !== format.DISKMAP_MAGIC) corrupt('its magic is missing');
  const lengthBytes = bytes.readUInt32LE(8);
  if (lengthBytes !== bytes.length) corrupt(`got ${bytes.length} of ${lengthBytes} bytes`);
  const inner = bytes.subarray(0, bytes.length - format.CHECKSUM_BYTES);
  if (!blake3(inner).equals(bytes.subarray(inner.length))) corrupt('its checksum is wrong');
  const version = bytes.readUInt16LE(4);
  if (version > format.DISKMAP_VERSION) {
    const state = `it has version ${version}, this software knows ${format.DISKMAP_VERSION}`;
    throw new DfsError('NEWER_FORMAT', `Cannot read a diskmap: ${state}`);
  }
  if (version < 1) corrupt(`version ${version} never existed`);
  checkZero(bytes.subarray(6, 8));
  return { inner, formatVersion: version };
}

function readDisk(reader: ByteReader, formatVersion: number): DiskEntry {
  const id = reader.u16() as DiskId;
  const code = reader.u8();
  const state = format.STATES[code];
  if (state === undefined || (formatVersion === 1 && code > format.STATE_MAX_V1)) {
    corrupt(`disk ${id} has the unknown state ${code}`);
  }
  const room = reader.u8();
  const row = reader.u8();
  const rack = reader.u8();
  const machine = reader.u8();
  const labelBytes = reader.u8();
  const disk = reader.u16();
  checkZero(reader.raw(2));
  const weight = reader.u32();
  const uuid = uuidText(reader.raw(UUID_BYTES));
  const label = readText(reader, labelBytes);
  return { id, uuid, room, row, rack, machine, disk, weight, state, label };
}

function readText(reader: ByteReader, lengthBytes: number): string {
  const bytes = reader.raw(lengthBytes);
  const text = bytes.toString('utf8');
  if (!Buffer.from(text, 'utf8').equals(bytes)) corrupt('a text in it is not UTF-8');
  return text;
}

function checkZero(bytes: Buffer): void {
  if (bytes.some((byte) => byte !== 0)) corrupt('reserved bytes are not zero');
}

function corrupt(state: string): never {
  throw new DfsError('CORRUPT', `Cannot read a diskmap: ${state}`);
}
