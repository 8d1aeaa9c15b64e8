import { createHash } from 'node:crypto';
import type { DiskId } from '../../src/base/ids.ts';
import { createDiskMap, type DiskEntry, type DiskMap } from '../../src/diskmap/mod.ts';

/** A cluster made up for a simulation. */
export interface Cluster {
  readonly disks: number;
  readonly rooms: number;
  /** Four sizes of disks, 1 : 2 : 3 : 4, instead of one. */
  readonly isUneven: boolean;
}

const DISKS_PER_MACHINE = 5;
const MACHINES_PER_RACK = 5;
const RACKS_PER_ROW = 10;
/** Buckets of a disk of 6.4 TB. */
const WEIGHT = 100;

function uuidOf(id: number): string {
  return `00000000-0000-4000-8000-${id.toString(16).padStart(12, '0')}`;
}

/** A disk at a place, with its size. */
export function makeDisk(
  id: number,
  place: Pick<DiskEntry, 'room' | 'row' | 'rack' | 'machine' | 'disk'>,
  weight: number = WEIGHT,
): DiskEntry {
  const rest = { uuid: uuidOf(id), weight, state: 'in', label: '' } as const;
  return { id: id as DiskId, ...place, ...rest };
}

/** The map of a cluster: every room has the same number of disks, or one less. */
export function makeCluster(cluster: Cluster): DiskMap {
  const { disks, rooms, isUneven } = cluster;
  const entries = Array.from({ length: disks }, (_, index) => {
    // Disks of one machine have ids in a row, as they do where machines are bought one by one.
    const perRoom = Math.ceil(disks / rooms);
    const inRoom = index % perRoom;
    const machine = Math.floor(inRoom / DISKS_PER_MACHINE);
    const rack = Math.floor(machine / MACHINES_PER_RACK);
    const place = {
      room: Math.floor(index / perRoom) + 1,
      row: Math.floor(rack / RACKS_PER_ROW) + 1,
      rack: (rack % RACKS_PER_ROW) + 1,
      machine: (machine % MACHINES_PER_RACK) + 1,
      disk: (inRoom % DISKS_PER_MACHINE) + 1,
    };
    return makeDisk(index + 1, place, isUneven ? (WEIGHT / 2) * (1 + (index % 4)) : WEIGHT);
  });
  const rest = { version: 1, createdAt: 1, scheme: '', bucketBytes: 2 ** 36 };
  return createDiskMap({ ...rest, volumeUuid: uuidOf(0), disks: entries });
}

/** The disks of the node that the disk stands in: its room, row, rack or machine. */
export function nodeOf(disk: DiskEntry, level: string): string {
  const path = { room: 1, row: 2, rack: 3, machine: 4, disk: 5 }[level] ?? 5;
  const { room, row, rack, machine } = disk;
  return [room, row, rack, machine, disk.disk].slice(0, path).join('.');
}

/** Fills one buffer with the keys of a seed, one after the other (xorshift128, Marsaglia). */
export function keysOf(seed: number): () => Buffer {
  const key = Buffer.alloc(32);
  const words = new Int32Array(key.buffer, key.byteOffset, 8);
  const digest = createHash('sha256').update(`keys ${seed}`).digest();
  let [x, y, z, w] = [0, 4, 8, 12].map((at) => digest.readInt32LE(at)) as [
    number,
    number,
    number,
    number,
  ];
  return () => {
    for (let word = 0; word < 8; word++) {
      let t = x ^ (x << 11);
      t ^= t >>> 8;
      [x, y, z] = [y, z, w];
      w = w ^ (w >>> 19) ^ t;
      words[word] = w;
    }
    return key;
  };
}
