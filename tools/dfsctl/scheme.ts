import type { Command } from 'commander';
import type { SchemeReport } from '../../src/node/mod.ts';
import { withDaemon } from './client.ts';
import { examples } from './examples.ts';
import { formatBytes, formatFacts } from './format.ts';
import { type OutputOptions, printFacts } from './output.ts';
import { mountedHome } from './work.ts';

const VOLUME = 'HOME or mountpoint; default: the only mounted one, or the one you are in';

/** dfsctl scheme: how many disks a volume survives the loss of. */
export function registerScheme(program: Command): void {
  const scheme = program
    .command('scheme')
    .description('The redundancy of a mounted volume, and changing it.');
  scheme
    .command('show')
    .description('Show the scheme, what it survives, and what is stored under which.')
    .argument('[volume]', VOLUME)
    .option('--json', 'print the facts as JSON')
    .addHelpText('after', examples('dfsctl scheme show /srv/files'))
    .action(async (volume: string | undefined, options: OutputOptions) => {
      const home = mountedHome(volume);
      print(options, await withDaemon(home, (client) => client.get<SchemeReport>('/scheme')));
    });
  scheme
    .command('set')
    .description('Change it: new chunks have it at once, the others are stored anew by and by.')
    .argument('<scheme>', 'replica:N, ec:K+M or auto')
    .argument('[volume]', VOLUME)
    .option('--json', 'print the facts as JSON')
    .addHelpText('after', examples('dfsctl scheme set ec:2+1 /srv/files', 'dfsctl scheme set auto'))
    .action(async (wanted: string, volume: string | undefined, options: OutputOptions) => {
      const home = mountedHome(volume);
      const call = `/scheme?scheme=${encodeURIComponent(wanted)}`;
      print(options, await withDaemon(home, (client) => client.post<SchemeReport>(call)));
    });
}

function print(options: OutputOptions, report: SchemeReport): void {
  const { scheme, survives, auto, stored } = report;
  printFacts(options, report, (style) =>
    formatFacts(
      [
        ['scheme', `${scheme}: ${survives}`],
        ['auto', `would be ${auto.scheme}, ${auto.reason}`],
        ...stored.map((one): [string, string] => [one.scheme, formatBytes(one.bytes)]),
      ],
      style,
    ),
  );
}
