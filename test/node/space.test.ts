import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { MIB } from '../../src/base/limits.ts';
import { Program, run } from '../harness/processes.ts';
import { canMount, TestVolume, type VolumeOptions } from '../harness/volume.ts';

/** What df shows, in bytes. */
interface Shown {
  size: number;
  used: number;
  avail: number;
  pcent: number;
  iused: number;
  iavail: number;
  itotal: number;
}

/** Pieces that a running commit has written are counted as they are found; then what is left. */
const SLACK_BYTES: number = 12 * MIB;

describe.skipIf(!canMount)('space', () => {
  let volume: TestVolume | undefined;

  const create = async (options: VolumeOptions): Promise<TestVolume> => {
    volume = await TestVolume.create({ cacheBytes: 64 * MIB, bucketBytes: 4 * MIB, ...options });
    return volume;
  };

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.log(volume?.log);
    await volume?.dispose();
    volume = undefined;
  });

  test('df shows what comes and what is left, until the last file does not fit', async () => {
    const on = await create({ diskMib: 80 });
    await on.mount();
    const program = new Program('df.py', [on.mountPoint]);
    const shown: Shown[] = [];
    let files: unknown;
    while (files === undefined) {
      const line = await program.next();
      files = line.files;
      if (files === undefined) shown.push(line as unknown as Shown);
    }
    await program.finish();
    expect(shown.length).toBe((files as number) + 1);
    // Three disks of 80 MiB hold 120 MiB twice; the rest is the volume's own.
    expect(shown[0]?.avail).toBeGreaterThan(100 * MIB);
    expect(shown[0]?.avail).toBeLessThanOrEqual(120 * MIB);
    let least = Number.POSITIVE_INFINITY;
    for (const { size, used, avail, pcent, iused, iavail, itotal } of shown) {
      expect([used, avail, iused].every((number) => number >= 0)).toBe(true);
      expect(used + avail).toBe(size);
      expect(pcent).toBeLessThanOrEqual(100);
      expect(iused + iavail).toBe(itotal);
      expect(avail).toBeLessThanOrEqual(least + SLACK_BYTES);
      least = Math.min(least, avail);
    }
    const used = (shown[10]?.used ?? 0) - (shown[0]?.used ?? 0);
    expect(used).toBeGreaterThanOrEqual(9 * MIB);
    expect(shown.at(-1)?.avail).toBeLessThan(2 * MIB);
    expect(shown.at(-1)?.pcent).toBeGreaterThan(95);
  }, 120_000);

  test('a HOME on a small device passes on more than it can hold', async () => {
    const on = await create({ homeMib: 48, cacheBytes: 256 * MIB, diskMib: 256 });
    await on.mount();
    const folder = join(on.mountPoint, 'much');
    await run('fill.py', ['fill', folder, '120']);
    await run('fill.py', ['check', folder, '120']);
    const { health } = await on.call('GET', '/status');
    expect(['healthy', 'checking']).toContain(health);
  }, 120_000);

  test('a HOME that is full and cannot be relieved: ENOSPC, all before it stays', async () => {
    const on = await create({ homeMib: 48, cacheBytes: 256 * MIB });
    const parts = on.disks.slice(0, 2).map((disk) => [join(disk, 'dfs'), join(disk, 'away')]);
    for (const [here = '', away = ''] of parts) renameSync(here, away);
    await on.mount();
    const folder = join(on.mountPoint, 'full');
    const { files } = await run('fill.py', ['fill', folder]);
    expect(files).toBeGreaterThan(10);
    await run('fill.py', ['check', folder, String(files)]);
    await expect(on.commit()).rejects.toThrow('UNAVAILABLE');
    await on.killAll();
    for (const [here = '', away = ''] of parts) renameSync(away, here);
    await on.mount();
    await run('fill.py', ['check', folder, String(files)]);
    await on.commit();
    await run('fill.py', ['fill', join(on.mountPoint, 'more'), '60']);
    await run('fill.py', ['check', folder, String(files)]);
  }, 120_000);
});
