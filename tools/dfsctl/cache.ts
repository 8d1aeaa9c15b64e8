import type { Command } from 'commander';
import { DfsError } from '../../src/base/errors.ts';
import { ROOT_INO } from '../../src/base/ids.ts';
import type { CacheDropReport } from '../../src/node/mod.ts';
import { withDaemon } from './client.ts';
import { inoOf } from './commit.ts';
import { examples } from './examples.ts';
import { formatBytes, formatCount } from './format.ts';
import { type OutputOptions, printFacts } from './output.ts';
import { withClock } from './progress.ts';
import { findTarget } from './target.ts';

/** dfsctl cache: what a volume keeps on its fast disk. */
export function registerCache(program: Command): void {
  const cache = program.command('cache').description('What a volume keeps on its fast disk.');
  cache
    .command('drop')
    .description('Take what is committed out of the cache; it is read from the disks again.')
    .argument('[volume]', 'HOME or mountpoint; default: the only mounted one, or yours')
    .argument('[path]', 'only this file, or what is in this folder, on the mounted volume')
    .option('--json', 'print the facts as JSON')
    .addHelpText(
      'after',
      examples('dfsctl cache drop /srv/files', 'dfsctl cache drop /srv/files /srv/files/db --json'),
    )
    .action(drop);
}

async function drop(
  volume: string | undefined,
  path: string | undefined,
  options: OutputOptions,
): Promise<void> {
  const { home } = findTarget(volume);
  const asked = path === undefined ? { home, ino: ROOT_INO } : await inoOf(path);
  if (asked.home !== home) {
    const state = `it is on the volume of ${asked.home}, not of ${home}`;
    throw new DfsError('BAD_ARGUMENT', `Cannot drop ${path} from the cache: ${state}`);
  }
  const report = await withClock('Dropping what is committed', () =>
    withDaemon(asked.home, (client) =>
      client.post<CacheDropReport>(`/cache/drop?ino=${asked.ino}`),
    ),
  );
  printFacts(options, report, () => [reportLine(report)]);
}

function reportLine({ files, freedBytes, cachedBytes }: CacheDropReport): string {
  const dropped = `${formatBytes(freedBytes)} of ${formatCount(files, 'file')}`;
  return `Dropped ${dropped} from the cache, which now takes ${formatBytes(cachedBytes)}`;
}
