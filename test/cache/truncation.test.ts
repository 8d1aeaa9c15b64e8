import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Ino } from '../../src/base/ids.ts';
import { batchesOf, segmentsOf } from '../../src/commit/segments.ts';
import type { FileExtents } from '../../src/meta/mod.ts';
import { BLOCK, bytesOf, CacheRig } from './fixture.ts';

let rig: CacheRig | undefined;
afterEach(async () => {
  await rig?.close();
  rig = undefined;
});

const BEFORE = bytesOf(2, 3 * BLOCK + 500);
const OLDER = bytesOf(9, 3 * BLOCK + 500);

/** What a file has gone through before it is truncated; its content is BEFORE then. */
const HISTORIES: [string, (rig: CacheRig, ino: Ino) => Promise<void>][] = [
  ['clean', (on) => on.commit()],
  ['dirty', () => Promise.resolve()],
  [
    'dirty over what is committed',
    async (on, ino) => {
      await on.write(ino, 0, OLDER);
      await on.commit();
      await on.write(ino, 0, BEFORE);
    },
  ],
  [
    'frozen over what is committed',
    async (on, ino) => {
      await on.write(ino, 0, OLDER);
      await on.commit();
      await on.write(ino, 0, BEFORE);
      on.cut();
    },
  ],
];

describe('a process that dies in a truncation, before the metadata has it', () => {
  const cases = HISTORIES.flatMap(([name, history]) =>
    [0, 100, BLOCK, 2 * BLOCK + 1, 5 * BLOCK].map((size) => ({ name, history, size })),
  );
  test.each(cases)('leaves a file that is $name whole or cut to $size', async (one) => {
    rig = new CacheRig();
    const { ino } = rig.file();
    await rig.write(ino, 0, BEFORE);
    await one.history(rig, ino);
    expect(rig.cache.resize(rig.inode(ino), one.size)).toBeUndefined();
    await rig.crash();
    const found = await rig.content(ino);
    const cut = Buffer.alloc(one.size);
    BEFORE.copy(cut);
    expect([BEFORE, cut].some((allowed) => allowed.equals(found))).toBe(true);
    // What is cut off stays away, and a later crash finds the right length.
    await rig.write(ino, 0, BEFORE.subarray(0, 10));
    await rig.crash();
    expect(rig.inode(ino).sizeBytes).toBe(Math.max(found.length, 10));
    await rig.truncate(ino, 7 * BLOCK);
    const grown = await rig.content(ino);
    expect(grown.subarray(10, found.length).equals(found.subarray(10))).toBe(true);
    expect(grown.subarray(Math.max(found.length, 10)).every((byte) => byte === 0)).toBe(true);
  });
});

describe('what frees much space', () => {
  const LARGE = 6 * 2 ** 20;
  const rigOf = (): CacheRig => {
    const made = new CacheRig();
    onTestFinished(() => made.close());
    return made;
  };
  const gone = (on: CacheRig): string[] =>
    readdirSync(join(on.cacheFolder, 'frozen')).filter((name) => name.endsWith('.gone'));

  test.each(['dirty', 'clean', 'frozen'] as const)(
    'empties a %s file at once, and frees its blocks elsewhere',
    async (state) => {
      const on = rigOf();
      const { ino } = on.file();
      await on.write(ino, 0, bytesOf(1, LARGE));
      if (state === 'clean') await on.commit();
      const cut = state === 'frozen' ? on.cut() : undefined;
      await on.truncate(ino, 0);
      expect(on.cache.dirtyBytes).toBe(0);
      await on.write(ino, 5, Buffer.from('new'));
      expect((await on.content(ino)).toString()).toBe('\0\0\0\0\0new');
      if (cut !== undefined) {
        const parts = [...batchesOf(segmentsOf(cut.frozen))];
        const files: FileExtents[] = [];
        for (const part of parts) files.push(...(await on.store(part)));
        expect(on.contentOf(files, ino, LARGE).equals(bytesOf(1, LARGE))).toBe(true);
        on.publish(cut, files);
      }
      await expect.poll(() => gone(on)).toEqual([]);
      await on.commit();
      expect((await on.content(ino)).toString()).toBe('\0\0\0\0\0new');
    },
  );

  test.each(['dirty', 'clean', 'frozen'] as const)(
    'cuts a long end off a %s file on another thread, while others wait for it',
    async (state) => {
      const on = rigOf();
      const { ino } = on.file();
      const content = bytesOf(1, LARGE);
      await on.write(ino, 0, content);
      if (state === 'clean') await on.commit();
      const cut = state === 'frozen' ? on.cut() : undefined;
      const size = BLOCK + 100;
      const waiting = on.cache.resize(on.inode(ino), size);
      expect(waiting).toBeInstanceOf(Promise);
      expect(on.cache.resizing).toBeDefined();
      const written = on.write(ino, 3 * BLOCK, Buffer.from('later'));
      const read = on.read(ino, 2 * BLOCK, 10);
      await waiting;
      await on.truncate(ino, size);
      await written;
      await read;
      expect(on.cache.resizing).toBeUndefined();
      const expected = Buffer.alloc(3 * BLOCK + 5);
      content.copy(expected, 0, 0, size);
      expected.write('later', 3 * BLOCK);
      expect((await on.content(ino)).equals(expected)).toBe(true);
      if (cut !== undefined) {
        const files: FileExtents[] = [];
        for (const part of batchesOf(segmentsOf(cut.frozen))) files.push(...(await on.store(part)));
        expect(on.contentOf(files, ino, LARGE).equals(content)).toBe(true);
        on.publish(cut, files);
      }
      await on.commit();
      expect((await on.content(ino)).equals(expected)).toBe(true);
    },
  );

  test('removes a large file', async () => {
    const on = rigOf();
    const { ino } = on.file();
    await on.write(ino, 0, bytesOf(1, LARGE));
    on.drop(ino);
    await expect.poll(() => [...on.cache.cachedInodes()]).toEqual([]);
  });
});
