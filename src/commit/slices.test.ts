import { expect, it } from 'vitest';
import type { Ino } from '../base/ids.ts';
import type { FileExtents } from '../meta/mod.ts';
import { slicesOf } from './slices.ts';

function file(ino: number, count: number): FileExtents {
  const ranges = Array.from({ length: count }, (_, index) => ({
    offset: index * 8192,
    lengthBytes: 4096,
    chunk: undefined,
    chunkOffset: 0,
  }));
  return { ino: ino as Ino, ranges };
}

it('slicesOf() gives each range once, in order, and no slice has more than asked for', () => {
  const files = [file(1, 3), file(2, 250), file(3, 0), file(4, 97), file(5, 1)];
  const slices = [...slicesOf(files, 100)];
  const counts = slices.map((slice) => slice.reduce((sum, { ranges }) => sum + ranges.length, 0));
  expect(counts).toEqual([100, 100, 100, 51]);
  const joined = new Map<Ino, number[]>();
  for (const { ino, ranges } of slices.flat()) {
    joined.set(ino, [...(joined.get(ino) ?? []), ...ranges.map(({ offset }) => offset)]);
  }
  const given = files.filter(({ ranges }) => ranges.length > 0);
  expect([...joined]).toEqual(given.map(({ ino, ranges }) => [ino, ranges.map((r) => r.offset)]));
});
