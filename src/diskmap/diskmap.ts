import { DfsError } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import { checkLocation } from './bucket-id.ts';
import { checkUuid } from './uuid.ts';

/**
 * What a disk is for. `in`: takes its part of the pieces. `failed` and `draining`: takes no new
 * piece, and its old ones are built anew or moved; the entry keeps others in place. A failed disk
 * is counted on for nothing, a draining one for reading. `removed`: gone for good, the entry only
 * keeps the id from being used again.
 */
export type DiskState = 'in' | 'failed' | 'draining' | 'removed';

export const DISK_STATES: readonly DiskState[] = ['in', 'failed', 'draining', 'removed'];

/** One disk of the volume: who it is, where it stands, how much it takes. */
export interface DiskEntry {
  /** Unique in the volume and never used for another disk, 1..65535; small ids place fastest. */
  readonly id: DiskId;
  readonly uuid: string;
  /** Rooms, rows, racks and machines are 1..255, disks 1..65535 within their machine. */
  readonly room: number;
  readonly row: number;
  readonly rack: number;
  readonly machine: number;
  readonly disk: number;
  /** Number of data buckets, 1..65535; bucket 0 comes on top. */
  readonly weight: number;
  readonly state: DiskState;
  /** For people, at most 255 bytes of UTF-8. */
  readonly label: string;
}

/** The one description of the hardware; immutable, a change makes the next version. */
export interface DiskMap {
  /** From 1, one more with every change. */
  readonly version: number;
  readonly volumeUuid: string;
  /** Milliseconds since 1970. */
  readonly createdAt?: number;
  /** The redundancy of new chunks in words this room does not read, at most 255 bytes of UTF-8. */
  readonly scheme: string;
  readonly bucketBytes: number;
  /** In the order of their ids. */
  readonly disks: readonly DiskEntry[];
}

export const DISK_ID_MAX = 65_535;
export const WEIGHT_MAX = 65_535;
export const TEXT_BYTES_MAX = 255;

/** A checked, frozen map with its disks in order of their ids; throws BAD_ARGUMENT. */
export function createDiskMap(map: DiskMap): DiskMap {
  checkUuid(map.volumeUuid);
  checkInteger('map version', map.version, 1, Number.MAX_SAFE_INTEGER);
  checkInteger('bucket size', map.bucketBytes, 1, Number.MAX_SAFE_INTEGER);
  if (map.createdAt !== undefined) {
    checkInteger('creation time', map.createdAt, 1, Number.MAX_SAFE_INTEGER);
  }
  checkText('scheme', map.scheme);
  const disks = map.disks.map((disk) => Object.freeze({ ...disk }));
  disks.sort((a, b) => a.id - b.id);
  const seen = new Map<string, DiskEntry>();
  for (const disk of disks) {
    checkDisk(disk);
    const place = `${disk.room}.${disk.row}.${disk.rack}.${disk.machine}.${disk.disk}`;
    const keys = [`id ${disk.id}`, `UUID ${disk.uuid}`];
    if (disk.state !== 'removed') keys.push(`location ${place}`);
    for (const key of keys) {
      if (seen.has(key)) fail(`two disks have the ${key}`);
      seen.set(key, disk);
    }
  }
  return Object.freeze({ ...map, disks: Object.freeze(disks) });
}

/** The next version of the map, with the disk of this id added or changed; throws BAD_ARGUMENT. */
export function withDisk(map: DiskMap, disk: DiskEntry): DiskMap {
  const others = map.disks.filter((other) => other.id !== disk.id);
  return createDiskMap({ ...map, version: map.version + 1, disks: [...others, disk] });
}

/** The disks that are not removed: the hardware there is. */
export function presentDisks(map: DiskMap): DiskEntry[] {
  return map.disks.filter((disk) => disk.state !== 'removed');
}

/** The disk of that id, or undefined. */
export function findDisk(map: DiskMap, id: DiskId): DiskEntry | undefined {
  return map.disks.find((disk) => disk.id === id);
}

function checkDisk(disk: DiskEntry): void {
  checkInteger('disk id', disk.id, 1, DISK_ID_MAX);
  checkUuid(disk.uuid);
  checkLocation({ ...disk, bucket: 0 });
  checkInteger(`weight of disk ${disk.id}`, disk.weight, 1, WEIGHT_MAX);
  if (!DISK_STATES.includes(disk.state)) {
    const known = DISK_STATES.join(', ');
    fail(`the state of disk ${disk.id} is "${String(disk.state)}", which is none of ${known}`);
  }
  checkText(`label of disk ${disk.id}`, disk.label);
}

function checkText(name: string, text: string): void {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.toString('utf8') !== text) fail(`the ${name} is not valid Unicode`);
  if (bytes.length > TEXT_BYTES_MAX) {
    fail(`the ${name} has ${bytes.length} bytes, at most ${TEXT_BYTES_MAX} are allowed`);
  }
}

function checkInteger(name: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  fail(`the ${name} is ${value}, allowed are ${min} to ${max}`);
}

function fail(state: string): never {
  throw new DfsError('BAD_ARGUMENT', `Cannot make a diskmap: ${state}`);
}
