/**
 * npm run bench: works on a mounted volume and on a native folder of the same device, in turn, in
 * one run, as ratios and beside a napkin estimate of each. docs/performance.md says what came of
 * it.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { messageOf } from '../../src/base/errors.ts';
import { expansionFactor, parseScheme } from '../../src/chunk/mod.ts';
import { BenchVolume } from './bench-volume.ts';
import { Children } from './children.ts';
import { measureLimits } from './limits.ts';
import { openBench, QUICK, USUAL } from './open-bench.ts';
import { describeMachine, formatReport, type Report } from './report.ts';
import { bytesNeeded, checkRoom } from './room.ts';
import { runWork } from './runner.ts';
import type { Work } from './work.ts';
import { COMMIT_WORKS } from './works-commit.ts';
import { DATABASE_WORKS } from './works-database.ts';
import { RANDOM_WORKS } from './works-random.ts';
import { REPAIR_WORKS } from './works-repair.ts';
import { SMALL_WORKS } from './works-small.ts';
import { STREAM_WORKS } from './works-stream.ts';
import { TREE_WORKS } from './works-tree.ts';
import { VOLUME_WORKS } from './works-volume.ts';

const WORKS: readonly Work[] = [
  ...STREAM_WORKS,
  ...RANDOM_WORKS,
  ...SMALL_WORKS,
  ...TREE_WORKS,
  ...DATABASE_WORKS,
  ...COMMIT_WORKS,
  ...REPAIR_WORKS,
  ...VOLUME_WORKS,
];
/** Whatever hangs, a bench ends. */
const DEADLINE_MS: number = 45 * 60_000;
const QUICK_DEADLINE_MS: number = 5 * 60_000;

interface Options {
  scheme: string;
  dir: string;
  quick?: true;
  only?: string;
  rounds?: string;
  json?: string;
}

/** The folder with package.json: above the source, and above what is built from it. */
function repositoryFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

function parseOptions(repository: string): Options {
  const names = WORKS.map(({ name }) => name).join(', ');
  return new Command('bench')
    .description('Measures a mounted volume against a native folder on the same device.')
    .option('--scheme <scheme>', 'replica:N or ec:K+M over three disk folders', 'replica:2')
    .option('--dir <folder>', 'where to make a temporary folder', dirname(repository))
    .option('--quick', 'small works, one round: some 30 seconds')
    .option('--only <names>', `only these works, of ${names}`)
    .option('--rounds <number>', 'how often each work is done on each side (default: 3)')
    .option('--json <file>', 'write everything that was found into this file')
    .parse()
    .opts<Options>();
}

function chosenWorks(only: string | undefined): readonly Work[] {
  if (only === undefined) return WORKS;
  const names = only.split(',');
  const unknown = names.find((name) => !WORKS.some((work) => work.name === name));
  if (unknown !== undefined) throw new Error(`Cannot bench "${unknown}": there is no such work`);
  return WORKS.filter(({ name }) => names.includes(name));
}

const repository = repositoryFolder();
const options = parseOptions(repository);
const quick = options.quick === true;
const rounds = Number(options.rounds ?? (quick ? 1 : 3));
const children = new Children();
let volume: BenchVolume | undefined;
let report: Report | undefined;

/** Also when the bench breaks off: what it has found by then took minutes. */
function publish(): void {
  if (report === undefined || report.results.length === 0) return;
  report.machine.loadAfter = loadavg();
  process.stdout.write(`${formatReport(report).join('\n')}\n`);
  if (options.json === undefined) return;
  writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
}

function end(status: number, reason?: unknown): never {
  if (reason !== undefined) process.stderr.write(`bench: ${messageOf(reason)}\n`);
  // First of all nothing may be left behind; a result that cannot be written is a smaller harm.
  children.killAll();
  volume?.destroy();
  publish();
  process.exit(status);
}

process.on('SIGINT', () => end(130, 'interrupted')).on('SIGTERM', () => end(143, 'terminated'));
process.on('SIGHUP', () => end(129, 'the terminal is gone'));
process.on('exit', () => volume?.destroy());
process.on('uncaughtException', (error) => end(1, error));
process.on('unhandledRejection', (error) => end(1, error));
setTimeout(() => end(1, 'it takes too long'), quick ? QUICK_DEADLINE_MS : DEADLINE_MS);

try {
  const works = chosenWorks(options.only);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds takes a number from 1');
  const scheme = parseScheme(options.scheme);
  const machine = describeMachine(repository);
  const sizes = quick ? QUICK : USUAL;
  const copies = expansionFactor(scheme);
  checkRoom(resolve(options.dir), bytesNeeded(sizes, { rounds, copies }));
  volume = new BenchVolume(resolve(options.dir));
  const bench = await openBench({
    volume,
    children,
    repository,
    scheme: options.scheme,
    copies,
    sizes,
  });
  const limits = await measureLimits(bench);
  const facts = { scheme: options.scheme, rounds, quick };
  report = { machine, options: facts, limits, results: [] };
  for (const work of works) {
    const start = performance.now();
    report.results.push(...(await runWork(bench, work, { rounds, limits })));
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    process.stderr.write(`bench: ${work.name} done in ${seconds} s\n`);
  }
  end(0);
} catch (error) {
  if (volume !== undefined) process.stderr.write(volume.log);
  end(1, error);
}
