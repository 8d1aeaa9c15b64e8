import type { Command } from 'commander';
import { silentLog } from '../../src/base/log.ts';
import type { EpochsReport } from '../../src/node/mod.ts';
import { examples } from './examples.ts';
import { formatDuration, formatTable, type Style } from './format.ts';
import { type OutputOptions, printFacts, remark } from './output.ts';
import { findTarget } from './target.ts';

const COLUMNS: Parameters<typeof formatTable>[0] = [
  { heading: 'EPOCH', align: 'right' },
  { heading: 'TIME' },
  { heading: 'AGE', align: 'right' },
  { heading: 'DISKS' },
];

/** dfsctl epochs: what of a volume's past can be mounted. */
export function registerEpochs(program: Command): void {
  program
    .command('epochs')
    .description('List the retained epochs, which "dfsctl mount --epoch" shows.')
    .argument(
      '[volume]',
      'HOME or mountpoint; default: the only mounted one, or the one you are in',
    )
    .option('--json', 'print the facts as JSON')
    .addHelpText('after', examples('dfsctl epochs /var/lib/dfs', 'dfsctl epochs /srv/files --json'))
    .action(epochs);
}

async function epochs(name: string | undefined, options: OutputOptions): Promise<void> {
  const { home } = findTarget(name);
  const { listEpochs } = await import('../../src/node/mod.ts');
  const report = await listEpochs(home, silentLog);
  printFacts(options, { home, ...report }, (style) => linesOf(home, report, style));
  for (const { disk, problem } of report.unusable) remark(`disk ${disk} was not asked: ${problem}`);
}

function linesOf(home: string, report: EpochsReport, style: Style): string[] {
  const { newest, newestCutTimeMs, windowStart, snapshots, disks } = report;
  const age = (cutTimeMs: number): string => `${formatDuration(Date.now() - cutTimeMs)} ago`;
  const rows = snapshots.map((snapshot) => [
    String(snapshot.epoch),
    new Date(snapshot.cutTimeMs).toISOString(),
    age(snapshot.cutTimeMs),
    `${snapshot.disks.length} of ${disks}`,
  ]);
  const last = newestCutTimeMs === undefined ? '' : `, ${age(newestCutTimeMs)}`;
  return [
    `Retained epochs of ${home}`,
    `  newest      epoch ${newest}${last}`,
    `  every one   from epoch ${windowStart} on`,
    `  snapshots   ${snapshots.length}, kept for ${formatDuration(report.retentionMs)} and thinned out`,
    ...formatTable(COLUMNS, rows, style),
  ];
}
