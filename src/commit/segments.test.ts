import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Ino } from '../base/ids.ts';
import { type Interval, IntervalSet } from '../base/interval-set.ts';
import { BLOCK_BYTES, CHUNK_BYTES_MAX } from '../base/limits.ts';
import type { FrozenFile } from './cut-source.ts';
import { batchesOf, segmentsOf } from './segments.ts';

const BLOCKS_MAX = (3 * CHUNK_BYTES_MAX) / BLOCK_BYTES;

const frozenFile: fc.Arbitrary<FrozenFile> = fc
  .record({
    ino: fc.integer({ min: 1, max: 1000 }),
    sizeBytes: fc.nat(3 * CHUNK_BYTES_MAX),
    blocks: fc.array(fc.tuple(fc.nat(BLOCKS_MAX), fc.nat(BLOCKS_MAX / 2)), { maxLength: 6 }),
  })
  .map(({ ino, sizeBytes, blocks }) => {
    const set = new IntervalSet();
    for (const [at, count] of blocks) set.add(at * BLOCK_BYTES, (at + count) * BLOCK_BYTES);
    const where = { path: () => `/cache/${ino}`, descriptor: () => undefined };
    return { ino: ino as Ino, sizeBytes, ranges: [...set], ...where };
  });

test('segments cover the frozen ranges below the end, and nothing else, in order', () => {
  fc.assert(
    fc.property(frozenFile, (file) => {
      const covered: Interval[] = [];
      for (const { ino, path, offset, lengthBytes } of segmentsOf([file])) {
        expect([ino, path]).toEqual([file.ino, file.path()]);
        expect(lengthBytes).toBeGreaterThan(0);
        expect(offset % BLOCK_BYTES).toBe(0);
        const chunk = Math.floor(offset / CHUNK_BYTES_MAX);
        expect(Math.floor((offset + lengthBytes - 1) / CHUNK_BYTES_MAX)).toBe(chunk);
        const last = covered.at(-1);
        if (last !== undefined && last.end === offset) last.end += lengthBytes;
        else covered.push({ start: offset, end: offset + lengthBytes });
      }
      const wanted = file.ranges
        .map(({ start, end }) => ({ start, end: Math.min(end, file.sizeBytes) }))
        .filter(({ start, end }) => start < end);
      expect(covered).toEqual(wanted);
    }),
  );
});

test('batches hold every segment once, in order, none of more than 4 MiB', () => {
  fc.assert(
    fc.property(fc.array(frozenFile, { maxLength: 5 }), (files) => {
      const batches = [...batchesOf(segmentsOf(files))];
      expect(batches.flat()).toEqual([...segmentsOf(files)]);
      for (const batch of batches) {
        const bytes = batch.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
        expect(batch.length).toBeGreaterThan(0);
        expect(bytes).toBeLessThanOrEqual(CHUNK_BYTES_MAX);
      }
    }),
  );
});

test('many small files share a batch, up to a number of them', () => {
  const files = Array.from({ length: 1000 }, (_, at) => ({
    ino: (at + 1) as Ino,
    sizeBytes: 1,
    ranges: [{ start: 0, end: BLOCK_BYTES }],
    path: () => '/cache/x',
    descriptor: () => undefined,
  }));
  expect([...batchesOf(segmentsOf(files))].map(({ length }) => length)).toEqual([
    256, 256, 256, 232,
  ]);
});
