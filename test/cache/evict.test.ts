import { closeSync, existsSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Ino } from '../../src/base/ids.ts';
import { MIB } from '../../src/base/limits.ts';
import { BLOCK, bytesOf, CacheRig, gate } from './fixture.ts';

function rigOf(options: { limitBytes?: number } = {}): CacheRig {
  const rig = new CacheRig(options);
  onTestFinished(() => rig.close());
  return rig;
}

/** A file whose `blocks` blocks are committed and cached. */
async function committedFile(
  rig: CacheRig,
  blocks: number,
): Promise<{ ino: Ino; content: Buffer }> {
  const { ino } = rig.file();
  const content = bytesOf(ino, blocks * BLOCK);
  await rig.write(ino, 0, content);
  await rig.commit();
  return { ino, content };
}

describe('evict() on demand', () => {
  test('frees a clean file, which is fetched by the next reader', async () => {
    const rig = rigOf();
    const { ino, content } = await committedFile(rig, 5);
    expect(await rig.cache.evict(ino)).toBe(5 * BLOCK);
    expect(rig.cache.cachedBytes).toBe(0);
    expect(await rig.cache.evict(ino)).toBe(0);
    expect((await rig.content(ino)).equals(content)).toBe(true);
    expect(rig.requests).toHaveLength(1);
  });

  test('frees a file that is not in memory', async () => {
    const rig = rigOf();
    const { ino, content } = await committedFile(rig, 5);
    await rig.crash();
    expect(await rig.cache.evict(ino)).toBe(5 * BLOCK);
    const name = (ino % 256).toString(16).padStart(2, '0');
    expect(existsSync(join(rig.cacheFolder, name, String(ino)))).toBe(false);
    expect((await rig.content(ino)).equals(content)).toBe(true);
  });

  test('leaves what a mapping of a lent file wrote, until a commit has stored it', async () => {
    const rig = rigOf();
    const { ino, content } = await committedFile(rig, 6);
    const { lending } = rig.cache;
    const path = lending.lend(rig.inode(ino));
    lending.writing(ino);
    const fd = openSync(path ?? '', 'r+');
    writeSync(fd, bytesOf(78, BLOCK), 0, BLOCK, BLOCK);
    bytesOf(78, BLOCK).copy(content, BLOCK);
    closeSync(fd);
    lending.returned(ino);
    expect(await rig.cache.evict(ino)).toBe(0);
    expect((await rig.content(ino)).equals(content)).toBe(true);
    lending.noteMapped('now');
    await rig.commit();
    expect(await rig.cache.evict(ino)).toBe(6 * BLOCK);
    expect((await rig.content(ino)).equals(content)).toBe(true);
  });

  test('what a mapping wrote unseen is synced, and found after a power cut', async () => {
    const rig = rigOf();
    const { ino, content } = await committedFile(rig, 3);
    const { lending } = rig.cache;
    const fd = openSync(lending.lend(rig.inode(ino)) ?? '', 'r+');
    lending.writing(ino);
    await rig.commit();
    writeSync(fd, bytesOf(80, BLOCK), 0, BLOCK, BLOCK);
    bytesOf(80, BLOCK).copy(content, BLOCK);
    expect(rig.cache.uncommittedBytes(ino)).toEqual({ dirty: 0, frozen: 0 });
    const synced = rig.cache.sync(ino);
    expect(synced).toBeInstanceOf(Promise);
    await synced;
    expect(rig.meta.wal.sync(ino)).toBeInstanceOf(Promise);
    closeSync(fd);
    await rig.crash({ keepClean: false });
    expect((await rig.content(ino)).equals(content)).toBe(true);
  });

  test('each of many files that mappings may change is looked at in its turn', async () => {
    const rig = rigOf();
    const { lending } = rig.cache;
    const mapped: number[] = [];
    const inos: Ino[] = [];
    for (let count = 0; count < 70; count++) {
      const { ino } = rig.file();
      inos.push(ino);
      await rig.write(ino, 0, bytesOf(count, BLOCK));
    }
    await rig.commit();
    for (const ino of inos) {
      mapped.push(openSync(lending.lend(rig.inode(ino)) ?? '', 'r+'));
      lending.writing(ino);
    }
    expect(rig.cache.dirtyBytes).toBe(0);
    lending.noteMapped('when due');
    lending.noteMapped('when due');
    expect(rig.cache.dirtyBytes).toBe(70 * BLOCK);
    for (const fd of mapped) closeSync(fd);
  });

  test('leaves what is dirty and what a running commit has not published', async () => {
    const rig = rigOf();
    const { ino, content } = await committedFile(rig, 6);
    await rig.write(ino, BLOCK, bytesOf(77, BLOCK));
    const cut = rig.cut();
    await rig.write(ino, 3 * BLOCK + 5, bytesOf(78, 10));
    expect(await rig.cache.evict(ino)).toBe(4 * BLOCK);
    bytesOf(77, BLOCK).copy(content, BLOCK);
    bytesOf(78, 10).copy(content, 3 * BLOCK + 5);
    expect((await rig.content(ino)).equals(content)).toBe(true);
    expect(cut.frozen).toHaveLength(1);
    rig.abandon();
  });

  test('leaves a file alone while blocks of it are being fetched', async () => {
    const rig = rigOf();
    const { ino, content } = await committedFile(rig, 4);
    await rig.crash({ keepClean: false });
    await rig.write(ino, 0, bytesOf(79, BLOCK));
    bytesOf(79, BLOCK).copy(content);
    await rig.commit();
    const wall = gate();
    rig.beforeFetch = wall.opened;
    const read = rig.read(ino, 2 * BLOCK, BLOCK);
    expect(await rig.cache.evict(ino)).toBe(0);
    wall.open();
    await read;
    expect(await rig.cache.evict(ino)).toBe(4 * BLOCK);
    expect((await rig.content(ino)).equals(content)).toBe(true);
  });
});

describe('eviction for a write', () => {
  test('makes room for a long one in a cache that is not yet nearly full', async () => {
    const rig = rigOf({ limitBytes: 4 * MIB });
    rig.relieve = () => Promise.reject(new Error('nothing needs to be committed'));
    const { ino, content } = await committedFile(rig, (3.4 * MIB) / BLOCK);
    const { ino: other } = rig.file();
    expect(await rig.write(other, 0, bytesOf(1, MIB))).toBe(MIB);
    expect((await rig.content(ino)).equals(content)).toBe(true);
  });
});

describe('a turn of the eviction', () => {
  /** The bytes that each turn frees. */
  function turnsOf(rig: CacheRig): number[] {
    const turns: number[] = [];
    rig.timed = (_cause, body) => {
      const before = rig.cache.cachedBytes;
      const result = body();
      turns.push(before - rig.cache.cachedBytes);
      return result;
    };
    return turns;
  }

  test('frees at most 4 MiB of a large file', async () => {
    const rig = rigOf();
    const { ino, content } = await committedFile(rig, (10 * MIB) / BLOCK);
    const turns = turnsOf(rig);
    expect(await rig.cache.evict(ino)).toBe(10 * MIB);
    expect(turns.filter((freed) => freed > 0)).toEqual([4 * MIB, 4 * MIB, 2 * MIB]);
    expect((await rig.content(ino)).equals(content)).toBe(true);
  });

  test('frees at most 30 pieces between dirty blocks, and then goes on behind them', async () => {
    const rig = rigOf();
    const { ino, content } = await committedFile(rig, 180);
    const dirty = Buffer.alloc(BLOCK, 9);
    for (let block = 0; block < 180; block += 2) {
      await rig.write(ino, block * BLOCK, dirty);
      dirty.copy(content, block * BLOCK);
    }
    const turns = turnsOf(rig);
    expect(await rig.cache.evict(ino)).toBe(90 * BLOCK);
    expect(turns).toEqual([30 * BLOCK, 30 * BLOCK, 30 * BLOCK, 0]);
    expect((await rig.content(ino)).equals(content)).toBe(true);
  });
});
