import { copyFileSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MIB } from '../../src/base/limits.ts';
import { Program } from '../harness/processes.ts';
import { canMount, TestVolume } from '../harness/volume.ts';

const SIZE = 3 * MIB;

interface Stats {
  cache: { passedOpens: number; cachedBytes?: number };
  operations: Record<string, { count: number; errors: number }>;
}

describe.skipIf(!canMount)('files that the kernel reads itself', () => {
  let volume: TestVolume;
  let holder: Program;

  beforeEach(async () => {
    volume = await TestVolume.create({ cacheBytes: 64 * MIB });
    await volume.mount();
    holder = new Program('holder.py', [volume.mountPoint]);
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.log(volume.log);
    await holder.end();
    await volume.dispose();
  });

  async function hold(...command: (string | number)[]): Promise<unknown> {
    return (await holder.ask({ do: command })).done;
  }

  async function stats(): Promise<Stats> {
    return (await volume.call('GET', '/stats')) as unknown as Stats;
  }

  async function passed(): Promise<number> {
    return (await stats()).cache.passedOpens;
  }

  async function drop(): Promise<void> {
    await volume.commit();
    await volume.call('POST', '/cache/drop?ino=1');
  }

  test('reads of a whole file do not reach the daemon', async () => {
    await hold('fill', 'a', SIZE);
    await hold('open', 'a', 'one', 'r');
    await hold('map', 'one');
    expect(await hold('check')).toBe(3);
    const { cache, operations } = await stats();
    expect(cache.passedOpens).toBe(2);
    expect(operations.READ).toBeUndefined();
  });

  test('readers and mappings see what others write, cut off and grow', async () => {
    await hold('fill', 'a', SIZE);
    await hold('open', 'a', 'reader', 'r');
    await hold('map', 'reader');
    await hold('open', 'a', 'writer', 'w');
    await hold('open', 'a', 'direct', 'd');
    for (const [offset, bytes] of [
      [5, 10],
      [4096, 4096],
      [SIZE - 3, 100],
      [SIZE + 70_000, 9],
    ]) {
      await hold('put', 'writer', offset ?? 0, bytes ?? 0);
      await hold('check');
      await volume.commit();
    }
    await hold('close', 'reader');
    for (const size of [SIZE / 2 + 7, 0, SIZE, 11]) {
      await hold('truncate', 'a', size);
      await hold('check');
    }
    await hold('fill', 'a', SIZE);
    await hold('check');
    await hold('unlink', 'a');
    await hold('put', 'writer', 100, 100);
    await hold('check');
  });

  test('an open or mapped file stays whole in the cache, and leaves it afterwards', async () => {
    await hold('fill', 'open', SIZE);
    await hold('fill', 'mapped', SIZE);
    await hold('open', 'open', 'one', 'r');
    await hold('open', 'mapped', 'two', 'r');
    await hold('map', 'two');
    await hold('close', 'two');
    await drop();
    expect(await hold('check')).toBe(4);
    expect((await stats()).operations.READ).toBeUndefined();
    // Much more than the cache holds.
    for (let file = 0; file < 12; file++) await hold('fill', 'other', 8 * MIB);
    await hold('check');
    await hold('close', 'one');
    await hold('unmap', 'two');
    await drop();
    await hold('check');
    const { READ } = (await stats()).operations;
    expect(READ?.count).toBeGreaterThan(0);
  });

  test('what a mapping writes is committed, also after its descriptor was closed', async () => {
    await hold('fill', 'a', SIZE);
    await hold('open', 'a', 'reader', 'r');
    await hold('open', 'a', 'writer', 'w');
    await hold('map', 'writer', 'write');
    await volume.commit();
    await hold('store', 'writer', 1_000_000, 5000);
    await hold('check');
    await volume.commit();
    await hold('close', 'writer');
    await hold('close', 'reader');
    await hold('store', 'writer', 2_000_000, 5000);
    await volume.commit();
    await hold('store', 'writer', 70, 5000);
    await hold('check');
    await hold('unmap', 'writer');
    await drop();
    expect(await hold('check')).toBe(1);
    const content = readFileSync(join(volume.mountPoint, 'a'));
    await holder.end();
    await volume.unmount();
    await volume.recover();
    await volume.mount();
    expect(readFileSync(join(volume.mountPoint, 'a')).equals(content)).toBe(true);
  });

  test('copies have what a mapping wrote', async () => {
    await hold('fill', 'a', SIZE);
    await hold('open', 'a', 'reader', 'r');
    await hold('open', 'a', 'writer', 'w');
    await hold('map', 'writer', 'write');
    for (const copy of ['b', 'c', 'd']) {
      await hold('store', 'writer', 8192, 70_000);
      await hold('copy', 'writer', copy);
      await hold('check');
      await volume.commit();
    }
  });

  test('opens from before and after kill -9 of the daemon go together', async () => {
    await hold('fill', 'read', SIZE);
    await hold('fill', 'written', SIZE);
    await hold('fill', 'cached', SIZE);
    await hold('open', 'cached', 'w1', 'w');
    await hold('open', 'read', 'r1', 'r');
    await hold('open', 'written', 'r2', 'r');
    await hold('open', 'written', 'w2', 'w');
    await hold('map', 'w2', 'write');
    for (let kill = 0; kill < 3; kill++) {
      await hold('store', 'w2', 5000 * kill, 5000);
      await volume.killDaemon();
      await volume.serving();
      await hold('open', 'read', `r1 after ${kill}`, 'r');
      await hold('open', 'written', `r2 after ${kill}`, 'r');
      await hold('open', 'written', `w2 after ${kill}`, 'w');
      await hold('open', 'cached', `w1 after ${kill}`, 'r');
      await hold('put', `w2 after ${kill}`, 100_000 * kill, 10);
      await hold('put', 'w1', 100_000 * kill, 10);
      await hold('check');
      await drop();
      await hold('check');
    }
    const before = await passed();
    await hold('fill', 'new', SIZE);
    await hold('open', 'new', 'new', 'r');
    expect(await passed()).toBe(before + 1);
    for (const name of ['r1', 'r2', 'w2', 'r1 after 0', 'r1 after 1', 'r1 after 2', 'r2 after 0']) {
      await hold('close', name);
      await hold('check');
    }
    await hold('unmap', 'w2');
    await hold('truncate', 'written', 0);
    await hold('check');
  });

  test('runs programs', async () => {
    const copy = join(volume.mountPoint, 'node');
    copyFileSync(process.execPath, copy);
    expect(statSync(copy).size).toBeGreaterThan(MIB);
    await hold('run', 'node', '--version');
  });
});
