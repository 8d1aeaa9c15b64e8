import { describe, expect, onTestFinished, test } from 'vitest';
import { EAGAIN } from '../../src/base/errno.ts';
import type { Ino } from '../../src/base/ids.ts';
import { BLOCK, bytesOf, CacheRig } from './fixture.ts';

/** A cache whose device has to be waited for, and a committed file in it. */
async function coldFile(blocks: number): Promise<{ rig: CacheRig; ino: Ino; content: Buffer }> {
  const rig = new CacheRig();
  onTestFinished(() => rig.close());
  const { ino } = rig.file();
  const content = bytesOf(3, blocks * BLOCK);
  await rig.write(ino, 0, content);
  await rig.commit();
  rig.resident = { isSupported: true, read: () => -EAGAIN };
  await rig.crash({ keepClean: true });
  return { rig, ino, content };
}

describe('a read of what the kernel does not have in memory', () => {
  test('waits on another thread', async () => {
    const { rig, ino, content } = await coldFile(3);
    const into = Buffer.alloc(2 * BLOCK, 0xee);
    const result = rig.cache.read(rig.inode(ino), 100, 2 * BLOCK, into, 0);
    expect(result).toBeInstanceOf(Promise);
    expect(into.every((byte) => byte === 0xee)).toBe(true);
    expect(await result).toEqual(content.subarray(100, 100 + 2 * BLOCK));
    expect(rig.cache.counters).toMatchObject({ hits: 1, misses: 0, deviceReads: 1 });
  });

  test('takes part of it in memory for nothing', async () => {
    const { rig, ino, content } = await coldFile(2);
    rig.resident = { isSupported: true, read: (_fd, into) => into.fill(9).length - 1 };
    await rig.crash({ keepClean: true });
    expect(await rig.content(ino)).toEqual(content);
    expect(rig.cache.counters.deviceReads).toBe(1);
  });

  test('does not give zeros for what was evicted while it waited', async () => {
    const { rig, ino, content } = await coldFile(8);
    // Dirty in part: so eviction makes holes in the file, and does not remove it.
    await rig.write(ino, 0, bytesOf(4, BLOCK));
    bytesOf(4, BLOCK).copy(content);
    const reads = Array.from({ length: 20 }, (_, at) => rig.read(ino, (at % 8) * BLOCK, BLOCK));
    expect(await rig.cache.evict(ino)).toBe(7 * BLOCK);
    for (const [at, read] of reads.entries()) {
      const start = (at % 8) * BLOCK;
      expect((await read).equals(content.subarray(start, start + BLOCK))).toBe(true);
    }
  });

  test('gives what is there after a truncation or removal it waited through', async () => {
    const { rig, ino, content } = await coldFile(4);
    const cut = rig.read(ino, BLOCK, 3 * BLOCK);
    await rig.truncate(ino, 2 * BLOCK);
    expect((await cut).equals(content.subarray(BLOCK, 2 * BLOCK))).toBe(true);
    const gone = rig.read(ino, 0, BLOCK);
    rig.drop(ino);
    expect([0, BLOCK]).toContain((await gone).length);
  });

  test('is one call where the file system cannot tell', async () => {
    const { rig, ino, content } = await coldFile(2);
    rig.resident = { isSupported: false, read: () => -EAGAIN };
    await rig.crash({ keepClean: true });
    const into = Buffer.alloc(2 * BLOCK);
    expect(rig.cache.read(rig.inode(ino), 0, 2 * BLOCK, into, 0)).toBe(2 * BLOCK);
    expect(into.equals(content)).toBe(true);
  });
});
