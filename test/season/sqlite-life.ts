/**
 * A database at work on the mount while a disk dies, another is added and the first returns: what
 * its transactions meet. They see no error; how long they take is measured, phase by phase.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { NodeProgram } from '../databases/program.ts';
import { FaultFs } from '../faultfs/mod.ts';
import { until } from '../harness/processes.ts';
import { TestVolume } from '../harness/volume.ts';
import { dfsctlWell, hasVerb } from './verbs.ts';

const MIB: number = 2 ** 20;
const DEVICE_BYTES: number = 512 * MIB;
const DISKS: readonly string[] = ['disk1', 'disk2', 'disk3', 'disk4'];
const SPARE = 'disk5';
const DYING = 2;

/** What the transactions of one phase took. */
export interface Phase {
  readonly phase: string;
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Runs it; every phase takes so long, or until what it waits for has come. Rejects at an error. */
export async function runSqliteLife(options: {
  seconds: number;
  mode: 'weak' | 'strong';
  folder?: string;
}): Promise<{ phases: Phase[]; transactions: number }> {
  const { seconds, mode, folder } = options;
  const sizes = Object.fromEntries([...DISKS, SPARE].map((name) => [name, DEVICE_BYTES]));
  const place = folder === undefined ? {} : { folder };
  const devices = await FaultFs.start({ devices: sizes, ...place });
  const diskFolders = DISKS.map((name) => devices.device(name));
  let volume: TestVolume | undefined;
  let database: NodeProgram | undefined;
  try {
    volume = await TestVolume.create({ diskFolders, bucketBytes: 8 * MIB });
    await dfsctlWell(['config', volume.home, 'rebuildAfterMs=2000']);
    await volume.mount({ mode });
    database = new NodeProgram('season-sqlite-main.js', [join(volume.mountPoint, 'db')]);
    await answerOf(database);
    const phases = await goThrough({ devices, volume, database, seconds });
    database.finish();
    const { checked } = await answerOf(database);
    return { phases, transactions: Number(checked) };
  } finally {
    await database?.end();
    await volume?.dispose();
    await devices.stop();
  }
}

async function answerOf(database: NodeProgram): Promise<Record<string, unknown>> {
  const answer = await database.next();
  if (answer.failed === undefined) return answer;
  throw new Error(`The database failed: ${JSON.stringify(answer.failed)}`);
}

interface Scene {
  readonly devices: FaultFs;
  readonly volume: TestVolume;
  readonly database: NodeProgram;
  readonly seconds: number;
}

async function goThrough({ devices, volume, database, seconds }: Scene): Promise<Phase[]> {
  const phases: Phase[] = [];
  const phase = async (name: string, work?: () => Promise<void>): Promise<void> => {
    // The answer tells of the phase before.
    database.send(name);
    phases.push((await answerOf(database)) as unknown as Phase);
    await work?.();
    await pause(1000 * seconds);
    await devices.settle();
  };
  await phase('before');
  let rule = 0;
  await phase('a disk dies', async () => {
    rule = await devices.setFault({ devices: ['disk2'], operation: 'any', kind: 'EIO' });
    await untilState(volume, ['down', 'missing']);
  });
  if (await hasVerb('diskmap add')) {
    await phase('another is added', async () => {
      const args = ['diskmap', 'add', volume.mountPoint, devices.device(SPARE), '--yes'];
      await dfsctlWell(args);
    });
    await phase('the first returns', async () => {
      await devices.clearFault(rule);
      await untilState(volume, ['up']);
    });
  }
  await phase('after');
  await phase('end');
  return phases.slice(1);
}

async function untilState(volume: TestVolume, states: readonly string[]): Promise<void> {
  await until(`disk ${DYING} is ${states.join(' or ')}`, async () => {
    const { disks } = (await volume.call('GET', '/status')) as unknown as {
      disks: { id: number; state: string }[];
    };
    return states.includes(disks.find(({ id }) => id === DYING)?.state ?? '');
  });
}
