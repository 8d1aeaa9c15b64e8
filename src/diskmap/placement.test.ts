import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DiskEntry, DiskMap, DiskState } from './diskmap.ts';
import { createDiskMap, presentDisks, withDisk } from './diskmap.ts';
import { decodeDiskMap } from './diskmap-reader.ts';
import { nodeName } from './failure-domain.ts';
import { createPlacer, type Placement } from './placement.ts';
import { keysFrom, largePlace, testDisk, testMap } from './test-maps.ts';

interface Golden {
  readonly name: string;
  readonly map: string;
  readonly places: readonly { key: string; count: number; at: readonly string[] }[];
}

/** Larger maps, whose placements in version 1 are known by their SHA-256. */
const digests: readonly [string, DiskMap, string][] = [
  ['10,000 disks in 4 rooms', testMap(10_000, largePlace), '831df374e9724e9d0ed77ef45a9ad724'],
  [
    '3,000 uneven disks, a twelfth out',
    testMap(3_000, (index) => {
      const state = index % 12 === 5 ? 'failed' : 'in';
      return { ...largePlace(index), weight: 1 + ((index * 7919) % 300), state };
    }),
    '3a194e8099567e64b023934f1cd96925',
  ],
  [
    '12 uneven disks in 3 machines',
    testMap(12, (index) => ({ machine: 1 + (index % 3), weight: 16 + ((index * 37) % 100) })),
    '3c627cbf8fc15037e72ce40c8a6eb4b2',
  ],
  [
    'one disk far above 99 others',
    testMap(100, (index) => ({ weight: index === 40 ? 20_000 : 3 })),
    '693bf4dd37221e258b6f30f1539d009e',
  ],
];

const goldenUrl = new URL('../../test/golden/placement-v1.json', import.meta.url);
const goldens = JSON.parse(readFileSync(goldenUrl, 'utf8')) as Golden[];

function text(placements: readonly (Placement | undefined)[]): string[] {
  return placements.map((one) => (one === undefined ? '-' : `${one.disk.id}/${one.bucket}`));
}

function idsOf(placements: readonly (Placement | undefined)[]): number[] {
  return placements.map((one) => one?.disk.id ?? 0);
}

function distinct(disks: readonly DiskEntry[], level: Parameters<typeof nodeName>[1]): number {
  return new Set(disks.map((disk) => nodeName(disk, level))).size;
}

/** Trees of all shapes with up to 24 disks, some of them out. */
const anyMap: fc.Arbitrary<DiskMap> = fc
  .array(
    fc.record({
      room: fc.integer({ min: 1, max: 3 }),
      rack: fc.integer({ min: 1, max: 2 }),
      machine: fc.integer({ min: 1, max: 3 }),
      weight: fc.integer({ min: 1, max: 50 }),
      state: fc.constantFrom<DiskState>('in', 'in', 'in', 'in', 'failed', 'draining', 'removed'),
    }),
    { minLength: 1, maxLength: 24 },
  )
  .map((fields) => testMap(fields.length, (index) => fields[index] ?? {}));

const anyKey = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));
const anyCount = fc.integer({ min: 1, max: 8 });

describe('place()', () => {
  it.each(goldens)('gives what it gave in version 1: $name', ({ map, places }) => {
    const placer = createPlacer(decodeDiskMap(Buffer.from(map, 'base64')));
    for (const { key, count, at } of places) {
      expect(text(placer.place(Buffer.from(key, 'hex'), count))).toEqual(at);
    }
  });

  it.each(digests)('gives what it gave in version 1, in short: %s', (_, map, digest) => {
    const placer = createPlacer(map);
    const hash = createHash('sha256');
    const nextKey = keysFrom(404);
    for (let round = 0; round < 300; round++) {
      const usable = round % 3 === 0 ? (disk: DiskEntry): boolean => disk.id % 7 !== 3 : undefined;
      for (const count of [1, 2, 3, 6, 14]) {
        hash.update(`${text(placer.place(nextKey(), count, usable)).join()}\n`);
      }
    }
    expect(hash.digest('hex').slice(0, 32)).toBe(digest);
  });

  it('gives each piece a disk of its own as long as there are disks that are in', () => {
    fc.assert(
      fc.property(anyMap, anyKey, anyCount, (map, key, count) => {
        const placements = createPlacer(map).place(key, count);
        const found = placements.filter((one) => one !== undefined);
        const live = map.disks.filter((disk) => disk.state === 'in').length;
        expect(placements.length).toBe(count);
        expect(found.length).toBe(Math.min(count, live));
        expect(new Set(found.map((one) => one.disk.id)).size).toBe(found.length);
        for (const { disk, bucket } of found) {
          expect(disk.state).toBe('in');
          expect(bucket >= 1 && bucket <= disk.weight).toBe(true);
        }
      }),
    );
  });

  it('keeps to what spread() promises', () => {
    fc.assert(
      fc.property(anyMap, anyKey, anyCount, (map, key, count) => {
        const placer = createPlacer(map);
        const placements = placer.place(key, count);
        const disks = placements.flatMap((one) => (one === undefined ? [] : [one.disk]));
        const { domain, most } = placer.spread(count);
        expect(distinct(disks, domain)).toBe(disks.length);
        for (const { level, pieces } of most) {
          const names = disks.map((disk) => nodeName(disk, level));
          for (const name of names) {
            expect(names.filter((other) => other === name).length).toBeLessThanOrEqual(pieces);
          }
        }
      }),
    );
  });

  it('does as if removed disks had never been, and treats failed and draining ones alike', () => {
    fc.assert(
      fc.property(anyMap, anyKey, anyCount, (map, key, count) => {
        const at = text(createPlacer(map).place(key, count));
        const without = createDiskMap({ ...map, disks: presentDisks(map) });
        expect(text(createPlacer(without).place(key, count))).toEqual(at);
        const disks = map.disks.map((disk): DiskEntry => {
          const { state } = disk;
          if (state === 'failed') return { ...disk, state: 'draining' };
          return state === 'draining' ? { ...disk, state: 'failed' } : disk;
        });
        const swapped = createPlacer(createDiskMap({ ...map, disks }));
        expect(text(swapped.place(key, count))).toEqual(at);
      }),
    );
  });

  it('moves only the piece of a disk that is not usable', () => {
    fc.assert(
      fc.property(anyMap, anyKey, anyCount, fc.nat(), (map, key, count, pick) => {
        const placer = createPlacer(map);
        const before = idsOf(placer.place(key, count));
        const found = before.filter((id) => id !== 0);
        const gone = found[pick % Math.max(found.length, 1)];
        const disk = map.disks.find((one) => one.id === gone);
        if (disk === undefined) return;
        const after = idsOf(placer.place(key, count, (other) => other.id !== gone));
        after.forEach((id, at) => {
          if (before[at] === gone || before[at] === 0) expect(id).not.toBe(gone);
          else expect(id).toBe(before[at]);
        });
        const live = map.disks.filter((one) => one.state === 'in').length;
        expect(after.filter((id) => id !== 0).length).toBe(Math.min(count, live - 1));
      }),
    );
  });

  it('moves only the pieces of a disk that goes out, when weights are equal', () => {
    const map = testMap(12, (index) => ({ machine: (index % 6) + 1 }));
    const before = createPlacer(map);
    const after = createPlacer(withDisk(map, testDisk(5, { machine: 5, state: 'failed' })));
    const nextKey = keysFrom(11);
    for (let round = 0; round < 3000; round++) {
      const key = nextKey();
      const old = idsOf(before.place(key, 6));
      const now = idsOf(after.place(key, 6));
      old.forEach((id, at) => {
        if (id === 5) expect(now[at]).not.toBe(5);
        else expect(now[at]).toBe(id);
      });
    }
  });

  it('finds places in the rooms that are left when a whole room is not usable', () => {
    const placer = createPlacer(testMap(9, (index) => ({ room: (index % 3) + 1 })));
    const nextKey = keysFrom(3);
    for (let round = 0; round < 200; round++) {
      const disks = placer.place(nextKey(), 3, (disk) => disk.room !== 2);
      expect(new Set(disks.map((one) => one?.disk.id)).size).toBe(3);
      expect(disks.every((one) => one !== undefined && one.disk.room !== 2)).toBe(true);
    }
  });

  it('does not depend on the order of the disks, their labels or the version', () => {
    const map = testMap(30, (index) => ({ weight: 10 + index, machine: (index % 5) + 1 }));
    const disks = map.disks.map((disk) => ({ ...disk, label: 'x' })).reverse();
    const [one, two] = [createPlacer(map), createPlacer({ ...map, version: 9, disks })];
    const nextKey = keysFrom(4);
    for (let round = 0; round < 300; round++) {
      const key = nextKey();
      expect(text(two.place(key, 3))).toEqual(text(one.place(key, 3)));
    }
  });

  it('refuses a key that is no hash and a count out of range', () => {
    const placer = createPlacer(testMap(3));
    expect(() => placer.place(Buffer.alloc(31), 1)).toThrow(/31 of 32 bytes/);
    expect(() => placer.place(Buffer.alloc(32), 0)).toThrow(/Cannot place 0 pieces/);
    expect(() => placer.place(Buffer.alloc(32), 256)).toThrow(/1 to 255/);
  });

  it('places nothing on a map without disks', () => {
    expect(createPlacer(testMap(0)).place(Buffer.alloc(32), 2)).toEqual([undefined, undefined]);
  });
});

describe('spread()', () => {
  const spreadOf = (map: DiskMap, count: number): string => {
    const { domain, most } = createPlacer(map).spread(count);
    return [...most.map(({ level, pieces }) => `${pieces} a ${level}`), domain].join(', ');
  };

  it.each([
    ['rooms, when there are as many', 12, { room: 4 }, 3, 'room'],
    [
      'two pieces a room and different racks, when rooms are few',
      24,
      { room: 3, rack: 4 },
      6,
      '2 a room, row',
    ],
    ['machines in a single room', 12, { machine: 4 }, 4, 'machine'],
    [
      'two pieces a machine, when there are three for six',
      12,
      { machine: 3 },
      6,
      '2 a machine, disk',
    ],
    ['disks of the only machine', 3, {}, 2, 'disk'],
  ] as const)('separates by %s', (_, count, sizes, pieces, expected) => {
    const map = testMap(count, (index) => {
      const room = 'room' in sizes ? (index % sizes.room) + 1 : 1;
      const rest = 'room' in sizes ? Math.floor(index / sizes.room) : index;
      const row = 'rack' in sizes ? (rest % sizes.rack) + 1 : 1;
      return { room, row, machine: 'machine' in sizes ? (rest % sizes.machine) + 1 : 1 };
    });
    expect(spreadOf(map, pieces)).toBe(expected);
  });

  it('gives up rooms when different rooms would waste more than half of the volume', () => {
    const roomy = (weights: readonly number[]): DiskMap => {
      return testMap(6, (index) => ({
        room: (index % 3) + 1,
        weight: weights[index % 3] ?? 1,
      }));
    };
    expect(spreadOf(roomy([100, 80, 60]), 3)).toBe('room');
    expect(spreadOf(roomy([100, 50, 1]), 3)).not.toBe('room');
  });
});
