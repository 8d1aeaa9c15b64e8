import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Ino } from '../../src/base/ids.ts';
import { CHUNK_BYTES_MAX, MIB } from '../../src/base/limits.ts';
import { bytesOf, CacheRig, gate } from './fixture.ts';

const CHUNKS = 6;

/** A file of some chunks of which nothing is cached. */
async function coldFile(options: { limitBytes?: number } = {}): Promise<{
  rig: CacheRig;
  ino: Ino;
  content: Buffer;
}> {
  const rig = new CacheRig(options);
  onTestFinished(() => rig.close());
  const { ino } = rig.file();
  const content = bytesOf(ino, CHUNKS * CHUNK_BYTES_MAX - 1000);
  for (let at = 0; at < content.length; at += MIB) {
    await rig.write(ino, at, content.subarray(at, at + MIB));
  }
  await rig.commit();
  await rig.cache.evict(ino);
  return { rig, ino, content };
}

describe('reading ahead', () => {
  test('who reads in order finds some chunks fetched before he asks', async () => {
    const { rig, ino, content } = await coldFile();
    await rig.read(ino, 0, MIB);
    await rig.read(ino, MIB, MIB);
    await vi.waitFor(() => expect(rig.cache.counters.fetches).toBe(4));
    const { misses } = rig.cache.counters;
    await rig.read(ino, 2 * MIB, MIB);
    for (let at = CHUNK_BYTES_MAX; at < 4 * CHUNK_BYTES_MAX; at += MIB) {
      const expected = content.subarray(at, at + MIB);
      expect((await rig.read(ino, at, MIB)).equals(expected)).toBe(true);
    }
    expect(rig.cache.counters.misses).toBe(misses);
    expect((await rig.content(ino)).equals(content)).toBe(true);
    expect(rig.requests).toHaveLength(CHUNKS);
  });

  test('is bounded, and a reader goes on when it failed', async () => {
    const { rig, ino, content } = await coldFile();
    await rig.read(ino, 0, MIB);
    const stuck = gate();
    rig.beforeFetch = stuck.opened;
    await rig.read(ino, MIB, MIB);
    expect(rig.requests).toHaveLength(1 + 3);
    await rig.read(ino, 2 * MIB, MIB);
    expect(rig.requests).toHaveLength(1 + 3);
    stuck.fail(new Error('no disk'));
    await expect(rig.read(ino, CHUNK_BYTES_MAX, MIB)).rejects.toThrow('no disk');
    rig.beforeFetch = Promise.resolve();
    expect((await rig.content(ino)).equals(content)).toBe(true);
  });

  test('does nothing for who reads here and there, or when the cache is full', async () => {
    const { rig, ino } = await coldFile();
    const places = [0, 9, 4, 13].map((at) => at * MIB);
    for (const at of places) await rig.read(ino, at, 4096);
    expect(rig.requests).toHaveLength(places.length);
    const small = await coldFile({ limitBytes: 27 * MIB });
    for (let at = 0; at < 4; at++) await small.rig.read(small.ino, at * MIB, MIB);
    expect(small.rig.requests).toHaveLength(1);
  });
});
