import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Ino } from '../base/ids.ts';
import { Unsynced } from './unsynced.ts';

const syncs = vi.hoisted(() => [] as string[]);
vi.mock('../base/publish.ts', () => ({
  syncFolder: (folder: string) => {
    syncs.push(folder);
    return Promise.resolve();
  },
}));

const INO = 7 as Ino;

function begun(): { unsynced: Unsynced; path: string; folder: string } {
  const folder = mkdtempSync(join(tmpdir(), 'dfs-unsynced-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  syncs.length = 0;
  return { unsynced: new Unsynced(), path: join(folder, '7'), folder };
}

const nothing = (): Promise<void> => Promise.resolve();

test('the name of a file is synced with its bytes, once, and again for another file', async () => {
  const { unsynced, path, folder } = begun();
  unsynced.made(INO);
  await unsynced.sync(INO, path, nothing);
  unsynced.changed(INO);
  await unsynced.sync(INO, path, nothing);
  expect(syncs).toEqual([folder]);
  unsynced.made(INO);
  await unsynced.sync(INO, path, nothing);
  expect(syncs).toEqual([folder, folder]);
});

test('what was changed before a cut needs no sync once the cut is committed', () => {
  const { unsynced } = begun();
  unsynced.changed(INO);
  unsynced.freeze();
  expect(unsynced.has(INO)).toBe(true);
  unsynced.published();
  expect(unsynced.has(INO)).toBe(false);
});

test('what was changed before a cut that failed, or behind one, needs a sync', () => {
  const { unsynced } = begun();
  unsynced.changed(INO);
  unsynced.freeze();
  unsynced.abandoned();
  expect(unsynced.has(INO)).toBe(true);
  unsynced.freeze();
  unsynced.changed(INO);
  unsynced.published();
  expect(unsynced.has(INO)).toBe(true);
});

test('a sync that failed leaves the file unsynced', async () => {
  const { unsynced, path } = begun();
  unsynced.changed(INO);
  await expect(unsynced.sync(INO, path, () => Promise.reject(new Error('EIO')))).rejects.toThrow();
  expect(unsynced.has(INO)).toBe(true);
});

test('a second sync does not return before what the first one waits for', async () => {
  const { unsynced, path } = begun();
  unsynced.changed(INO);
  let end = (): void => undefined;
  const first = unsynced.sync(INO, path, () => new Promise((resolve) => (end = resolve)));
  expect(unsynced.has(INO)).toBe(true);
  end();
  await first;
  expect(unsynced.has(INO)).toBe(false);
});
