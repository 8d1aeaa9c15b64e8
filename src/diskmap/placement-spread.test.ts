/** Statistics of the placement; keys are fixed, so the same figures come out every time. */
import { describe, expect, it } from 'vitest';
import { type DiskEntry, type DiskMap, withDisk } from './diskmap.ts';
import { sharesOf } from './inclusion.ts';
import { createPlacer } from './placement.ts';
import { keysFrom, largePlace, testDisk, testMap } from './test-maps.ts';

const CHUNKS = 1_000_000;

function countPieces(map: DiskMap, count: number, chunks: number): Float64Array {
  const pieces = new Float64Array((map.disks.at(-1)?.id ?? 0) + 1);
  const placer = createPlacer(map);
  const nextKey = keysFrom(2026);
  for (let chunk = 0; chunk < chunks; chunk++) {
    for (const placement of placer.place(nextKey(), count)) {
      const id = placement?.disk.id ?? 0;
      pieces[id] = (pieces[id] as number) + 1;
    }
  }
  return pieces;
}

/** The largest relative distance of a disk from its share of the pieces. */
function worstError(map: DiskMap, count: number, chunks: number = CHUNKS): number {
  const pieces = countPieces(map, count, chunks);
  const shares = sharesOf(
    map.disks.map((disk) => disk.weight),
    count,
  );
  const errors = map.disks.map((disk, index) => {
    return Math.abs((pieces[disk.id] as number) / (chunks * (shares[index] as number)) - 1);
  });
  return Math.max(...errors);
}

/**
 * Disks that hold a piece they did not hold, for each piece that the new disk got. What the new
 * disk got is checked against its share by itself: both have the same chance errors, so their
 * ratio is exact with few chunks, where moves over the ideal would mostly measure luck.
 */
function movedOverGained(
  map: DiskMap,
  disk: DiskEntry,
  run: { count: number; chunks: number },
): number {
  const { count, chunks } = run;
  const [before, after] = [createPlacer(map), createPlacer(withDisk(map, disk))];
  const nextKey = keysFrom(77);
  let moved = 0;
  let gained = 0;
  for (let chunk = 0; chunk < chunks; chunk++) {
    const key = nextKey();
    const old = before.place(key, count).map((one) => one?.disk.id);
    for (const one of after.place(key, count)) {
      if (!old.includes(one?.disk.id)) moved++;
      if (one?.disk.id === disk.id) gained++;
    }
  }
  const total = map.disks.reduce((sum, one) => sum + one.weight, disk.weight);
  const share = (chunks * count * disk.weight) / total;
  // Four deviations of chance, and the half percent to which shares are met.
  expect(Math.abs(gained - share)).toBeLessThan(4 * Math.sqrt(share) + 0.005 * share);
  return moved / gained;
}

describe('a million chunks', () => {
  it.each([1, 2])('lie within 2% of the weights on 3 equal disks, %i pieces each', (count) => {
    expect(worstError(testMap(3), count, (CHUNKS * count) / 2)).toBeLessThan(0.02);
  });

  it.each([
    [1, [10, 25, 60]],
    [2, [40, 30, 25]],
    [2, [90, 30, 20]],
  ])('lie within 2% of their possible shares: %i pieces on disks of %j', (count, weights) => {
    const map = testMap(3, (index) => ({ weight: weights[index] ?? 1 }));
    expect(worstError(map, count, 300_000)).toBeLessThan(0.02);
  });

  it.each([1, 2, 3])('lie within 2% of the weights on 30 uneven disks, %i pieces', (count) => {
    const map = testMap(30, (index) => ({ weight: 70 + ((index * 37) % 100) }));
    expect(worstError(map, count, CHUNKS / count)).toBeLessThan(0.02);
  });

  it('lie within 2% in every room and row, and by chance on each of 10,000 disks', () => {
    const map = testMap(10_000, (index) => ({ ...largePlace(index) }));
    const count = 3;
    const pieces = countPieces(map, count, CHUNKS);
    const mean = (CHUNKS * count) / 10_000;
    const rows = new Map<string, number>();
    let chiSquare = 0;
    for (const disk of map.disks) {
      const held = pieces[disk.id] as number;
      chiSquare += (held - mean) ** 2 / mean;
      for (const name of [`room ${disk.room}`, `row ${disk.room}.${disk.row}`]) {
        rows.set(name, (rows.get(name) ?? 0) + held);
      }
    }
    // About 9,999 with a deviation of 141.
    expect(chiSquare).toBeLessThan(9_999 + 5 * 141);
    for (const [name, held] of rows) {
      const share = CHUNKS * count * (name.startsWith('room') ? 1 / 4 : 1 / 40);
      expect(Math.abs(held / share - 1), name).toBeLessThan(0.02);
    }
  });
});

describe('a new disk', () => {
  it.each([1, 2, 3])('moves at most 1.1 of its share beside 3 disks, %i pieces', (count) => {
    const run = { count, chunks: 50_000 };
    expect(movedOverGained(testMap(3), testDisk(4), run)).toBeLessThan(1.1);
  });

  it.each([1, 2, 3])('moves at most 1.1 of its share beside 30 uneven ones, %i pieces', (count) => {
    const map = testMap(30, (index) => ({ weight: 70 + ((index * 37) % 100) }));
    const run = { count, chunks: 100_000 };
    expect(movedOverGained(map, testDisk(31, { weight: 160 }), run)).toBeLessThan(1.1);
  });

  it.each([1, 2, 3])('moves at most 1.1 of its share beside 10,000, %i pieces', (count) => {
    const map = testMap(10_000, largePlace);
    const place = { room: 2, row: 3, rack: 4, machine: 2, disk: 9 };
    const disk = testDisk(10_001, { ...place, weight: 1_000 });
    expect(movedOverGained(map, disk, { count, chunks: 300_000 / count })).toBeLessThan(1.1);
  });
});
