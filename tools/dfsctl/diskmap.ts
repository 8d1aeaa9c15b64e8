import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { DfsError } from '../../src/base/errors.ts';
import { parseLocation } from '../../src/diskmap/mod.ts';
import type { DiskReport, LocatedExtent, Receipt, StatusReport } from '../../src/node/mod.ts';
import { withDaemon } from './client.ts';
import { inoOf } from './commit.ts';
import { diskTree } from './disk-tree.ts';
import { registerDiskmapChanges } from './diskmap-change.ts';
import { examples } from './examples.ts';
import { formatBytes, formatTable, type Style } from './format.ts';
import { type OutputOptions, printFacts } from './output.ts';
import { diskStateWords, sizeOrDash, statusOf } from './status.ts';
import { findTarget } from './target.ts';

/** What `diskmap locate` prints. Sizes and offsets in bytes. */
interface Located {
  path: string;
  sizeBytes: number;
  receipt: Receipt;
  extents: LocatedExtent[];
}

/** dfsctl diskmap: the hardware of a volume, and what lies where on it. */
export function registerDiskmap(program: Command): void {
  const diskmap = program
    .command('diskmap')
    .description('Show and change the hardware of a volume, and where files lie on it.');
  diskmap
    .command('show')
    .description('Show the tree room > row > rack > machine > disk with weights and use.')
    .argument(
      '[volume]',
      'HOME or mountpoint; default: the only mounted one, or the one you are in',
    )
    .option('--json', 'print the facts as JSON')
    .addHelpText('after', examples('dfsctl diskmap show /var/lib/dfs'))
    .action(show);
  diskmap
    .command('locate')
    .description('Show for every extent of a file its chunk, and where the pieces of that are.')
    .argument('<path>', 'a file on a mounted volume')
    .option('--json', 'print the facts as JSON')
    .addHelpText('after', examples('dfsctl diskmap locate /srv/files/a.db'))
    .action(locate);
  registerDiskmapChanges(diskmap);
}

async function show(name: string | undefined, options: OutputOptions): Promise<void> {
  const report = await statusOf(findTarget(name));
  const { volumeUuid, mapVersion, bucketBytes, scheme, disks } = report;
  const facts = {
    volumeUuid,
    mapVersion,
    bucketBytes,
    scheme,
    survives: report.survives,
    disks: disks.map((disk) => ({ ...disk, ...place(disk) })),
  };
  printFacts(options, facts, (style) => [
    `Diskmap ${mapVersion} of volume ${style.bold(volumeUuid)}`,
    `  ${scheme}: ${report.survives}; buckets of ${formatBytes(bucketBytes)}`,
    ...treeLines(report, style),
  ]);
}

function place({ location }: DiskReport): Record<string, number> {
  const { bucket: _bucket, ...where } = parseLocation(location);
  return where;
}

function treeLines({ disks }: StatusReport, style: Style): string[] {
  const rows = diskTree(disks).map(({ name, weight, disk }) => [
    name,
    String(weight),
    disk === undefined ? '' : diskStateWords(disk),
    disk === undefined ? '' : sizeOrDash(disk.usedBytes),
    disk === undefined ? '' : sizeOrDash(disk.freeBytes),
    disk?.path ?? '',
  ]);
  return formatTable(
    [
      { heading: 'PLACE' },
      { heading: 'WEIGHT', align: 'right' },
      { heading: 'STATE' },
      { heading: 'USED', align: 'right' },
      { heading: 'FREE', align: 'right' },
      { heading: 'FOLDER' },
    ],
    rows,
    style,
  );
}

async function locate(name: string, options: OutputOptions): Promise<void> {
  const { home, path, ino } = await inoOf(name);
  const status = await stat(path);
  if (!status.isFile()) {
    throw new DfsError('BAD_ARGUMENT', `Cannot locate ${name}: it is not a regular file`);
  }
  const found = await withDaemon(home, (client) =>
    client.get<Pick<Located, 'receipt' | 'extents'>>(`/locate?ino=${ino}`),
  );
  const located: Located = { path, sizeBytes: status.size, ...found };
  printFacts(options, located, (style) => locatedLines(located, style));
}

/** Where a file lies, for people. */
export function locatedLines(located: Located, style: Style): string[] {
  const { path, sizeBytes, receipt, extents } = located;
  const lines = [`${style.bold(path)}: ${formatBytes(sizeBytes)} in ${extents.length} extents`];
  for (const extent of extents) {
    const { offset, lengthBytes, chunk, chunkBytes, scheme, pieces } = extent;
    const what = `chunk ${chunk.slice(0, 16)} of ${formatBytes(chunkBytes)}, ${scheme}`;
    lines.push(`  at ${offset}, ${formatBytes(lengthBytes)}: ${what}`);
    for (const { index, bucket, health } of pieces) {
      const shown = health === 'ok' ? style.good(health) : style.bad(health);
      lines.push(`    piece ${index} in ${bucket ?? 'no bucket'}: ${shown}`);
    }
  }
  if (receipt.state !== 'committed') {
    const left = `${formatBytes(receipt.bytesLeft)} wait in the cache`;
    lines.push(`  ${style.warn('!')} not everything is committed: ${left}, ${receipt.state}`);
  } else if (extents.length === 0) {
    lines.push('  no data: it is empty, or a hole from end to end');
  }
  return lines;
}
