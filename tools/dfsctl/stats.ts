import type { Command } from 'commander';
import { DfsError } from '../../src/base/errors.ts';
import type { StatsReport } from '../../src/node/mod.ts';
import { isHomeInUse, withDaemon } from './client.ts';
import { examples } from './examples.ts';
import { plain, styleFor } from './format.ts';
import { createPaint, passed } from './paint.ts';
import { UsageError } from './report.ts';
import { intervalBetween } from './stats-interval.ts';
import { statsLines } from './stats-lines.ts';
import { findTarget, type Target } from './target.ts';

interface StatsOptions {
  interval: number;
  count?: number;
  json?: true;
  all?: true;
}

/** Longest time between two looks: what setTimeout takes. */
const INTERVAL_MAX_S = 86_400;

/** dfsctl stats: what a mounted volume does, as iostat shows what a disk does. */
export function registerStats(program: Command): void {
  program
    .command('stats')
    .description('Watch a mounted volume: requests and their latencies, cache, commits, pauses.')
    .argument(
      '[volume]',
      'HOME or mountpoint; default: the only mounted one, or the one you are in',
    )
    .option('--interval <seconds>', 'time between two looks', intervalOf, 1)
    .option('--count <n>', 'end after so many looks; the first is of all since the start', countOf)
    .option('--json', 'print a JSON object a line for each look')
    .option('--all', 'also show operations nobody asked for meanwhile')
    .addHelpText(
      'after',
      examples('dfsctl stats /srv/files', 'dfsctl stats --count 2 --interval 5'),
    )
    .action(async (name: string | undefined, options: StatsOptions) => {
      await watch(findTarget(name), options);
    });
}

function intervalOf(text: string): number {
  const seconds = Number(text);
  if (seconds >= 0.1 && seconds <= INTERVAL_MAX_S) return seconds;
  throw new UsageError(`Cannot use "${text}" as an interval: give 0.1 to 86400 seconds`);
}

/** A number of looks; UsageError for anything else. */
export function countOf(text: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count > 0) return count;
  throw new UsageError(`Cannot use "${text}" as a count: give a whole number, 1 or more`);
}

async function watch(target: Target, options: StatsOptions): Promise<void> {
  const { home, mountPoint } = target;
  if (mountPoint === undefined && !isHomeInUse(home)) {
    throw new DfsError(
      'BAD_ARGUMENT',
      `Cannot watch the volume of ${home}: it is not mounted; "dfsctl mount" mounts it`,
    );
  }
  const interrupted = new AbortController();
  const stop = (): void => interrupted.abort();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const show = painter({ ...options, title: mountPoint ?? home });
  try {
    let earlier: StatsReport | undefined;
    for (let looks = 0; looks < (options.count ?? Number.POSITIVE_INFINITY); looks++) {
      if (looks > 0 && !(await passed(options.interval, interrupted.signal))) return;
      const later = await look(target, looks);
      show(earlier, later);
      earlier = later;
    }
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}

async function look({ home, mountPoint }: Target, looks: number): Promise<StatsReport> {
  try {
    return await withDaemon(home, (client) => client.get<StatsReport>('/stats'));
  } catch (error) {
    const isClosed = error instanceof DfsError && error.code === 'CLOSED';
    if (looks === 0 || (!isClosed && isHomeInUse(home))) throw error;
    const place = mountPoint ?? home;
    throw new DfsError('CLOSED', `Cannot watch ${place} any longer: it was unmounted`, {
      cause: error,
    });
  }
}

/** Shows intervals: in place on a terminal, below each other or as JSON elsewhere. */
function painter(options: { title: string; json?: true; all?: true }) {
  const { stdout } = process;
  const style = stdout.isTTY ? styleFor(stdout, process.env) : plain;
  const paint = createPaint();
  return (earlier: StatsReport | undefined, later: StatsReport): void => {
    const interval = intervalBetween(earlier, later);
    if (options.json === true) stdout.write(`${JSON.stringify(interval)}\n`);
    else paint(statsLines(interval, { title: options.title, all: options.all === true }, style));
  };
}
