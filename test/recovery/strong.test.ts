import { rmSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { must } from '../cli/run.ts';
import { check, Load } from '../harness/load.ts';
import { Dice, seedOf } from '../harness/seed.ts';
import { canMount, TestVolume } from '../harness/volume.ts';

/** Programs whose steps end with an fsync. */
const ROLES = ['append', 'wal', 'delete'];
/** Makes a folder strong. */
const MARK = 'import os, sys; os.setxattr(sys.argv[1], "user.dfs.mode", b"strong")';
/** More steps than any of them makes in a test. */
const MOST = 1_000_000;

describe.skipIf(!canMount)('in strong mode', () => {
  let volume: TestVolume;
  let load: Load | undefined;

  beforeEach(async () => {
    volume = await TestVolume.create();
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.log(volume.log);
    await load?.end();
    load = undefined;
    await volume.dispose();
  });

  test.each(['mount', 'folder'])(
    'by %s, what fsync returned for outlives HOME and a disk, whatever was killed',
    async (by) => {
      const dice = new Dice(seedOf('test/recovery/strong.test.ts'));
      await volume.mount({ mode: by === 'mount' ? 'strong' : 'weak' });
      if (by === 'folder') await must(['python3', '-c', MARK, volume.mountPoint]);
      load = new Load(volume, ROLES);
      await load.started();
      for (let kill = 0; kill < 3; kill++) {
        await pause(500 + dice.below(1000));
        await volume.killDaemon();
        await volume.serving();
        expect(load.ended).toEqual([]);
      }
      await pause(500 + dice.below(1000));
      await volume.killAll();
      const counts = await load.lastWords();
      expect(Math.min(...counts.values())).toBeGreaterThan(0);
      rmSync(volume.home, { recursive: true });
      const lost = dice.below(volume.disks.length);
      const report = await volume.recover(volume.disks.filter((_, index) => index !== lost));
      expect(report.lost).toEqual([]);
      await volume.mount({ readOnly: true });
      await check(volume, counts, MOST);
    },
    120_000,
  );
});
