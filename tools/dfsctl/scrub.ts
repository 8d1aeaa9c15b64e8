import type { Command } from 'commander';
import type { WorkFacts } from '../../src/node/mod.ts';
import { withDaemon } from './client.ts';
import { examples } from './examples.ts';
import { formatFacts } from './format.ts';
import { type OutputOptions, printFacts } from './output.ts';
import { EXIT_FAILED } from './report.ts';
import { mountedHome, waitFor } from './work.ts';
import { workFacts } from './work-words.ts';

interface ScrubOptions extends OutputOptions {
  wait?: true;
}

/** dfsctl scrub: reads and verifies every piece on every disk. */
export function registerScrub(program: Command): void {
  const scrub = program
    .command('scrub')
    .description('Read and verify every piece on every disk of a mounted volume.');
  scrub
    .command('start')
    .description('Begin a round that goes as fast as it can; what is bad is repaired.')
    .argument(
      '[volume]',
      'HOME or mountpoint; default: the only mounted one, or the one you are in',
    )
    .option('--wait', 'wait until it is over and what it found is repaired')
    .option('--json', 'print the facts as JSON')
    .addHelpText('after', examples('dfsctl scrub start /srv/files --wait'))
    .action(start);
}

async function start(volume: string | undefined, options: ScrubOptions): Promise<void> {
  const home = mountedHome(volume);
  const facts =
    options.wait === true
      ? await waitFor(volume, '/scrub?wait=true')
      : await withDaemon(home, (client) => client.post<WorkFacts>('/scrub'));
  printFacts(options, facts, (style) => formatFacts(workFacts(facts), style));
  if (options.wait === true && facts.state === 'waiting') process.exitCode = EXIT_FAILED;
}
