import { describe, expect, onTestFinished, test } from 'vitest';
import type { Ino } from '../../src/base/ids.ts';
import { BLOCK, bytesOf, CacheRig } from './fixture.ts';

const PIECES = 1200;

/** A committed file that a new process finds in the cache, every other block a hole. */
async function scattered(): Promise<{ rig: CacheRig; ino: Ino; content: Buffer; turns: number[] }> {
  const rig = new CacheRig();
  onTestFinished(() => rig.close());
  const { ino } = rig.file();
  const content = Buffer.alloc((2 * PIECES - 1) * BLOCK);
  for (let piece = 0; piece < PIECES; piece++) {
    const bytes = bytesOf(piece, BLOCK);
    bytes.copy(content, 2 * piece * BLOCK);
    await rig.write(ino, 2 * piece * BLOCK, bytes);
  }
  await rig.commit();
  await rig.crash({ keepClean: true });
  const turns: number[] = [];
  rig.timed = (cause, body) => {
    const result = body();
    if (cause === 'scan') turns.push(1);
    return result;
  };
  return { rig, ino, content, turns };
}

describe('a cache file in many pieces', () => {
  test('is taken up in turns, for which reads and writes wait', async () => {
    const { rig, ino, content, turns } = await scattered();
    const into = Buffer.alloc(BLOCK);
    const read = rig.cache.read(rig.inode(ino), (2 * PIECES - 2) * BLOCK, BLOCK, into, 0);
    expect(read).toBeInstanceOf(Promise);
    const written = rig.write(ino, 0, Buffer.from('first'));
    expect(turns).toHaveLength(0);
    expect(await read).toEqual(bytesOf(PIECES - 1, BLOCK));
    expect(await written).toBe(5);
    content.write('first');
    expect(turns).toHaveLength(2);
    expect(rig.requests).toHaveLength(0);
    expect((await rig.content(ino)).equals(content)).toBe(true);
    await rig.commit();
    expect(rig.cache.cachedBytes).toBeGreaterThanOrEqual(PIECES * BLOCK);
    await rig.crash({ keepClean: false });
    expect((await rig.content(ino)).equals(content)).toBe(true);
  });

  test('can be emptied or removed meanwhile', async () => {
    const { rig, ino } = await scattered();
    const read = rig.read(ino, 0, BLOCK);
    await rig.truncate(ino, 0);
    await read;
    expect(await rig.content(ino)).toHaveLength(0);
    const other = await scattered();
    const late = other.rig.read(other.ino, 0, BLOCK);
    other.rig.drop(other.ino);
    await late;
    expect(other.rig.cache.cachedBytes).toBe(0);
  });
});
