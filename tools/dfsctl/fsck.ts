import type { Command } from 'commander';
import { DfsError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import type { FsckProgress, FsckRepairs, FsckReport } from '../../src/node/mod.ts';
import { isHomeInUse, withDaemon } from './client.ts';
import { examples } from './examples.ts';
import { formatBytes, formatCount, type Style } from './format.ts';
import { lostLines } from './lost-chunks.ts';
import { type OutputOptions, printFacts } from './output.ts';
import { createProgress } from './progress.ts';
import { EXIT_FAILED } from './report.ts';
import { findTarget, type Target } from './target.ts';

interface FsckOptions extends OutputOptions {
  repair?: true;
}

/** dfsctl fsck: reads and verifies every piece of every chunk of every file. */
export function registerFsck(program: Command): void {
  program
    .command('fsck')
    .description('Check metadata against pieces: every chunk of every file readable and verified.')
    .argument(
      '[volume]',
      'HOME or mountpoint; default: the only mounted one, or the one you are in',
    )
    .option('--repair', 'mend what can be: references are counted again, pieces written anew')
    .option('--json', 'print the facts as JSON')
    .addHelpText('after', examples('dfsctl fsck /var/lib/dfs', 'dfsctl fsck --json'))
    .action(async (name: string | undefined, options: FsckOptions) => {
      const target = findTarget(name);
      const report = await check(target, options.repair === true);
      printFacts(options, { home: target.home, ...report }, (style) => fsckLines(report, style));
      const isLost = report.lost.length > 0 || report.inconsistencies.length > 0;
      if (isLost) process.exitCode = EXIT_FAILED;
    });
}

async function check({ home, mountPoint }: Target, repair: boolean): Promise<FsckReport> {
  const progress = createProgress('Checking', 'count');
  const onProgress = ({ chunksDone, chunksTotal }: FsckProgress): void =>
    progress.update({ done: chunksDone, total: chunksTotal });
  try {
    if (mountPoint !== undefined || isHomeInUse(home)) {
      const call = `/fsck?repair=${repair}`;
      return await withDaemon(home, (client) => client.post(call, onProgress));
    }
    if (repair) {
      const state = 'it is not mounted; "dfsctl mount" mounts it';
      throw new DfsError('BAD_ARGUMENT', `Cannot repair the volume of ${home}: ${state}`);
    }
    const { openOffline } = await import('../../src/node/mod.ts');
    const volume = await openOffline(home, silentLog);
    try {
      return await volume.fsck(onProgress);
    } finally {
      await volume.close();
    }
  } finally {
    progress.stop();
  }
}

/** What a check found, for people. */
export function fsckLines(report: FsckReport, style: Style): string[] {
  const { epoch, chunks, bytes, pieces, degradedChunks, lost, inconsistencies } = report;
  const { ok, missing, bad, diskDown } = pieces;
  const lines = [
    `Checked epoch ${epoch}: ${formatCount(chunks, 'chunk')}, ${formatBytes(bytes)}`,
    `  pieces: ${ok} good, ${missing} missing, ${bad} bad, ${diskDown} on disks that are down`,
    ...inconsistencies.map((text) => `  ${style.bad('INCONSISTENT')}: ${text}`),
    ...lostLines(lost, style),
  ];
  if (report.repaired !== undefined) lines.push(repairLine(report.repaired));
  if (lost.length > 0 || inconsistencies.length > 0) return lines;
  if (degradedChunks === 0) return [...lines, `  ${style.good('everything is there')}`];
  const part = `${formatCount(degradedChunks, 'chunk')} with fewer good pieces than promised`;
  return [...lines, `  ${style.warn('degraded')}: everything can be read, ${part}`];
}

function repairLine({ references, bytes, degradedChunks, lostChunks }: FsckRepairs): string {
  const counts = formatCount(
    references,
    'wrong number of references',
    'wrong numbers of references',
  );
  const left =
    degradedChunks + lostChunks === 0
      ? 'nothing is left to repair'
      : `${degradedChunks} degraded and ${lostChunks} lost chunks are left`;
  return `  repaired: ${counts}, ${formatBytes(bytes)} of pieces written anew; ${left}`;
}
