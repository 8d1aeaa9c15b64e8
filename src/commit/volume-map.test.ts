import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DiskId } from '../base/ids.ts';
import { createDiskMap, type DiskEntry, type DiskMap } from '../diskmap/mod.ts';
import { countingMap, reconciledMap } from './volume-map.ts';

const UUID = '00000000-0000-4000-8000-000000000000';

function diskOf(id: number, more: Partial<DiskEntry> = {}): DiskEntry {
  const place = { room: 1, row: 1, rack: 1, machine: 1, disk: id };
  const uuid = `${UUID.slice(0, -4)}${String(id).padStart(4, '0')}`;
  return { id: id as DiskId, uuid, ...place, weight: 10, state: 'in', label: '', ...more };
}

function mapOf(version: number, more: { ids?: number[]; createdAt?: number } = {}): DiskMap {
  const { ids = [1, 2, 3], createdAt = 1000 } = more;
  const disks = ids.map((id) => diskOf(id));
  const rest = { volumeUuid: UUID, scheme: 'replica:2', bucketBytes: 1024 };
  return createDiskMap({ version, createdAt, ...rest, disks });
}

describe('the map that counts', () => {
  test('is the newest, wherever it is and however few have it', () => {
    const [old, next] = [mapOf(3), mapOf(4)];
    expect(countingMap({ home: old, disks: [old, next, old] })).toBe(next);
    expect(countingMap({ home: next, disks: [old, undefined, old] })).toBe(next);
    expect(countingMap({ disks: [undefined] })).toBeUndefined();
  });

  test('is, of two of one version, the one on more disks, then the later one', () => {
    const [early, late] = [mapOf(4), mapOf(4, { createdAt: 2000 })];
    expect(countingMap({ home: late, disks: [early, late, early] })).toBe(early);
    expect(countingMap({ home: early, disks: [early, late] })).toBe(late);
  });

  test('does not depend on the order of the disks', () => {
    const some = fc.record({
      version: fc.integer({ min: 1, max: 2 }),
      createdAt: fc.integer({ min: 1, max: 2 }),
      ids: fc.subarray([1, 2], { minLength: 1 }),
    });
    fc.assert(
      fc.property(fc.array(some, { minLength: 1, maxLength: 6 }), fc.nat(), (fields, turn) => {
        const maps = fields.map(({ version, ...more }) => mapOf(version, more));
        const at = turn % maps.length;
        const turned = [...maps.slice(at), ...maps.slice(0, at)].reverse();
        expect(countingMap({ disks: turned })).toEqual(countingMap({ disks: maps }));
      }),
    );
  });
});

describe('a disk that comes back', () => {
  test('changes nothing with an older map, or the same', () => {
    const map = mapOf(5);
    expect(reconciledMap(map, mapOf(4, { ids: [1, 2, 3, 4] }))).toBe(map);
    expect(reconciledMap(map, mapOf(5))).toBe(map);
  });

  test('with another map of this version, or a later one, makes one above both', () => {
    const map = mapOf(5);
    const other = createDiskMap({ ...mapOf(5), scheme: 'replica:3' });
    expect(reconciledMap(map, other)).toEqual({ ...map, version: 6 });
    expect(reconciledMap(map, mapOf(9))).toEqual({ ...map, version: 10 });
  });

  test('adds the disks that only its own map knows', () => {
    const map = mapOf(5);
    const merged = reconciledMap(map, mapOf(6, { ids: [1, 2, 3, 4] }));
    expect(merged.version).toBe(7);
    expect(merged.disks.map(({ id }) => id)).toEqual([1, 2, 3, 4]);
    const clash = { ...mapOf(6), disks: [...mapOf(6).disks, diskOf(4, { disk: 1, rack: 1 })] };
    const inTheWay = { ...clash, disks: clash.disks.filter(({ id }) => id !== 1) };
    expect(reconciledMap(map, createDiskMap(inTheWay))).toEqual({ ...map, version: 7 });
  });
});
