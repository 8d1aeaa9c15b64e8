/**
 * Works for hours on single files of a mount and compares every byte with a model: `npm run
 * torture:file -- --ops 10000000`. Rounds on fresh volumes, by one process or by several on one
 * file, with commits, evictions and killed daemons. Prints a line of JSON a round, and at the first
 * difference what led to it; then the status is 1.
 *
 * Flags: --ops N, --seed N, --round-ops N, --kill-every SECONDS (0: none), --scheme S,
 * --dir FOLDER, --need-all.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { messageOf } from '../../src/base/errors.ts';
import { CHUNK_BYTES_MAX, KIB, MIB } from '../../src/base/limits.ts';
import {
  argumentsOf,
  compileFileModel,
  type FileModelOptions,
  type FileModelResult,
  FileModelRun,
} from './file-model.ts';
import { TortureVolume } from './volume.ts';

interface Options {
  ops: string;
  seed: string;
  roundOps: string;
  killEvery: string;
  scheme: string;
  dir: string;
  needAll?: true;
}

/** What the rounds are, again and again; the last ones are slow, because the files are long. */
const KINDS: readonly Partial<FileModelOptions>[] = [
  { sizeBytes: 256 * KIB },
  { sizeBytes: 512 * KIB, processes: 6 },
  { sizeBytes: 3 * MIB },
  { sizeBytes: 256 * KIB },
  { sizeBytes: 2 * MIB, processes: 4 },
  { sizeBytes: 128 * KIB },
  { sizeBytes: MIB },
  { sizeBytes: 9 * MIB },
];
const LONG_FILES_SHARE = 8;
const EVICT_EVERY = 40;
const COMMIT_EVERY = 500;
const SAY_EVERY_MS = 60_000;

/** Ends what runs when the process is told to end. */
class Cleanup {
  readonly #all = new Set<() => void>();

  constructor() {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        this.run();
        process.exit(1);
      });
    }
  }

  add(step: () => void): () => void {
    this.#all.add(step);
    return () => {
      if (this.#all.delete(step)) step();
    };
  }

  run(): void {
    for (const step of [...this.#all].reverse()) step();
    this.#all.clear();
  }
}

async function killNowAndThen(
  volume: TortureVolume,
  run: FileModelRun,
  everySeconds: number,
): Promise<number> {
  let kills = 0;
  while (!run.isOver) {
    const waits = everySeconds === 0 ? [] : [delay(1000 * everySeconds, 0, { ref: false })];
    await Promise.race([...waits, run.ended.catch(() => undefined)]);
    if (!run.isOver && volume.killDaemon()) kills++;
  }
  return kills;
}

interface Round {
  options: FileModelOptions;
  result: FileModelResult;
  kills: number;
}

async function playRound(
  program: string,
  wanted: FileModelOptions,
  options: Options,
  cleanup: Cleanup,
): Promise<Round> {
  const volume = await TortureVolume.create(options);
  const removeVolume = cleanup.add(() => volume.remove());
  const all = { ...wanted, control: volume.control };
  const run = new FileModelRun(program, argumentsOf(volume.mountPoint, all));
  const endRun = cleanup.add(() => run.kill());
  const say = setInterval(() => {
    console.error(`torture: seed ${wanted.seed}, ${run.done} of ${wanted.operations} operations`);
  }, SAY_EVERY_MS);
  try {
    const kills = await killNowAndThen(volume, run, Number(options.killEvery));
    const result = await run.ended;
    await volume.check();
    return { options: wanted, result, kills };
  } catch (error) {
    console.error(volume.log());
    throw error;
  } finally {
    clearInterval(say);
    endRun();
    removeVolume();
  }
}

function kindOf(round: number, options: Options): FileModelOptions {
  const kind = KINDS[round % KINDS.length] ?? {};
  const isLong = (kind.sizeBytes ?? 0) > CHUNK_BYTES_MAX;
  const operations = Number(options.roundOps) / (isLong ? LONG_FILES_SHARE : 1);
  return {
    operations: Math.ceil(operations),
    seed: String(Number(options.seed) + round),
    evictEvery: EVICT_EVERY,
    commitEvery: COMMIT_EVERY,
    ...(options.needAll === true ? { needAll: true } : {}),
    ...kind,
  };
}

async function play(options: Options, cleanup: Cleanup): Promise<void> {
  const folder = mkdtempSync(join(options.dir, 'dfs-torture-program-'));
  cleanup.add(() => rmSync(folder, { recursive: true, force: true }));
  const program = await compileFileModel(folder);
  const total = { operations: 0, kills: 0, seconds: 0 };
  for (let round = 0; total.operations < Number(options.ops); round++) {
    const { result, kills, ...one } = await playRound(
      program,
      kindOf(round, options),
      options,
      cleanup,
    );
    total.operations += result.operations;
    total.kills += kills;
    total.seconds += result.seconds;
    console.log(JSON.stringify({ round, ...one.options, ...result, kills }));
  }
  console.log(JSON.stringify({ ...total, seed: options.seed, differences: 0 }));
}

const program = new Command()
  .option('--ops <n>', 'operations of all rounds', '10000000')
  .option('--seed <n>', 'seed of the first round', String(Date.now()))
  .option('--round-ops <n>', 'operations of a round', '250000')
  .option('--kill-every <seconds>', 'kill the daemon so often; 0: never', '60')
  .option('--scheme <scheme>', 'replica:N or ec:K+M', 'replica:2')
  .option('--dir <folder>', 'where to work', tmpdir())
  .option('--need-all', 'fail when the mount does not know an operation')
  .parse();
const cleanup = new Cleanup();
try {
  await play(program.opts<Options>(), cleanup);
} catch (error) {
  console.error(`torture: ${messageOf(error)}`);
  process.exitCode = 1;
} finally {
  cleanup.run();
}
