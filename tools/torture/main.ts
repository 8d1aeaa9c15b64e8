/**
 * Cuts the power of volumes at random moments and compares what is left with what had been
 * acknowledged: `npm run torture -- --minutes 10`. docs/reliability.md says what is checked. Prints
 * what was done as one line of JSON; at a violation what is wrong, what led to it and the command
 * that plays the seed again, and the status is 1.
 */
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { DfsError, messageOf } from '../../src/base/errors.ts';
import { replay } from './replay.ts';
import { torture } from './torture.ts';

interface Options {
  minutes: string;
  seed: string;
  points?: string;
  perSeed: string;
  only?: string;
  workers: string;
  killsEvery: string;
  json?: string;
  keep?: string;
  dir: string;
  replay?: string;
}

/** Storage in memory is enough: what is durable there is decided by the rig. */
const MEMORY = '/dev/shm';
const MEMORY_BYTES_MIN: number = 2 ** 30;

function fastFolder(): string {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    return bavail * bsize >= MEMORY_BYTES_MIN ? MEMORY : tmpdir();
  } catch {
    return tmpdir();
  }
}

function numberOf(text: string, what: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value >= 0) return value;
  throw new DfsError('BAD_ARGUMENT', `Cannot use "${text}" for ${what}: give a number`);
}

async function run(options: Options): Promise<boolean> {
  const folder = mkdtempSync(join(options.dir, 'dfs-torture-'));
  const clean = (): void => rmSync(folder, { recursive: true, force: true });
  let isEnding = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      isEnding = true;
    });
  }
  try {
    if (options.replay !== undefined) return await replay(options.replay, folder);
    const { points, only, keep } = options;
    const summary = await torture({
      folder,
      seed: numberOf(options.seed, '--seed'),
      seconds: 60 * numberOf(options.minutes, '--minutes'),
      points: points === undefined ? Number.POSITIVE_INFINITY : numberOf(points, '--points'),
      pointsPerSeed: numberOf(options.perSeed, '--per-seed'),
      workers: Math.max(1, numberOf(options.workers, '--workers')),
      killsEvery: numberOf(options.killsEvery, '--kills-every'),
      isOver: () => isEnding,
      ...(only === undefined ? {} : { only: numberOf(only, '--only') }),
      ...(keep === undefined ? {} : { keep }),
    });
    const text = JSON.stringify(summary);
    console.log(text);
    if (options.json !== undefined) writeFileSync(options.json, `${text}\n`);
    return summary.violations.length === 0;
  } finally {
    clean();
  }
}

const program = new Command()
  .description('cuts the power of volumes at random moments and checks what is left')
  .option('--minutes <n>', 'how long to go on', '10')
  .option('--seed <n>', 'the first seed', String(Math.floor(Math.random() * 2 ** 30)))
  .option('--points <n>', 'end after so many points')
  .option('--per-seed <n>', 'points of one run of a load', '10')
  .option('--only <n>', 'check this point of the first seed and no other')
  .option('--workers <n>', 'processes that play seeds', '1')
  .option('--kills-every <n>', 'of so many seeds one kills processes; 0: none', '20')
  .option('--json <file>', 'write the summary there, too')
  .option('--keep <folder>', 'keep states with violations there')
  .option('--replay <folder>', 'check a state that was kept')
  .option('--dir <folder>', 'where to work', fastFolder())
  .parse();
try {
  if (!(await run(program.opts<Options>()))) process.exitCode = 1;
} catch (error) {
  console.error(`torture: ${messageOf(error)}`);
  process.exitCode = 1;
}
