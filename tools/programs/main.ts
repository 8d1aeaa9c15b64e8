/**
 * npm run programs: programs from Debian's packages on a mounted volume, each with a check of what
 * it did. docs/reliability.md says what they do and what came of it.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { DfsError, messageOf } from '../../src/base/errors.ts';
import { Bed, type VolumeOptions } from './bed.ts';
import { BONNIE } from './bonnie.ts';
import { DBENCH } from './dbench.ts';
import { FIO } from './fio.ts';
import { GIT } from './git.ts';
import { installMissing } from './packages.ts';
import { PGBENCH } from './pgbench.ts';
import { POSTGRES } from './postgres.ts';
import type { Program } from './program.ts';
import { RSYNC } from './rsync.ts';
import { SQLITE } from './sqlite.ts';
import { STRESS } from './stress-ng.ts';
import { TAR } from './tar.ts';

const PROGRAMS: readonly Program[] = [
  GIT,
  SQLITE,
  RSYNC,
  TAR,
  FIO,
  BONNIE,
  DBENCH,
  POSTGRES,
  STRESS,
];
/** Only when asked for: a measure. */
const MEASURES: readonly Program[] = [PGBENCH];
/** Whatever hangs, a run ends, also on a machine with much else to do. */
const DEADLINE_MS: number = 60 * 60_000;

interface Options extends VolumeOptions {
  dir: string;
  quick?: true;
  native?: true;
  only?: string;
  json?: string;
}

interface Outcome {
  name: string;
  ok: boolean;
  seconds: number;
  /** What was checked, or what failed. */
  text: string;
}

/** The folder with package.json: above the source, and above what is built from it. */
function repositoryFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

function parseOptions(): Options {
  const names = [...PROGRAMS, ...MEASURES].map(({ name }) => name).join(', ');
  return new Command('programs')
    .description("Runs programs from Debian's packages on a mounted volume and checks their work.")
    .option('--scheme <scheme>', 'replica:N or ec:K+M over three disk folders', 'replica:2')
    .option('--cache-size <size>', 'of the volume; a small one evicts all the time', '4GiB')
    .option('--mode <mode>', 'weak or strong: what fsync waits for', 'weak')
    .option('--dir <folder>', 'where to make a temporary folder', tmpdir())
    .option('--quick', 'small works: under two minutes for all')
    .option('--native', 'on a native folder instead, to prove the checks themselves')
    .option('--only <names>', `only these, of ${names}`)
    .option('--json <file>', 'write the results into this file')
    .parse()
    .opts<Options>();
}

function chosenPrograms(only: string | undefined): readonly Program[] {
  if (only === undefined) return PROGRAMS;
  const names = only.split(',');
  const all = [...PROGRAMS, ...MEASURES];
  const unknown = names.find((name) => !all.some((program) => program.name === name));
  if (unknown !== undefined) {
    throw new DfsError('BAD_ARGUMENT', `Cannot run "${unknown}": there is no such program here`);
  }
  return all.filter(({ name }) => names.includes(name));
}

async function runProgram(program: Program, on: Bed): Promise<Outcome> {
  const { name } = program;
  const start = performance.now();
  const seconds = (): number => Math.round((performance.now() - start) / 100) / 10;
  try {
    const ground = await on.ground(name, { quick: options.quick === true });
    const text = await program.run(ground);
    const outcome = { name, ok: true, seconds: seconds(), text };
    await on.clear(ground);
    return outcome;
  } catch (error) {
    return { name, ok: false, seconds: seconds(), text: messageOf(error) };
  }
}

function say({ name, ok, seconds, text }: Outcome): void {
  const time = `${seconds.toFixed(1)} s`.padStart(8);
  process.stdout.write(`${name.padEnd(10)} ${ok ? 'ok    ' : 'failed'} ${time}  ${text}\n`);
}

const options = parseOptions();
const outcomes: Outcome[] = [];
let bed: Bed | undefined;

function end(status: number, reason?: unknown): never {
  if (reason !== undefined) process.stderr.write(`programs: ${messageOf(reason)}\n`);
  bed?.destroy();
  bed = undefined;
  const { json, ...how } = options;
  if (json !== undefined && outcomes.length > 0) {
    const report = { node: process.version, ...how, outcomes };
    writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  }
  process.exit(status);
}

process.on('SIGINT', () => end(130, 'interrupted')).on('SIGTERM', () => end(143, 'terminated'));
process.on('SIGHUP', () => end(129, 'the terminal is gone'));
process.on('uncaughtException', (error) => end(1, error));
process.on('unhandledRejection', (error) => end(1, error));
setTimeout(() => end(1, 'it takes too long'), DEADLINE_MS);

try {
  const programs = chosenPrograms(options.only);
  if (process.getuid?.() !== 0) {
    const why = 'packages, mounts and other users take root; run this as root';
    throw new DfsError('BAD_ARGUMENT', `Cannot run the programs: ${why}`);
  }
  const repository = repositoryFolder();
  bed = new Bed({ parent: options.dir, repository, isNative: options.native === true });
  const installed = await installMissing(programs, bed.processes);
  if (installed.length > 0) process.stderr.write(`programs: installed ${installed.join(', ')}\n`);
  await bed.open(options);
  for (const program of programs) {
    const outcome = await runProgram(program, bed);
    outcomes.push(outcome);
    say(outcome);
    if (!outcome.ok && options.native !== true) process.stderr.write(bed.log);
  }
  await bed.close();
  end(outcomes.every(({ ok }) => ok) ? 0 : 1);
} catch (error) {
  end(1, error);
}
