import { readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { DiskId } from '../../src/base/ids.ts';
import { MIB } from '../../src/base/limits.ts';
import { silentLog } from '../../src/base/log.ts';
import { mountFileSystem, unmountFileSystem } from '../../src/base/os/mod.ts';
import { BucketDisk } from '../../src/bucket/mod.ts';
import { parseScheme, pieceKeysOf } from '../../src/chunk/mod.ts';
import { ChunkStore } from '../../src/store/mod.ts';
import { temporaryFolder, VOLUME_TAG } from '../bucket/fixture.ts';
import { canMount } from '../harness/volume.ts';
import { chunkOf, placerOf, storeOf } from './fixture.ts';
import { MemoryDisk } from './memory-disk.ts';

const DISK_BYTES: number = 32 * MIB;
const one = parseScheme('replica:1');
const first = 1 as DiskId;

describe.skipIf(!canMount)('a disk on a small file system', () => {
  /** A disk of its own, of 32 MiB. */
  async function smallDisk(): Promise<{ disk: BucketDisk; folder: string }> {
    const target = await temporaryFolder();
    mountFileSystem({ source: 'tmpfs', target, type: 'tmpfs', flags: 0, data: 'size=32m' });
    onTestFinished(() => {
      unmountFileSystem(target, { lazy: false });
    });
    const folder = join(target, 'dfs');
    const disk = await BucketDisk.open({
      folder,
      volumeTag: VOLUME_TAG,
      diskId: first,
      create: true,
    });
    return { disk, folder };
  }

  async function freeOf(folder: string): Promise<number> {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  }

  test('is full at 95%, reads and removes on, and is up again below that', async () => {
    const { disk, folder } = await smallDisk();
    const store = storeOf([disk]);
    const chunks = Array.from({ length: 64 }, (_, at) => chunkOf(at, MIB, one));
    const put: typeof chunks = [];
    const fill = async (): Promise<unknown> => {
      for (const chunk of chunks) {
        await store.session().put(chunk);
        put.push(chunk);
      }
      return undefined;
    };
    await expect(fill()).rejects.toMatchObject({
      code: 'NO_SPACE',
      message: expect.stringMatching(
        /file system is 9[0-5]% full, pieces are taken up to 95%/,
      ) as string,
    });
    expect(put.length).toBeGreaterThan(26);
    // What is left is for metadata.
    expect(await freeOf(folder)).toBeGreaterThanOrEqual(DISK_BYTES * 0.05);
    await writeFile(join(folder, 'meta'), Buffer.alloc(MIB));
    const [full] = await store.health();
    expect(full).toMatchObject({ status: 'full' });
    expect(full?.reason).toMatch(/file system is 9\d% full/);
    expect(full?.fill?.isNearlyFull).toBe(true);
    for (const chunk of put) expect((await store.get(chunk)).equals(chunk.content)).toBe(true);
    const session = store.session();
    expect(await session.sync()).toEqual([]);
    const some = put.splice(0, 4).flatMap(({ id }) => pieceKeysOf(id, one));
    expect(await store.removeUnneeded(some, () => false)).toBe(4);
    expect((await store.health())[0]).toMatchObject({ status: 'up', reason: '' });
    await store.session().put(chunkOf(1000, MIB, one));
    for (const chunk of put) expect((await store.get(chunk)).equals(chunk.content)).toBe(true);
  });

  test('that somebody else fills is full, and up again when they make room', async () => {
    const { disk, folder } = await smallDisk();
    const store = storeOf([disk]);
    await store.session().put(chunkOf(1, MIB, one));
    expect((await store.health())[0]).toMatchObject({ status: 'up' });
    const theirs = join(folder, '..', 'theirs');
    await writeFile(theirs, Buffer.alloc(27 * MIB));
    const [nearly] = await store.health();
    expect(nearly).toMatchObject({ status: 'up', fill: { isNearlyFull: true } });
    await writeFile(theirs, Buffer.alloc(30 * MIB));
    expect((await store.health())[0]).toMatchObject({ status: 'full' });
    await expect(store.session().put(chunkOf(2, MIB, one))).rejects.toMatchObject({
      code: 'NO_SPACE',
    });
    await rm(theirs);
    expect((await store.health())[0]).toMatchObject({ status: 'up', reason: '' });
    await store.session().put(chunkOf(2, MIB, one));
    expect(await readdir(join(folder, 'buckets'))).not.toEqual([]);
  });
});

test('a disk with less weight than its size gives is full when its pieces take that', async () => {
  const disk = new MemoryDisk();
  const limits = new Map([[first, { weight: 2, bucketBytes: 10_000 }]]);
  const options = { disks: new Map([[first, disk]]), limits, log: silentLog };
  const store = new ChunkStore({ placer: placerOf(1), ...options });
  onTestFinished(() => store.close());
  const chunks = Array.from({ length: 30 }, (_, at) => chunkOf(at, 1000, one));
  const fills: [string, boolean | undefined][] = [];
  for (const chunk of chunks.slice(0, 20)) {
    await store.session().put(chunk);
    const [health] = await store.health();
    fills.push([health?.status ?? '', health?.fill?.isNearlyFull]);
  }
  expect(fills).toEqual([
    ...Array.from({ length: 17 }, () => ['up', false]),
    ...Array.from({ length: 2 }, () => ['up', true]),
    ['full', true],
  ]);
  expect((await store.health())[0]?.reason).toMatch(
    /its pieces take 0 MiB, by its weight it holds/,
  );
  const next = chunkOf(100, 1000, one);
  await expect(store.session().put(next)).rejects.toMatchObject({ code: 'NO_SPACE' });
  // The same disk is not limited when its size gives no more than the weight.
  disk.spaceNow = { totalBytes: 39_999, freeBytes: 20_000 };
  expect((await store.health())[0]).toMatchObject({ status: 'up' });
  await store.session().put(next);
  disk.spaceNow = { totalBytes: 40_000, freeBytes: 20_000 };
  expect((await store.health())[0]).toMatchObject({ status: 'full' });
  // Another map gives it more.
  await store.useMap(placerOf(1), new Map([[first, { weight: 3, bucketBytes: 10_000 }]]));
  expect((await store.health())[0]).toMatchObject({ status: 'up' });
});
