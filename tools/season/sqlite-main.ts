/**
 * How long transactions of SQLite take on the mount while a disk dies, another is added and the first
 * returns: `npm run season:sqlite -- --seconds 20 --mode weak`. Prints a line for each phase, and
 * its 99th percentile over that of the phase before anything happened.
 */
import { Command } from 'commander';
import { messageOf } from '../../src/base/errors.ts';
import { runSqliteLife } from '../../test/season/sqlite-life.ts';
import { formatTable } from '../dfsctl/format.ts';

interface Options {
  seconds: string;
  mode: string;
  dir?: string;
}

async function run({ seconds, mode, dir }: Options): Promise<void> {
  const { phases, transactions } = await runSqliteLife({
    seconds: Number(seconds),
    mode: mode === 'strong' ? 'strong' : 'weak',
    ...(dir === undefined ? {} : { folder: dir }),
  });
  const before = phases[0]?.p99Ms ?? 1;
  const names = ['phase', 'transactions', 'p50 ms', 'p99 ms', 'longest ms', 'p99 over before'];
  const columns = names.map((heading, at) => ({ heading, align: at === 0 ? 'left' : 'right' }));
  const rows = phases.map(({ phase, count, p50Ms, p99Ms, maxMs }) => {
    const times = [p50Ms, p99Ms, maxMs, p99Ms / before].map((value) => value.toFixed(2));
    return [phase, String(count), ...times];
  });
  for (const line of formatTable(columns as Parameters<typeof formatTable>[0], rows)) {
    console.log(line);
  }
  console.log(`${transactions} transactions, all there, mode ${mode}`);
}

const program = new Command('season:sqlite')
  .option('--seconds <number>', 'of each phase', '20')
  .option('--mode <mode>', 'weak or strong', 'weak')
  .option('--dir <folder>', 'where the devices are made')
  .action(async (options: Options) => {
    try {
      await run(options);
    } catch (error) {
      console.error(messageOf(error));
      process.exitCode = 1;
    }
  });
await program.parseAsync();
