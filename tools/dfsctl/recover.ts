import type { Command } from 'commander';
import { MIB } from '../../src/base/limits.ts';
import { silentLog } from '../../src/base/log.ts';
import type { RecoverReport } from '../../src/node/mod.ts';
import { examples } from './examples.ts';
import { formatBytes, formatCount, formatDuration, type Style } from './format.ts';
import { collectDisks, defaultCacheBytes } from './init.ts';
import { lostLines } from './lost-chunks.ts';
import { type OutputOptions, printFacts } from './output.ts';
import { createProgress } from './progress.ts';
import { EXIT_FAILED, UsageError } from './report.ts';
import { parseSize } from './size.ts';

interface RecoverOptions extends OutputOptions {
  disk: string[];
  cacheSize?: number;
}

const CACHE_BYTES_MIN: number = 64 * MIB;

/** dfsctl recover: a new HOME from disks alone. */
export function registerRecover(program: Command): void {
  program
    .command('recover')
    .description('Build a new HOME from the disks of a volume; say what could not be recovered.')
    .argument('<home>', 'the new HOME: a new or empty folder')
    .requiredOption('--disk <dir>', 'folder of a surviving disk; once for each disk', collectDisks)
    .option('--cache-size <size>', 'default: a quarter of what is free at HOME', parseSize)
    .option('--json', 'print the facts as JSON')
    .addHelpText('after', examples('dfsctl recover /var/lib/dfs-new --disk /mnt/a --disk /mnt/c'))
    .action(recover);
}

async function recover(home: string, options: RecoverOptions): Promise<void> {
  const cacheBytes = options.cacheSize ?? (await defaultCacheBytes(home));
  if (cacheBytes < CACHE_BYTES_MIN) {
    throw new UsageError(`Cannot use a cache of ${cacheBytes} bytes: it needs at least 64 MiB`);
  }
  const steps = {
    metadata: createProgress('Carrying out logs', 'bytes'),
    pieces: createProgress('Looking for chunks', 'count'),
  };
  const { recoverVolume } = await import('../../src/node/mod.ts');
  let report: RecoverReport;
  try {
    report = await recoverVolume({
      home,
      disks: options.disk,
      cacheBytes,
      log: silentLog,
      onProgress: ({ step, ...amount }) => {
        if (step === 'pieces') steps.metadata.stop();
        steps[step].update(amount);
      },
    });
  } finally {
    for (const step of Object.values(steps)) step.stop();
  }
  printFacts(options, { home, ...report }, (style) => recoverLines(home, report, style));
  if (report.lostChunks > 0 || report.older !== undefined) process.exitCode = EXIT_FAILED;
}

/** A newer epoch that could not be recovered, for people. */
function leftOutLine({ epoch, cutTimeMs, why }: RecoverReport['leftOut'][number]): string {
  return `epoch ${epoch} of ${new Date(cutTimeMs).toISOString()} is not in it: ${why}`;
}

/** What was recovered, for people. */
export function recoverLines(home: string, report: RecoverReport, style: Style): string[] {
  const { volumeUuid, epoch, cutTimeMs, files, fileBytes, chunks, scheme, disks } = report;
  const { degradedChunks, lost, unusable, older, leftOut, metadataMs, piecesMs } = report;
  const age = formatDuration(Date.now() - cutTimeMs);
  const time = `${new Date(cutTimeMs).toISOString()}, ${age} ago`;
  const missing = disks.filter(({ problem }) => problem !== undefined);
  const lines = [
    `${style.good('Recovered')} volume ${volumeUuid} into ${home}`,
    `  as it was at epoch ${epoch} (${time})`,
    `  ${formatCount(files, 'file or folder', 'files and folders')}, ${formatBytes(fileBytes)}`,
    ...unusable.map(({ path, problem }) => `  ${style.warn('!')} ${path}: ${problem}`),
    ...missing.map(({ id, problem }) => `  ${style.warn('!')} disk ${id}: ${problem}`),
    ...leftOut.map((newer) => `  ${style.warn('!')} ${leftOutLine(newer)}`),
    `  took ${formatDuration(metadataMs)} for metadata, ${formatDuration(piecesMs)} to look for pieces`,
  ];
  if (older !== undefined) lines.push(`  ${style.bad('!')} ${older}`);
  if (degradedChunks > 0) {
    const part = `${degradedChunks} of ${formatCount(chunks, 'chunk')}`;
    lines.push(`  ${style.warn('!')} ${part} have fewer pieces than ${scheme} asks for`);
  }
  if (lost.length === 0 && older !== undefined) return lines;
  if (lost.length === 0) return [...lines, '  nothing is lost'];
  return [...lines, ...lostLines(lost, style)];
}
