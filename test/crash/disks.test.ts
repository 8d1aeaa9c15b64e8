import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { MIB } from '../../src/base/limits.ts';
import { check, Load } from '../harness/load.ts';
import { run } from '../harness/processes.ts';
import { canMount, TestVolume, type VolumeOptions } from '../harness/volume.ts';

const ROLES = ['append', 'names', 'wal', 'blocks-1', 'blocks-2', 'blocks-3'];

describe.skipIf(!canMount)('disks in trouble', () => {
  let volume: TestVolume | undefined;
  let load: Load | undefined;

  const create = async (options: VolumeOptions): Promise<TestVolume> => {
    volume = await TestVolume.create({ cacheBytes: 64 * MIB, ...options });
    await volume.mount();
    return volume;
  };

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.log(volume?.log);
    await load?.end();
    await volume?.dispose();
    load = undefined;
    volume = undefined;
  });

  test('a disk folder is deleted under load: no error, nothing is lost', async () => {
    const on = await create({});
    load = new Load(on, ROLES);
    await load.started();
    await pause(1000);
    // Away at once: while it is emptied, the daemon may make new files in it.
    const gone = on.subfolder('gone');
    renameSync(join(on.disks[2] ?? '', 'dfs'), join(gone, 'dfs'));
    rmSync(gone, { recursive: true, maxRetries: 10 });
    await pause(1000);
    // The next daemon finds the disk gone; the first one could still use what it had open.
    await on.killDaemon();
    await on.serving();
    await pause(1000);
    expect(load.ended).toEqual([]);
    const { health } = await on.call('GET', '/status');
    expect(health).toBe('degraded');
    const counts = await load.finish();
    await on.unmount();
    const report = await on.recover(on.disks.slice(0, 2));
    expect(report.lost).toEqual([]);
    await on.mount();
    await check(on, counts, 0);
  }, 120_000);

  test('all disks are full: ENOSPC for what does not fit, all before it stays', async () => {
    const on = await create({ diskMib: 72, bucketBytes: 4 * MIB });
    const folder = join(on.mountPoint, 'full');
    const { files } = await run('fill.py', ['fill', folder]);
    expect(files).toBeGreaterThan(10);
    const { health } = await on.call('GET', '/status');
    expect(health).toBe('failing');
    await expect(on.commit()).rejects.toThrow('NO_SPACE');
    await run('fill.py', ['check', folder, String(files)]);
    await on.killDaemon();
    await on.serving();
    await run('fill.py', ['check', folder, String(files)]);
    await on.killAll();
    await on.mount();
    await run('fill.py', ['check', folder, String(files)]);
  }, 120_000);
});
