import { existsSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { EINTR, ENOSPC } from '../../src/base/errno.ts';
import { DfsError } from '../../src/base/errors.ts';
import { type Ino } from '../../src/base/ids.ts';
import { MIB } from '../../src/base/limits.ts';
import { BLOCK, bytesOf, CacheRig, gate } from './fixture.ts';

function rigOf(options: { limitBytes?: number } = {}): CacheRig {
  const rig = new CacheRig(options);
  onTestFinished(() => rig.close());
  return rig;
}

function cacheFile(rig: CacheRig, ino: Ino): string {
  return join(rig.cacheFolder, (ino % 256).toString(16).padStart(2, '0'), String(ino));
}

/** Commits a file with `blocks` blocks and takes it out of the cache. */
async function evictedFile(rig: CacheRig, blocks: number): Promise<{ ino: Ino; content: Buffer }> {
  const { ino } = rig.file();
  const content = bytesOf(ino, blocks * BLOCK);
  await rig.write(ino, 0, content);
  await rig.commit();
  await rig.crash({ keepClean: false });
  return { ino, content };
}

describe('reading', () => {
  test('a hole reads as zeros without a fetch', async () => {
    const rig = rigOf();
    const { ino } = rig.file();
    await rig.write(ino, 10 * BLOCK, Buffer.from('end'));
    expect((await rig.read(ino, 0, 10 * BLOCK)).equals(Buffer.alloc(10 * BLOCK))).toBe(true);
    expect(rig.requests).toHaveLength(0);
  });

  test('nothing is read at and behind the end', async () => {
    const rig = rigOf();
    const { ino } = rig.file();
    await rig.write(ino, 0, Buffer.from('four'));
    expect(await rig.read(ino, 4, 10)).toHaveLength(0);
    expect(await rig.read(ino, 2, 10)).toEqual(Buffer.from('ur'));
  });

  test('a committed block that is not cached is fetched once for all that want it', async () => {
    const rig = rigOf();
    const { ino, content } = await evictedFile(rig, 3);
    const wall = gate();
    rig.beforeFetch = wall.opened;
    const reads = [0, 1, 2].map((block) => rig.read(ino, block * BLOCK, BLOCK));
    wall.open();
    for (const [block, read] of reads.entries()) {
      const wanted = content.subarray(block * BLOCK, (block + 1) * BLOCK);
      expect((await read).equals(wanted)).toBe(true);
    }
    expect(rig.requests).toHaveLength(1);
    await rig.content(ino);
    expect(rig.requests).toHaveLength(1);
  });

  test('a fetch that fails fails its readers, and the next one tries again', async () => {
    const rig = rigOf();
    const { ino, content } = await evictedFile(rig, 2);
    const wall = gate();
    rig.beforeFetch = wall.opened;
    const reads = [rig.read(ino, 0, BLOCK), rig.read(ino, BLOCK, BLOCK)];
    wall.fail(new DfsError('UNAVAILABLE', 'no disk'));
    for (const read of reads) await expect(read).rejects.toThrow('no disk');
    rig.beforeFetch = Promise.resolve();
    expect((await rig.content(ino)).equals(content)).toBe(true);
  });

  test('a file truncated during a fetch has its new size and no old bytes', async () => {
    const rig = rigOf();
    const { ino, content } = await evictedFile(rig, 4);
    const wall = gate();
    rig.beforeFetch = wall.opened;
    const read = rig.read(ino, 0, 4 * BLOCK);
    const cut = rig.truncate(ino, BLOCK + 100);
    wall.open();
    await cut;
    expect((await read).length).toBeLessThanOrEqual(4 * BLOCK);
    await rig.truncate(ino, 4 * BLOCK);
    const now = await rig.content(ino);
    expect(now.subarray(0, BLOCK + 100).equals(content.subarray(0, BLOCK + 100))).toBe(true);
    expect(now.subarray(BLOCK + 100).equals(Buffer.alloc(3 * BLOCK - 100))).toBe(true);
  });

  test('an inode dropped during a fetch leaves neither a file nor a count behind', async () => {
    const rig = rigOf();
    const { ino } = await evictedFile(rig, 4);
    const wall = gate();
    rig.beforeFetch = wall.opened;
    const read = rig.read(ino, 0, 4 * BLOCK);
    rig.drop(ino);
    wall.open();
    expect(await read).toHaveLength(0);
    await expect.poll(() => existsSync(cacheFile(rig, ino))).toBe(false);
    expect(rig.cache.cachedBytes).toBe(0);
  });
});

describe('writing', () => {
  test('a part of a block that is not cached is laid over the block', async () => {
    const rig = rigOf();
    const { ino, content } = await evictedFile(rig, 3);
    await rig.write(ino, BLOCK - 10, Buffer.alloc(BLOCK + 20, 1));
    content.fill(1, BLOCK - 10, 2 * BLOCK + 10);
    expect((await rig.content(ino)).equals(content)).toBe(true);
  });

  test('a write that waits can be cancelled, and then changes nothing', async () => {
    const rig = rigOf();
    const { ino, content } = await evictedFile(rig, 2);
    const wall = gate();
    rig.beforeFetch = wall.opened;
    const inode = rig.meta.inode(ino);
    if (inode === undefined) throw new Error('the inode is gone');
    const write = rig.cache.write(inode, 5, Buffer.from('new'), 77);
    rig.cache.cancelWrite(78);
    rig.cache.cancelWrite(77);
    expect(await write).toBe(-EINTR);
    wall.open();
    expect((await rig.content(ino)).equals(content)).toBe(true);
    rig.cache.cancelWrite(77);
    expect(await rig.cache.write(inode, 5, Buffer.from('new'), 77)).toBe(3);
  });

  test('a write waits for a fetch of its blocks and is not overwritten by it', async () => {
    const rig = rigOf();
    const { ino, content } = await evictedFile(rig, 2);
    const wall = gate();
    rig.beforeFetch = wall.opened;
    const read = rig.read(ino, 0, 2 * BLOCK);
    const write = rig.write(ino, 0, Buffer.alloc(BLOCK, 2));
    wall.open();
    await read;
    expect(await write).toBe(BLOCK);
    content.fill(2, 0, BLOCK);
    expect((await rig.content(ino)).equals(content)).toBe(true);
  });

  test('a whole block can be written although the fetch of its old bytes fails', async () => {
    const rig = rigOf();
    const { ino } = await evictedFile(rig, 1);
    const wall = gate();
    rig.beforeFetch = wall.opened;
    const read = rig.read(ino, 0, BLOCK);
    const write = rig.write(ino, 0, Buffer.alloc(BLOCK, 3));
    wall.fail(new DfsError('UNAVAILABLE', 'no disk'));
    await expect(read).rejects.toThrow('no disk');
    expect(await write).toBe(BLOCK);
    expect((await rig.content(ino)).equals(Buffer.alloc(BLOCK, 3))).toBe(true);
  });

  test('a fetch beside a frozen block does not change the time a crash would find', async () => {
    const rig = rigOf();
    const { ino } = await evictedFile(rig, 2);
    await rig.write(ino, 8 * BLOCK, Buffer.from('x'));
    const inode = rig.inode(ino);
    Object.assign(inode, { mtimeSec: 5000, mtimeNsec: 0 });
    rig.cache.mtimeSet(inode);
    rig.cut();
    await rig.read(ino, 0, BLOCK);
    expect(statSync(cacheFile(rig, ino)).mtimeMs).toBe(5_000_000);
    rig.abandon();
  });
});

describe('the limit', () => {
  test('clean blocks go, dirty ones stay, and all reads right', async () => {
    const limitBytes = 64 * BLOCK;
    const rig = rigOf({ limitBytes });
    rig.relieve = () => rig.commit();
    const files = Array.from({ length: 20 }, () => rig.file().ino);
    for (const ino of files) await rig.write(ino, 0, bytesOf(ino, 10 * BLOCK));
    expect(rig.cache.cachedBytes).toBeLessThanOrEqual(limitBytes);
    for (const ino of files) {
      expect((await rig.content(ino)).equals(bytesOf(ino, 10 * BLOCK))).toBe(true);
    }
  });

  test('the block just written survives an eviction that it starts', async () => {
    const rig = rigOf({ limitBytes: 100 * BLOCK });
    const { ino } = rig.file();
    const content = bytesOf(1, 90 * BLOCK);
    await rig.write(ino, 0, content);
    await rig.commit();
    const newest = bytesOf(9, BLOCK);
    await rig.write(ino, 90 * BLOCK, newest);
    const expected = Buffer.concat([content, newest]);
    expect((await rig.content(ino)).equals(expected)).toBe(true);
    await rig.commit();
    await rig.crash({ keepClean: false });
    expect((await rig.content(ino)).equals(expected)).toBe(true);
  });

  test('a cache full of data that cannot be committed is ENOSPC, and what it has stays', async () => {
    const rig = rigOf({ limitBytes: 32 * BLOCK });
    rig.relieve = () => Promise.reject(new DfsError('UNAVAILABLE', 'no disks'));
    const { ino } = rig.file();
    const content = bytesOf(4, 30 * BLOCK);
    await rig.write(ino, 0, content);
    await expect(rig.write(ino, 30 * BLOCK, bytesOf(5, 8 * BLOCK))).rejects.toMatchObject({
      code: 'NO_SPACE',
    });
    expect((await rig.content(ino)).equals(content)).toBe(true);
    rig.relieve = () => Promise.resolve();
    expect(await rig.write(ino, 30 * BLOCK, bytesOf(5, 8 * BLOCK))).toBe(-ENOSPC);
  });

  test('what is counted is what the files take, and nothing once they are dropped', async () => {
    const rig = rigOf();
    const { ino } = rig.file();
    await rig.write(ino, 40 * BLOCK, bytesOf(1, 2 * BLOCK));
    await rig.content(ino);
    await rig.truncate(ino, 41 * BLOCK);
    await rig.write(ino, 3, Buffer.from('abc'));
    expect(rig.cache.cachedBytes).toBeGreaterThanOrEqual(
      statSync(cacheFile(rig, ino)).blocks * 512,
    );
    await rig.commit();
    await rig.truncate(ino, 1);
    expect(rig.cache.cachedBytes).toBeGreaterThanOrEqual(
      statSync(cacheFile(rig, ino)).blocks * 512,
    );
    rig.drop(ino);
    expect(rig.cache.cachedBytes).toBe(0);
    expect(rig.cache.dirtyBytes).toBe(0);
    expect(rig.cache.frozenBytes).toBe(0);
    await expect.poll(() => existsSync(cacheFile(rig, ino))).toBe(false);
  });
});

describe('a new process', () => {
  test('takes up what was dirty: size, content, time', async () => {
    const rig = rigOf();
    const { ino } = rig.file();
    const content = bytesOf(3, 2 * BLOCK + 77);
    const begun = Date.now();
    await rig.write(ino, 0, content);
    const written = Date.now();
    await rig.crash();
    const after = rig.inode(ino);
    expect(after.sizeBytes).toBe(content.length);
    // The row has the time of its creation, long ago; that of the write is at the cache file.
    expect(after.mtimeSec).toBeGreaterThan(begun / 1000 - 2);
    expect(after.mtimeSec).toBeLessThanOrEqual(written / 1000);
    expect((await rig.content(ino)).equals(content)).toBe(true);
    expect(rig.cache.dirtyBytes).toBe(3 * BLOCK);
    await rig.commit();
    await rig.crash({ keepClean: false });
    expect(rig.inode(ino).sizeBytes).toBe(content.length);
    expect((await rig.content(ino)).equals(content)).toBe(true);
  });

  test('a time that was set is found again', async () => {
    const rig = rigOf();
    const { ino } = rig.file();
    await rig.write(ino, 0, Buffer.from('old news'));
    const time = { sec: 1000, nsec: 3_000_000 };
    rig.meta.run([{ kind: 'setattr', ino, change: { mtime: time }, time }]);
    rig.cache.mtimeSet(rig.inode(ino));
    await rig.crash();
    expect(rig.inode(ino)).toMatchObject({ mtimeSec: 1000, mtimeNsec: 3_000_000 });
  });

  test('a cut that was being committed is dirty again, and what it saved is gone', async () => {
    const rig = rigOf();
    const { ino } = rig.file();
    await rig.write(ino, 0, bytesOf(1, 2 * BLOCK));
    rig.cut();
    await rig.write(ino, 0, bytesOf(2, BLOCK));
    const expected = await rig.content(ino);
    await rig.crash();
    expect(rig.cache.dirtyBytes).toBe(2 * BLOCK);
    expect((await rig.content(ino)).equals(expected)).toBe(true);
    expect(readdirSync(join(rig.cacheFolder, 'frozen'))).toEqual([]);
  });

  test('a file cut off before its truncation was written down shows no old bytes later', async () => {
    const rig = rigOf();
    const { ino } = rig.file();
    const content = bytesOf(6, 4 * BLOCK);
    await rig.write(ino, 0, content);
    await rig.commit();
    await rig.write(ino, 0, content.subarray(0, BLOCK));
    truncateSync(cacheFile(rig, ino), BLOCK); // What resize() does, and then the power goes.
    await rig.crash();
    expect(rig.inode(ino).sizeBytes).toBe(BLOCK);
    await rig.write(ino, 4 * BLOCK, Buffer.from('!'));
    const now = await rig.content(ino);
    expect(now.subarray(0, BLOCK).equals(content.subarray(0, BLOCK))).toBe(true);
    expect(now.subarray(BLOCK, 4 * BLOCK).equals(Buffer.alloc(3 * BLOCK))).toBe(true);
  });

  test('after a power cut a cache file that is too short takes nothing committed away', async () => {
    const rig = rigOf();
    const { ino } = rig.file();
    const content = bytesOf(6, 4 * BLOCK);
    await rig.write(ino, 0, content);
    await rig.commit();
    await rig.write(ino, 0, content.subarray(0, BLOCK));
    truncateSync(cacheFile(rig, ino), BLOCK);
    await rig.crash({ keepClean: false });
    expect((await rig.content(ino)).equals(content)).toBe(true);
  });

  test('without trust in clean blocks, only dirty files keep their cache file', async () => {
    const rig = rigOf({ limitBytes: 64 * MIB });
    const clean = rig.file().ino;
    await rig.write(clean, 0, bytesOf(1, BLOCK));
    await rig.commit();
    const dirty = rig.file().ino;
    await rig.write(dirty, 0, bytesOf(2, BLOCK));
    await rig.crash({ keepClean: false });
    expect(existsSync(cacheFile(rig, clean))).toBe(false);
    expect(existsSync(cacheFile(rig, dirty))).toBe(true);
  });
});
