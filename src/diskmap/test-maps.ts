/** Maps and keys for the tests of this room. */
import type { DiskId } from '../base/ids.ts';
import { createDiskMap, type DiskEntry, type DiskMap } from './diskmap.ts';

/** A UUID made of a number. */
export function testUuid(number: number): string {
  return `00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`;
}

/** A disk in the first machine, but for what is given. */
export function testDisk(id: number, fields: Partial<DiskEntry> = {}): DiskEntry {
  const place = { room: 1, row: 1, rack: 1, machine: 1, disk: id };
  const rest = { weight: 100, state: 'in', label: `disk ${id}` } as const;
  return { id: id as DiskId, uuid: testUuid(id), ...place, ...rest, ...fields };
}

/** A map of `count` disks with ids from 1, whose fields `fieldsOf(index)` gives. */
export function testMap(
  count: number,
  fieldsOf: (index: number) => Partial<DiskEntry> = () => ({}),
): DiskMap {
  const disks = Array.from({ length: count }, (_, index) => testDisk(index + 1, fieldsOf(index)));
  const rest = { createdAt: 1_700_000_000_000, scheme: 'replica:2', bucketBytes: 2 ** 36 };
  return createDiskMap({ version: 1, volumeUuid: testUuid(0), ...rest, disks });
}

/** Where disk `index` of 10,000 stands: 4 rooms, 10 rows, 10 racks, 5 machines, 5 disks. */
export function largePlace(index: number): Partial<DiskEntry> {
  const digit = (unit: number, size: number): number => (Math.floor(index / unit) % size) + 1;
  const [disk, machine, rack] = [digit(1, 5), digit(5, 5), digit(25, 10)];
  return { disk, machine, rack, row: digit(250, 10), room: digit(2500, 4) };
}

/** Fills one buffer with a key after the other (xorshift128, Marsaglia); the seed is the start. */
export function keysFrom(seed: number): () => Buffer {
  const key = Buffer.alloc(32);
  const state = Uint32Array.of(seed, 362436069, 521288629, 88675123);
  const step = (): number => {
    let t = state[0] as number;
    t ^= t << 11;
    t ^= t >>> 8;
    const w = state[3] as number;
    state.copyWithin(0, 1);
    state[3] = w ^ (w >>> 19) ^ t;
    return state[3];
  };
  for (let round = 0; round < 64; round++) step();
  return () => {
    for (let at = 0; at < 32; at += 4) key.writeUInt32LE(step(), at);
    return key;
  };
}
