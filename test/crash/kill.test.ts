import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MIB } from '../../src/base/limits.ts';
import { check, Load } from '../harness/load.ts';
import { until } from '../harness/processes.ts';
import { Dice, seedOf } from '../harness/seed.ts';
import { canMount, TestVolume } from '../harness/volume.ts';

const KILLS = Number(process.env.DFS_KILLS ?? 20);
const ROLES = [
  'append',
  'names',
  'wal',
  'delete',
  'mapped',
  'truncate',
  'blocks-1',
  'blocks-2',
  'blocks-3',
];
const PAUSE_MS = 700;
/** About how long a daemon takes to take over. */
const TAKEOVER_MS = 400;
const EARLY_KILLS_MAX = 3;
const FILE = 'test/crash/kill.test.ts';

/** Mutations each daemon answers before it dies with one carried out and not answered. */
const DIE_AFTER = [7, 0, 12, 3, 0, 0, 26, 5, 1, 9, 31, 2, 14, 0, 1, 0, 19, 4, 8, 23, 6, 11, 0, 3];
const DIE_PROGRAM = resolve(import.meta.dirname, '../../dist/test/programs/die-after.js');

describe.skipIf(!canMount)('kill -9 under load', () => {
  let volume: TestVolume;
  let load: Load | undefined;

  beforeEach(async () => {
    volume = await TestVolume.create({ cacheBytes: 64 * MIB });
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.log(volume.log);
    await load?.end();
    load = undefined;
    await volume.dispose();
  });

  test(`${KILLS} kills of the daemon: no error, nothing is lost, nothing done twice`, async () => {
    const dice = new Dice(seedOf(FILE));
    await volume.mount();
    load = new Load(volume, ROLES);
    await load.started();
    for (let kill = 0; kill < KILLS; kill++) {
      await pause(dice.below(PAUSE_MS));
      await volume.killDaemon();
      // Some die while they take over; after five of them the supervisor would give up.
      for (let early = dice.below(EARLY_KILLS_MAX + 1); early > 0; early--, kill++) {
        await pause(dice.below(TAKEOVER_MS));
        await volume.killDaemon();
      }
      await volume.serving();
      expect(load.ended).toEqual([]);
    }
    const counts = await load.finish();
    expect(load.committed).toBeGreaterThan(0);
    await volume.unmount();
    await volume.mount();
    await check(volume, counts, 0);
    await volume.unmount();
    const report = await volume.recover();
    expect(report.lost).toEqual([]);
    await volume.mount();
    await check(volume, counts, 0);
  }, 300_000);

  test('what was carried out and not answered is not carried out again', async () => {
    const lives = join(volume.folder, 'lives');
    const NODE_OPTIONS = `--import ${pathToFileURL(DIE_PROGRAM).href}`;
    const DFS_DIE_AFTER = DIE_AFTER.join(',');
    await volume.mount({ env: { NODE_OPTIONS, DFS_DIE_AFTER, DFS_LIVES: lives } });
    load = new Load(volume, ['names', 'delete']);
    await load.started();
    await until('every daemon has died', () => statSync(lives).size > DIE_AFTER.length, 60_000);
    expect(load.ended).toEqual([]);
    const counts = await load.finish();
    await volume.unmount();
    await volume.recover();
    await volume.mount();
    await check(volume, counts, 0);
  }, 120_000);

  test('kill of daemon and supervisor: the next mount has what was acknowledged', async () => {
    const dice = new Dice(seedOf(FILE));
    await volume.mount();
    load = new Load(volume, ROLES);
    await load.started();
    await pause(500 + dice.below(2000));
    await volume.killAll();
    const counts = await load.lastWords();
    await volume.mount();
    await check(volume, counts, 10_000);
    await volume.unmount();
    await volume.recover();
    await volume.mount();
    await check(volume, counts, 10_000);
  }, 300_000);
});
