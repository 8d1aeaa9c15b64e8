import { pbkdf2, pbkdf2Sync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Ino } from '../../src/base/ids.ts';
import type { FrozenFile } from '../../src/commit/mod.ts';
import { batchesOf, type Segment, segmentsOf } from '../../src/commit/segments.ts';
import type { FileExtents } from '../../src/meta/mod.ts';
import { BLOCK, bytesOf, CacheRig } from './fixture.ts';

const RUNS = 60;
const FILES = 3;
const BLOCKS = 6;

function rigOf(): CacheRig {
  const rig = new CacheRig();
  onTestFinished(() => rig.close());
  return rig;
}

/** The segments of a cut, one block each, so that changes fall between their captures. */
function smallSegments(cut: ReturnType<CacheRig['cut']>): Segment[] {
  return [...segmentsOf(cut.frozen)].flatMap((segment) => {
    const parts: Segment[] = [];
    for (let at = 0; at < segment.lengthBytes; at += BLOCK) {
      const lengthBytes = Math.min(BLOCK, segment.lengthBytes - at);
      parts.push({ ...segment, offset: segment.offset + at, lengthBytes });
    }
    return parts;
  });
}

type Step =
  | { do: 'write'; file: number; offset: number; length: number; seed: number }
  | { do: 'truncate'; file: number; size: number }
  | { do: 'drop'; file: number }
  | { do: 'read'; file: number }
  | { do: 'capture'; segment: number };

const fileIndex = fc.nat(FILES - 1);
const change: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      file: fileIndex,
      offset: fc.nat(BLOCKS * BLOCK),
      length: fc.integer({ min: 1, max: 2 * BLOCK }),
      seed: fc.nat(255),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('truncate' as const),
      file: fileIndex,
      size: fc.oneof(fc.constant(0), fc.nat(BLOCKS * BLOCK)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const), file: fileIndex }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('read' as const), file: fileIndex }) },
);
const capture: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('capture' as const),
  segment: fc.nat(FILES * BLOCKS * 2),
});

/** The files of a rig beside what they must hold. */
class Model {
  readonly rig: CacheRig;
  readonly inos: Ino[];
  readonly contents: Map<Ino, Buffer>;

  constructor(rig: CacheRig) {
    this.rig = rig;
    this.inos = Array.from({ length: FILES }, () => rig.file().ino);
    this.contents = new Map(this.inos.map((ino) => [ino, Buffer.alloc(0)]));
  }

  async doAll(steps: Step[]): Promise<void> {
    for (const step of steps) if (step.do !== 'capture') await this.do(step);
  }

  async do(step: Exclude<Step, { do: 'capture' }>): Promise<void> {
    const ino = this.inos[step.file];
    const content = ino === undefined ? undefined : this.contents.get(ino);
    if (ino === undefined || content === undefined) return;
    if (step.do === 'drop') {
      this.rig.drop(ino);
      this.contents.delete(ino);
    } else if (step.do === 'truncate') {
      await this.rig.truncate(ino, step.size);
      const cut = Buffer.alloc(step.size);
      content.copy(cut);
      this.contents.set(ino, cut);
    } else if (step.do === 'write') {
      const data = bytesOf(step.seed, step.length);
      expect(await this.rig.write(ino, step.offset, data)).toBe(data.length);
      const grown = Buffer.alloc(Math.max(content.length, step.offset + data.length));
      content.copy(grown);
      data.copy(grown, step.offset);
      this.contents.set(ino, grown);
    } else await this.check(ino);
  }

  async check(ino: Ino): Promise<void> {
    const content = this.contents.get(ino);
    if (content === undefined) return;
    expect(this.rig.inode(ino).sizeBytes).toBe(content.length);
    expect((await this.rig.content(ino)).equals(content)).toBe(true);
  }

  async checkAll(): Promise<void> {
    for (const ino of this.inos) await this.check(ino);
  }
}

describe('a cut', () => {
  test('is what the files were, whatever changes between its captures', async () => {
    const rig = rigOf();
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { maxLength: 10 }),
        fc.array(change, { minLength: 1, maxLength: 10 }),
        fc.array(change, { maxLength: 5 }),
        fc.array(fc.oneof(change, capture), { maxLength: 40 }),
        fc.boolean(),
        async (committed, before, unasked, during, isPublished) => {
          const model = new Model(rig);
          await model.doAll(committed);
          await rig.commit();
          await rig.crash({ keepClean: false });
          await model.doAll(before);
          const then = new Map(model.contents);
          const cut = rig.cut();
          expect(rig.cache.dirtyBytes).toBe(0);
          await model.doAll(unasked);
          const left = smallSegments(cut);
          const files: FileExtents[] = [];
          for (const step of during) {
            if (step.do !== 'capture') await model.do(step);
            else if (left.length > 0) {
              files.push(...(await rig.store(left.splice(step.segment % left.length, 1))));
            }
          }
          for (const segment of left) files.push(...(await rig.store([segment])));
          checkCut(rig, cut, files, then);
          if (isPublished) rig.publish(cut, files);
          else rig.abandon();
          await model.checkAll();
          await rig.commit();
          await rig.crash({ keepClean: false });
          await model.checkAll();
          for (const ino of model.contents.keys()) rig.drop(ino);
          expect([rig.cache.dirtyBytes, rig.cache.frozenBytes]).toEqual([0, 0]);
          expect(rig.cache.cachedBytes).toBe(0);
        },
      ),
      { numRuns: RUNS },
    );
  });

  test('that was abandoned is dirty again, with the newest bytes', async () => {
    const rig = rigOf();
    const { ino } = rig.file();
    await rig.write(ino, 0, bytesOf(1, 3 * BLOCK));
    rig.cut();
    const newest = bytesOf(2, BLOCK);
    await rig.write(ino, BLOCK, newest);
    rig.abandon();
    expect(rig.cache.dirtyBytes).toBe(3 * BLOCK);
    const expected = await rig.content(ino);
    expect(expected.subarray(BLOCK, 2 * BLOCK).equals(newest)).toBe(true);
    const cut = rig.cut();
    const files = await rig.store([...segmentsOf(cut.frozen)]);
    expect(rig.contentOf(files, ino, 3 * BLOCK).equals(expected)).toBe(true);
  });

  test('does not lose its files to the removal of the last one', async () => {
    const rig = rigOf();
    const [saved, emptied] = [rig.file().ino, rig.file().ino];
    for (const ino of [saved, emptied]) await rig.write(ino, 0, bytesOf(1, BLOCK));
    const first = rig.cut();
    await rig.write(saved, 0, bytesOf(2, BLOCK));
    await rig.truncate(emptied, 0);
    const files = await rig.store([...segmentsOf(first.frozen)]);
    await rig.write(emptied, 0, bytesOf(2, BLOCK));
    // The threads that remove files have other things to do for a while.
    const busy = Array.from(
      { length: 8 },
      () =>
        new Promise<void>((resolve) => pbkdf2('x', 'y', 200_000, 64, 'sha512', () => resolve())),
    );
    rig.publish(first, files);
    const second = rig.cut();
    await rig.write(saved, 0, bytesOf(3, BLOCK));
    await rig.truncate(emptied, 0);
    await Promise.all(busy);
    pbkdf2Sync('x', 'y', 100_000, 64, 'sha512');
    const again = await rig.store([...segmentsOf(second.frozen)]);
    for (const ino of [saved, emptied]) {
      expect(rig.contentOf(again, ino, BLOCK).equals(bytesOf(2, BLOCK))).toBe(true);
    }
  });

  test('takes no work for its files: they are frozen when somebody needs them, or asked for', async () => {
    const rig = rigOf();
    const files = Array.from({ length: 10 }, () => rig.file());
    const [changed, dropped] = files.map(({ ino }) => ino) as [Ino, Ino];
    for (const { ino } of files) await rig.write(ino, 0, bytesOf(1, BLOCK));
    rig.cut();
    await rig.write(changed, BLOCK, bytesOf(2, BLOCK));
    rig.drop(dropped);
    const told: FrozenFile[][] = [];
    do told.push(rig.cache.frozen(3));
    while (told.at(-1)?.length !== 0);
    expect(told.map((some) => some.length)).toEqual([3, 3, 3, 1, 0]);
    expect(told.flat().map(({ sizeBytes }) => sizeBytes)).toEqual(files.map(() => BLOCK));
    expect(new Set(told.flat().map(({ ino }) => ino)).size).toBe(10);
    expect([rig.cache.dirtyBytes, rig.cache.frozenBytes]).toEqual([BLOCK, 10 * BLOCK]);
    const turns: boolean[] = [];
    do turns.push(rig.cache.abandoned(4));
    while (turns.at(-1));
    expect(turns).toEqual([true, true, false]);
    expect(rig.cache.dirtyBytes).toBe(10 * BLOCK);
  });

  test('counts as frozen until it is published, and new writes as dirty', async () => {
    const rig = rigOf();
    const { ino } = rig.file();
    await rig.write(ino, 0, bytesOf(1, 3 * BLOCK));
    const cut = rig.cut();
    expect([rig.cache.dirtyBytes, rig.cache.frozenBytes]).toEqual([0, 3 * BLOCK]);
    await rig.write(ino, 0, Buffer.from('x'));
    expect(rig.cache.uncommittedBytes(ino)).toEqual({ dirty: BLOCK, frozen: 3 * BLOCK });
    const files = await rig.store([...segmentsOf(cut.frozen)]);
    rig.publish(cut, files);
    expect(rig.cache.uncommittedBytes(ino)).toEqual({ dirty: BLOCK, frozen: 0 });
    expect([rig.cache.dirtyBytes, rig.cache.frozenBytes]).toEqual([BLOCK, 0]);
  });
});

function checkCut(
  rig: CacheRig,
  cut: ReturnType<CacheRig['cut']>,
  files: FileExtents[],
  then: Map<Ino, Buffer>,
): void {
  for (const { ino, sizeBytes, ranges } of cut.frozen) {
    const content = then.get(ino) ?? Buffer.alloc(0);
    expect(sizeBytes).toBe(content.length);
    const stored = rig.contentOf(files, ino, sizeBytes);
    for (const { start, end } of ranges) {
      expect(stored.subarray(start, end).equals(content.subarray(start, end))).toBe(true);
    }
  }
  expect([...batchesOf(segmentsOf(cut.frozen))].flat().every(({ ino }) => then.has(ino))).toBe(
    true,
  );
}
