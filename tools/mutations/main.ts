/**
 * Makes mistakes in the compiled program, one at a time, and runs the rigs on each: what they do not
 * find they would not find in our own work either. `npm run mutations`; --only NAME for one of them.
 * Prints a line for each, and the status is 1 when one is not found or cannot be made, or when
 * something is found in the program as it is.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { messageOf } from '../../src/base/errors.ts';
import { find, type Search } from './finders.ts';
import { copyRepository, mutate } from './mutated-copy.ts';
import { MUTATIONS } from './mutations.ts';

interface Options {
  only?: string[];
  seconds: string;
  seed: string;
  dir: string;
  check: boolean;
}

const NAME_COLUMNS = 24;
const STATE_COLUMNS = 160;
const ROOT: string = resolve(import.meta.dirname, '../../..');

async function run({ only, seconds, seed, dir, check }: Options): Promise<boolean> {
  const folder = mkdtempSync(join(dir, 'dfs-mutations-'));
  const chosen = MUTATIONS.filter(({ name }) => only?.includes(name) ?? true);
  try {
    copyRepository(ROOT, folder);
    const search = { folder, seed: Number(seed), seconds: Number(seconds) };
    let isGood = true;
    if (!check && only === undefined) isGood = await control(search);
    for (const mutation of chosen) {
      const { name, finder } = mutation;
      const undo = mutate(folder, mutation);
      if (!check) {
        const { evidence, seconds: took } = await find(finder, search);
        if (evidence === undefined) isGood = false;
        print(name, took, evidence ?? 'NOT FOUND');
      }
      undo();
    }
    if (check) console.log(`${chosen.length} mutations can be made`);
    return isGood;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Without a mistake nothing may be found. */
async function control(search: Search): Promise<boolean> {
  const { evidence, seconds } = await find('cuts', search);
  const state = evidence === undefined ? 'nothing, as it should be' : `FOUND ${evidence}`;
  print('(none)', seconds, state);
  return evidence === undefined;
}

function print(name: string, seconds: number, state: string): void {
  const time = `${seconds.toFixed(0).padStart(4)} s`;
  console.log(`${name.padEnd(NAME_COLUMNS)} ${time}  ${state.slice(0, STATE_COLUMNS)}`);
}

const program = new Command()
  .description('checks that the rigs find mistakes that are made on purpose')
  .option('--only <names...>', 'of all mutations these')
  .option('--seconds <n>', 'how long to look for each', '240')
  .option('--seed <n>', 'the first seed', '1')
  .option('--dir <folder>', 'where to work', tmpdir())
  .option('--check', 'only look whether all can still be made', false)
  .parse();
try {
  if (!(await run(program.opts<Options>()))) process.exitCode = 1;
} catch (error) {
  console.error(`mutations: ${messageOf(error)}`);
  process.exitCode = 1;
}
