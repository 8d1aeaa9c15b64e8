import { appendFileSync, chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { setXattr } from '../../src/base/os/mod.ts';
import { requireConfig, writeConfig } from '../../src/home/mod.ts';
import { FaultFs, type Mark } from '../faultfs/mod.ts';
import type { Dice } from '../harness/seed.ts';
import { TestVolume } from '../harness/volume.ts';
import type { Load } from './load.ts';
import { NodeProgram } from './program.ts';

export const DISKS: readonly string[] = ['disk1', 'disk2', 'disk3'];
const MIB = 2 ** 20;
const COMMITS_EVERY_MS = 700;

/** How a volume is used in a run. */
export interface Plan {
  scheme: string;
  mode: 'weak' | 'strong';
  loads: readonly Load[];
  /** Names of loads in folders that are marked strong, on a mount that is weak. */
  marked: readonly string[];
  /** How often the daemon is killed meanwhile: databases shall see a pause, and no error. */
  kills: number;
  /** How long the databases run. */
  loadMs: number;
}

/** What happened on the devices while databases ran on a mounted volume. */
export interface Recording {
  devices: FaultFs;
  from: number;
  to: number;
  /** Lines "NAME NUMBER" and "committed SEQUENCE". */
  marks: Mark[];
}

/**
 * Runs all databases of a plan at the same time, on one volume whose HOME and disks are devices
 * that remember everything. The daemon is killed in the end; the devices are the caller's to stop.
 */
export async function record(plan: Plan, dice: Dice, folder: string): Promise<Recording> {
  const devices = await FaultFs.start({ devices: ['home', ...DISKS], folder });
  let volume: TestVolume | undefined;
  const programs: NodeProgram[] = [];
  try {
    volume = await TestVolume.create({
      scheme: plan.scheme,
      home: devices.device('home'),
      diskFolders: DISKS.map((name) => devices.device(name)),
      bucketBytes: 64 * MIB,
      cacheBytes: 256 * MIB,
    });
    const config = await requireConfig(volume.home);
    await writeConfig(volume.home, { ...config, commitIntervalMs: 100 + dice.below(1500) });
    await volume.mount({ mode: plan.mode });
    // PostgreSQL runs as a user of its own.
    chmodSync(volume.folder, 0o755);
    for (const { name } of plan.loads) {
      const place = join(volume.mountPoint, name);
      mkdirSync(place);
      if (plan.marked.includes(name)) await setXattr(place, 'user.dfs.mode', 'strong');
      programs.push(new NodeProgram('database-load-main.js', [name, place, devices.markPath]));
    }
    for (const program of programs) await program.next();
    await volume.commit();
    const from = await devices.settle();
    for (const program of programs) program.send('go');
    await Promise.all([
      commitNowAndThen({ volume, devices, dice, forMs: plan.loadMs }),
      killNowAndThen(volume, dice, plan),
    ]);
    const to = await devices.sequence();
    for (const program of programs) program.finish();
    for (const program of programs) await program.next();
    await volume.killAll();
    const marks = (await devices.marks()).filter((mark) => mark.sequence > from);
    return { devices, from, to, marks: marks.filter(({ sequence }) => sequence <= to) };
  } catch (error) {
    await devices.stop();
    throw error;
  } finally {
    for (const program of programs) await program.end();
    await volume?.dispose();
  }
}

/** Asks for commits at random, and notes what each had in it: all that was acknowledged before. */
async function commitNowAndThen(options: {
  volume: TestVolume;
  devices: FaultFs;
  dice: Dice;
  forMs: number;
}): Promise<void> {
  const { volume, devices, dice, forMs } = options;
  const end = Date.now() + forMs;
  while (Date.now() < end) {
    await delay(dice.below(COMMITS_EVERY_MS));
    const before = await devices.sequence();
    // A daemon that is killed meanwhile answers nothing.
    const epoch = await volume.commit().catch(() => undefined);
    if (epoch !== undefined) appendFileSync(devices.markPath, `committed ${before}\n`);
  }
}

async function killNowAndThen(volume: TestVolume, dice: Dice, plan: Plan): Promise<void> {
  for (let kill = 0; kill < plan.kills; kill++) {
    await delay(dice.below(Math.ceil(plan.loadMs / plan.kills)));
    await volume.killDaemon();
    await volume.serving();
  }
}
