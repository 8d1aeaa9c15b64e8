import Database from 'better-sqlite3';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ChunkId, Ino } from '../base/ids.ts';
import { ExtentTable } from './extent-table.ts';
import { STATE_SCHEMA } from './schema.ts';

const FILE_BYTES = 60;
const CHUNKS = 5;
const INO = 7 as Ino;
const OTHER = 8 as Ino;
const chunkOf = (index: number): ChunkId => Buffer.alloc(32, index) as ChunkId;

/** What stands at an offset: which byte of which chunk. */
type Place = { chunk: number; at: number } | undefined;

type Step =
  | { do: 'replace'; offset: number; length: number; chunk: number | undefined; at: number }
  | { do: 'cut'; size: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('replace' as const),
      offset: fc.nat(FILE_BYTES - 1),
      length: fc.integer({ min: 1, max: FILE_BYTES / 2 }),
      chunk: fc.option(fc.nat(CHUNKS - 1), { nil: undefined, freq: 4 }),
      at: fc.nat(1000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('cut' as const), size: fc.nat(FILE_BYTES) }),
  },
);

test('an extent table holds what an array of bytes would, and counts its references', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 30 }),
      fc.nat(FILE_BYTES * 2),
      fc.boolean(),
      (steps, probe, isMade) => {
        const db = new Database(':memory:');
        db.exec(STATE_SCHEMA);
        const refs = new Array<number>(CHUNKS).fill(0);
        const table = new ExtentTable(db, (chunk, delta) => {
          const index = chunk.readUInt8();
          refs[index] = (refs[index] ?? 0) + delta;
          expect(refs[index]).toBeGreaterThanOrEqual(0);
        });
        const whole = { offset: 0, lengthBytes: 1000, chunk: chunkOf(0), chunkOffset: 0 };
        table.replace(OTHER, [whole]);
        if (isMade) table.made(INO);
        const model = new Array<Place>(FILE_BYTES * 2).fill(undefined);
        for (const one of steps) apply(table, model, one);
        check(table, model, probe);
        expect(rowsWithoutCounting(steps)).toEqual(allOf(table, INO));
        const uses = new Array<number>(CHUNKS).fill(0);
        for (const { chunk } of [...allOf(table, INO), whole]) {
          const index = chunk.readUInt8();
          uses[index] = (uses[index] ?? 0) + 1;
        }
        expect(refs).toEqual(uses);
        expect(allOf(table, OTHER)).toEqual([whole]);
        table.cutAt(INO, 0);
        table.cutAt(OTHER, 0);
        expect(refs.every((count) => count === 0)).toBe(true);
        db.close();
      },
    ),
    { numRuns: 150 },
  );
});

function apply(table: ExtentTable, model: Place[], step: Step): void {
  if (step.do === 'cut') {
    table.cutAt(INO, step.size);
    model.fill(undefined, step.size);
    return;
  }
  const { offset, length: lengthBytes, chunk, at } = step;
  const id = chunk === undefined ? undefined : chunkOf(chunk);
  table.replace(INO, [{ offset, lengthBytes, chunk: id, chunkOffset: id ? at : 0 }]);
  for (let index = 0; index < lengthBytes; index++) {
    model[offset + index] = chunk === undefined ? undefined : { chunk, at: at + index };
  }
}

function check(table: ExtentTable, model: Place[], probe: number): void {
  const found = new Array<Place>(model.length).fill(undefined);
  let end = 0;
  for (const { offset, lengthBytes, chunk, chunkOffset } of allOf(table, INO)) {
    expect(offset).toBeGreaterThanOrEqual(end);
    expect(lengthBytes).toBeGreaterThan(0);
    end = offset + lengthBytes;
    for (let index = 0; index < lengthBytes; index++) {
      found[offset + index] = { chunk: chunk.readUInt8(), at: chunkOffset + index };
    }
  }
  expect(found).toEqual(model);
  const next = model.findIndex((place, at) => at >= probe && place !== undefined);
  expect(table.nextData(INO, probe)).toBe(next < 0 ? undefined : next);
  const touching = allOf(table, INO).filter(
    (extent) => extent.offset < probe + 10 && probe < extent.offset + extent.lengthBytes,
  );
  expect(table.overlapping(INO, probe, probe + 10)).toEqual(touching);
  const begun = allOf(table, INO).filter(({ offset }) => offset >= probe && offset < probe + 20);
  expect(table.countInside(INO, probe, probe + 20)).toBe(begun.length);
}

function allOf(table: ExtentTable, ino: Ino): ReturnType<ExtentTable['overlapping']> {
  return table.overlapping(ino, 0, Number.MAX_SAFE_INTEGER);
}

test('a range without a chunk erases, at both ends to the byte', () => {
  const db = new Database(':memory:');
  db.exec(STATE_SCHEMA);
  const table = new ExtentTable(db);
  const chunk = chunkOf(1);
  table.replace(INO, [{ offset: 10, lengthBytes: 100, chunk, chunkOffset: 5 }]);
  table.replace(INO, [{ offset: 20, lengthBytes: 30, chunk: undefined, chunkOffset: 0 }]);
  expect(allOf(table, INO)).toEqual([
    { offset: 10, lengthBytes: 10, chunk, chunkOffset: 5 },
    { offset: 50, lengthBytes: 60, chunk, chunkOffset: 45 },
  ]);
  db.close();
});

test('a file of 200,000 extents is cut and laid over in a few statements', () => {
  const db = new Database(':memory:');
  db.exec(STATE_SCHEMA);
  const table = new ExtentTable(db);
  const count = 200_000;
  const range = { lengthBytes: 1, chunk: chunkOf(1), chunkOffset: 0 };
  table.replace(
    INO,
    Array.from({ length: count }, (_, index) => ({ offset: index * 2, ...range })),
  );
  const changes = (): number => (db.prepare('select total_changes()').raw().get() as [number])[0];
  const before = changes();
  table.replace(INO, [
    { offset: 11, lengthBytes: 2 * count - 21, chunk: undefined, chunkOffset: 0 },
  ]);
  expect(allOf(table, INO).map(({ offset }) => offset)).toEqual([
    0,
    2,
    4,
    6,
    8,
    10,
    2 * count - 10,
    2 * count - 8,
    2 * count - 6,
    2 * count - 4,
    2 * count - 2,
  ]);
  expect(changes() - before).toBe(count - 11);
  table.cutAt(INO, 5);
  expect(allOf(table, INO).map(({ offset }) => offset)).toEqual([0, 2, 4]);
});

/** The same steps where nobody counts references. */
function rowsWithoutCounting(steps: Step[]): ReturnType<typeof allOf> {
  const db = new Database(':memory:');
  db.exec(STATE_SCHEMA);
  const table = new ExtentTable(db);
  const model = new Array<Place>(FILE_BYTES * 2).fill(undefined);
  for (const one of steps) apply(table, model, one);
  return allOf(table, INO);
}
