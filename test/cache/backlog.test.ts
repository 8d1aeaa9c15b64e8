import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { EINTR } from '../../src/base/errno.ts';
import { Backlog } from '../../src/cache/backlog.ts';
import { BLOCK, CacheRig } from './fixture.ts';

describe('Backlog', () => {
  test('lets nobody wait before it has a limit, and then who writes beyond it', () => {
    let bytes = 1e12;
    const backlog = new Backlog(() => bytes);
    expect(backlog.isOver).toBe(false);
    backlog.pace({ bytesMax: 1e12 - 1, bytesDone: 0 });
    expect(backlog.isOver).toBe(true);
    backlog.pace({ bytesMax: 1e12 - 1, bytesDone: 1 });
    expect(backlog.isOver).toBe(false);
    bytes += 1;
    expect(backlog.isOver).toBe(true);
  });

  test('lets writers in one after the other, as long as there is room, and none overtake', async () => {
    let bytes = 100;
    const backlog = new Backlog(() => bytes);
    backlog.pace({ bytesMax: 50, bytesDone: 0 });
    const written: number[] = [];
    const writers = [1, 2, 3, 4].map(async (writer) => {
      await backlog.wait();
      written.push(writer);
      bytes += 10;
    });
    backlog.pace({ bytesMax: 50, bytesDone: 40 });
    await nextTurn();
    expect(written).toEqual([]);
    backlog.pace({ bytesMax: 50, bytesDone: 60 });
    for (let turn = 0; turn < 5; turn++) await nextTurn();
    expect(written).toEqual([1, 2]);
    expect([backlog.waiting, backlog.isOver]).toEqual([2, true]);
    bytes = 0;
    backlog.pace({ bytesMax: 50, bytesDone: 0 });
    expect(backlog.isOver).toBe(true);
    await Promise.all(writers);
    expect(written).toEqual([1, 2, 3, 4]);
    expect(backlog.isOver).toBe(false);
  });
});

test('the cache writes when the backlog lets it, and a cancelled writer writes nothing', async () => {
  const rig = new CacheRig();
  const inode = rig.file();
  const { cache } = rig;
  expect(cache.write(inode, 0, Buffer.alloc(BLOCK, 1))).toBe(BLOCK);
  cache.backlog.pace({ bytesMax: 0, bytesDone: 0 });
  const first = cache.write(inode, BLOCK, Buffer.alloc(BLOCK, 2), 7);
  const second = cache.write(inode, 2 * BLOCK, Buffer.alloc(BLOCK, 3), 8);
  cache.cancelWrite(7);
  expect(await first).toBe(-EINTR);
  expect(cache.backlog.waiting).toBe(2);
  cache.backlog.pace({ bytesMax: BLOCK, bytesDone: 0 });
  expect(await second).toBe(BLOCK);
  expect(inode.sizeBytes).toBe(3 * BLOCK);
  await rig.close();
});
