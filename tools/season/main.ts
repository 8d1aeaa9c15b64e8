/**
 * A season in the life of a volume: `npm run season -- --events 200 --seed N`. Random events (disks
 * come, fail, fill, rot and return, daemons die, HOME is lost) while a load runs that knows every
 * byte; docs/reliability.md says what must hold. A line for each event, then one of JSON; the status
 * is 1 if anything was wrong or status did not tell the truth.
 */
import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { DfsError, messageOf } from '../../src/base/errors.ts';
import { runSeason } from '../../test/season/season.ts';

interface Options {
  events: string;
  seed: string;
  only?: string;
  json?: string;
  dir?: string;
}

function wholeOf(text: string, what: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= 0) return value;
  throw new DfsError('BAD_ARGUMENT', `Cannot use "${text}" for ${what}: give a whole number`);
}

async function run(options: Options): Promise<boolean> {
  let isEnding = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      isEnding = true;
    });
  }
  const seed = wholeOf(options.seed, '--seed');
  console.log(`npm run season -- --events ${options.events} --seed ${seed}`);
  const { only, dir } = options;
  const report = await runSeason({
    events: wholeOf(options.events, '--events'),
    seed,
    isOver: () => isEnding,
    onEvent: ({ at, event, what, ms, untruths }) => {
      console.log(`${at} ${event} ${what} (${ms} ms)`);
      for (const untruth of untruths) console.log(`  UNTRUE: ${untruth}`);
    },
    ...(only === undefined ? {} : { only: only.split(',') }),
    ...(dir === undefined ? {} : { folder: dir }),
  });
  const text = JSON.stringify(report);
  console.log(text);
  if (options.json !== undefined) writeFileSync(options.json, `${text}\n`);
  return report.wrong.length === 0 && report.untruths.length === 0;
}

const program = new Command('season')
  .option('--events <number>', 'how many come', '200')
  .option('--seed <number>', 'of the events', String(Math.floor(Math.random() * 2 ** 31)))
  .option('--only <names>', 'events that may come, separated by commas')
  .option('--dir <folder>', 'where the devices are made')
  .option('--json <file>', 'write the report there')
  .action(async (options: Options) => {
    try {
      process.exitCode = (await run(options)) ? 0 : 1;
    } catch (error) {
      console.error(messageOf(error));
      process.exitCode = 1;
    }
  });
await program.parseAsync();
