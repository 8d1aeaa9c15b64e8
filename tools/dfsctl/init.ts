import { statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { DfsError, messageOf } from '../../src/base/errors.ts';
import { GIB, MIB } from '../../src/base/limits.ts';
import { parseScheme } from '../../src/chunk/mod.ts';
import { parseDeadline } from './deadline.ts';
import { examples } from './examples.ts';
import { formatBytes, formatTable } from './format.ts';
import { type OutputOptions, printFacts } from './output.ts';
import { UsageError } from './report.ts';
import { parseSize } from './size.ts';

interface InitOptions extends OutputOptions {
  disk: string[];
  scheme: string;
  bucketSize: number;
  cacheSize?: number;
  deadline?: number;
}

const BUCKET_BYTES_DEFAULT: number = 64 * GIB;
const CACHE_BYTES_MIN: number = 256 * MIB;
const CACHE_BYTES_MAX: number = 64 * GIB;
/** The part of what is free at HOME that the cache takes unless told otherwise. */
const CACHE_SHARE = 1 / 4;

/** dfsctl init: makes a volume. */
export function registerInit(program: Command): void {
  program
    .command('init')
    .description('Make a new volume: its HOME and its disks.')
    .argument('<home>', 'folder for config, metadata and cache, on a fast disk; new or empty')
    .requiredOption('--disk <dir>', 'folder of a disk; once for each disk', collectDisks)
    .option('--scheme <scheme>', 'auto, replica:N or ec:K+M', readScheme, 'auto')
    .option('--bucket-size <size>', 'slice of a disk, e.g. 64GiB', parseSize, BUCKET_BYTES_DEFAULT)
    .option('--cache-size <size>', 'default: a quarter of what is free at HOME', parseSize)
    .option('--deadline <seconds>', 'how long changes may wait for their commit; 30', parseDeadline)
    .option('--json', 'print the facts as JSON')
    .addHelpText(
      'after',
      examples(
        'dfsctl init /var/lib/dfs --disk /mnt/a --disk /mnt/b --disk /mnt/c',
        'dfsctl init ./home --disk ./d1 --disk ./d2 --disk ./d3 --scheme ec:2+1 --bucket-size 1GiB',
      ),
    )
    .action(init);
}

/** Adds one more --disk to those before it. */
export function collectDisks(path: string, before: string[] | undefined): string[] {
  return [...(before ?? []), path];
}

function readScheme(text: string): string {
  if (text === 'auto') return text;
  try {
    parseScheme(text);
  } catch (error) {
    throw new UsageError(
      messageOf(error).replace('expected replica:N', 'expected auto, replica:N'),
    );
  }
  return text;
}

async function init(home: string, options: InitOptions): Promise<void> {
  const bucketBytes = options.bucketSize;
  const { checkInitSizes, initVolume, survivesWords } = await import('../../src/node/mod.ts');
  const cacheBytes = options.cacheSize ?? (await defaultCacheBytes(home));
  try {
    checkInitSizes({ bucketBytes, cacheBytes });
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
  const { disk: disks, scheme } = options;
  const { config, map, choice } = await initVolume({
    home,
    disks,
    scheme,
    bucketBytes,
    cacheBytes,
    ...(options.deadline === undefined ? {} : { deadlineMs: options.deadline }),
  });
  const facts = {
    home: resolve(home),
    volumeUuid: config.volumeUuid,
    scheme: config.scheme,
    schemeReason: choice.reason,
    survives: survivesWords(choice.scheme),
    bucketBytes,
    cacheBytes,
    deadlineMs: config.commitDeadlineMs,
    disks: config.disks.map(({ id, path }) => ({ id, path, weight: map.disks[id - 1]?.weight })),
  };
  printFacts(options, facts, (style) => [
    `${style.good('Made')} volume ${facts.volumeUuid} in ${facts.home}`,
    `  scheme ${facts.scheme}, ${facts.schemeReason}: ${facts.survives}`,
    `  buckets of ${formatBytes(bucketBytes)}, a cache of ${formatBytes(cacheBytes)}`,
    ...formatTable(
      [
        { heading: 'DISK', align: 'right' },
        { heading: 'BUCKETS', align: 'right' },
        { heading: 'FOLDER' },
      ],
      facts.disks.map(({ id, path, weight }) => [String(id), String(weight), path]),
      style,
    ).map((line) => `  ${line}`),
    `Mount it with: dfsctl mount ${facts.home} MOUNTPOINT`,
  ]);
}

/** A quarter of what is free where HOME is, or will be; at least 256 MiB, at most 64 GiB. */
export async function defaultCacheBytes(home: string): Promise<number> {
  let folder = resolve(home);
  for (;;) {
    try {
      const { bavail, bsize } = await statfs(folder);
      const share = Math.floor((bavail * bsize * CACHE_SHARE) / MIB) * MIB;
      return Math.min(CACHE_BYTES_MAX, Math.max(CACHE_BYTES_MIN, share));
    } catch (cause) {
      if (folder === dirname(folder)) {
        throw new DfsError('IO', `Cannot see how much is free at ${home}: ${messageOf(cause)}`, {
          cause,
        });
      }
      folder = dirname(folder);
    }
  }
}
