/**
 * npm run recovery: how long it takes to build the metadata of a volume with many files anew from
 * its disks, and to mount it then. Makes pieces and logs as commits would have written them, in a
 * temporary folder; each step is a process of its own, whose CPU time and memory are measured.
 *
 * Napkin. A file is some four rows (inode, name, extent, chunk) of 300 bytes together and 250 bytes
 * of log. Copying a database of 300 MB and decompressing it: 3 s. Carrying out 250 MB of operations
 * at 4 us a row: 20 s. The live database is a copy again. 60 s are allowed for 1,000,000 files.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { DfsError, messageOf } from '../../src/base/errors.ts';
import { diskFolders, STEPS, type StepOptions } from './steps.ts';

const STEP = fileURLToPath(new URL('./step-main.js', import.meta.url));

interface Options {
  files: string;
  chunkBytes: string;
  scheme: string;
  dir: string;
  profile?: string;
  keep?: true;
}

interface Found extends Record<string, unknown> {
  seconds: number;
  cpuSeconds: number;
  peakMib: number;
}

/** Runs one step to its end; what it said last. */
async function runStep(name: string, step: StepOptions, profile?: string): Promise<Found> {
  const flags =
    profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${join(profile, name)}`];
  const child = spawn(process.execPath, [...flags, STEP, name, JSON.stringify(step)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  await new Promise((resolve) => child.on('close', resolve));
  const line = output.trim().split('\n').at(-1) ?? '';
  if (line === '') throw new DfsError('IO', `step ${name} failed`);
  return JSON.parse(line) as Found;
}

async function run(options: Options): Promise<void> {
  const folder = mkdtempSync(join(options.dir, 'dfs-recovery-'));
  const files = Number(options.files);
  const { scheme, chunkBytes } = options;
  const step: StepOptions = { folder, files, scheme, chunkBytes: Number(chunkBytes) };
  try {
    for (const path of diskFolders(folder)) mkdirSync(path);
    for (const name of Object.keys(STEPS)) {
      const { seconds, cpuSeconds, peakMib, ...facts } = await runStep(name, step, options.profile);
      const rate = Math.round(files / seconds).toLocaleString('en');
      const [load = 0] = loadavg();
      console.log(
        `${name.padEnd(22)} ${seconds.toFixed(1)} s, CPU ${cpuSeconds.toFixed(1)} s, ${rate} files/s, ` +
          `${Math.round(peakMib)} MiB, load ${load.toFixed(1)} ${JSON.stringify(facts)}`,
      );
    }
  } finally {
    if (options.keep !== true) rmSync(folder, { recursive: true, force: true });
    else console.log(`kept: ${folder}`);
  }
}

const program = new Command('recovery')
  .option('--files <n>', 'number of files', '1000000')
  .option('--chunk-bytes <n>', 'content of each file', '512')
  .option('--scheme <scheme>', 'replica:N or ec:K+M over three disk folders', 'replica:2')
  .option('--dir <folder>', 'where to make a temporary folder', tmpdir())
  .option('--profile <folder>', 'write CPU profiles of each step and its threads below this folder')
  .option('--keep', 'leave the temporary folder behind')
  .parse();
try {
  await run(program.opts<Options>());
} catch (error) {
  console.error(`recovery: ${messageOf(error)}`);
  process.exitCode = 1;
}
