/**
 * Measures the daemon's memory while many files and much data are copied through it: `npm run
 * memory`. Prints the largest resident set of the daemon, and fails when it is over the limit.
 * Minutes long, so not part of the tests.
 *
 * Flags: --files N, --bytes N (in all), --limit-mib N, --scheme S, --dir FOLDER.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { DfsError, messageOf } from '../../src/base/errors.ts';
import { GIB } from '../../src/base/limits.ts';

const DFSCTL = fileURLToPath(new URL('../../../bin/dfsctl', import.meta.url));
const WRITER = fileURLToPath(new URL('./write-files-main.js', import.meta.url));
const SAMPLE_MS = 250;

interface Options {
  files: string;
  bytes: string;
  limitMib: string;
  scheme: string;
  dir: string;
}

function dfsctl(...args: string[]): string {
  const result = spawnSync(process.execPath, [DFSCTL, ...args], { encoding: 'utf8' });
  if (result.status === 0) return result.stdout;
  throw new DfsError('IO', `dfsctl ${args.join(' ')} failed: ${result.stderr.trim()}`);
}

/** The daemon of HOME: the process whose command line names its program and HOME. */
function daemonPid(home: string): number {
  const found = spawnSync('pgrep', ['-f', `daemon-main.js .*"home":"${home}"`], {
    encoding: 'utf8',
  });
  const pid = Number(found.stdout.trim().split('\n')[0]);
  if (pid > 0) return pid;
  throw new DfsError('NOT_FOUND', `Cannot find the daemon of ${home}`);
}

function peakMib(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
}

/** Runs the writer to its end; the largest resident set of the daemon meanwhile, in MiB. */
async function watch(writer: ChildProcess, pid: number): Promise<number> {
  let ended: number | undefined;
  writer.on('exit', (code) => {
    ended = code ?? 1;
  });
  while (ended === undefined) await delay(SAMPLE_MS);
  if (ended !== 0) throw new DfsError('IO', `the writer failed with ${ended}`);
  return peakMib(pid);
}

async function run(options: Options): Promise<void> {
  const root = mkdtempSync(join(options.dir, 'dfs-memory-'));
  const [home, mountPoint] = [join(root, 'home'), join(root, 'mnt')];
  const disks = ['a', 'b', 'c'].map((name) => join(root, name));
  for (const folder of [mountPoint, ...disks]) mkdirSync(folder);
  try {
    const flags = disks.flatMap((disk) => ['--disk', disk]);
    dfsctl('init', home, ...flags, '--scheme', options.scheme, '--cache-size', '2GiB');
    dfsctl('mount', home, mountPoint);
    const pid = daemonPid(home);
    const started = performance.now();
    const args = [WRITER, mountPoint, options.files, options.bytes];
    const copied = await watch(spawn(process.execPath, args, { stdio: 'inherit' }), pid);
    dfsctl('commit', mountPoint);
    const seconds = (performance.now() - started) / 1000;
    const peak = Math.max(copied, peakMib(pid));
    console.log(
      JSON.stringify({ ...options, seconds: Math.round(seconds), peakMib: Math.round(peak) }),
    );
    if (peak > Number(options.limitMib)) {
      throw new DfsError(
        'NO_SPACE',
        `the daemon took ${Math.round(peak)} MiB, over ${options.limitMib} MiB`,
      );
    }
  } finally {
    spawnSync(process.execPath, [DFSCTL, 'umount', mountPoint, '--now']);
    rmSync(root, { recursive: true, force: true });
  }
}

const program = new Command()
  .option('--files <n>', 'number of files', '100000')
  .option('--bytes <n>', 'bytes in all files together', String(8 * GIB))
  .option('--limit-mib <n>', 'largest resident set allowed, in MiB', '300')
  .option('--scheme <scheme>', 'replica:N or ec:K+M', 'replica:2')
  .option('--dir <folder>', 'where to work', tmpdir())
  .parse();
try {
  await run(program.opts<Options>());
} catch (error) {
  console.error(`memory: ${messageOf(error)}`);
  process.exitCode = 1;
}
