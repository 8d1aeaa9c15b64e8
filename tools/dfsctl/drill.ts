import type { Command } from 'commander';
import { silentLog } from '../../src/base/log.ts';
import type {
  DiskAtRisk,
  LossReport,
  RehearsalOutcome,
  SurveyProgress,
  VolumeDrill,
} from '../../src/node/mod.ts';
import { isHomeInUse, withDaemon } from './client.ts';
import { examples } from './examples.ts';
import { formatBytes, formatCount, formatDuration, type Style } from './format.ts';
import { type OutputOptions, printFacts } from './output.ts';
import { createProgress } from './progress.ts';
import { EXIT_FAILED } from './report.ts';
import { findTarget, type Target } from './target.ts';

/** dfsctl drill: what would be lost if a disk or HOME died now, and a recovery rehearsed. */
export function registerDrill(program: Command): void {
  program
    .command('drill')
    .description('Say what would be lost if a disk or HOME died now, and rehearse a recovery.')
    .argument(
      '[volume]',
      'HOME or mountpoint; default: the only mounted one, or the one you are in',
    )
    .option('--json', 'print the facts as JSON')
    .addHelpText('after', examples('dfsctl drill /mnt/dfs', 'dfsctl drill /var/lib/dfs --json'))
    .action(async (name: string | undefined, options: OutputOptions) => {
      const target = findTarget(name);
      const drill = await look(target);
      const rehearsal = await rehearseWithProgress(target.home, drill);
      const facts: DrillFacts = { ...drill, rehearsal };
      printFacts(options, facts, (style) => drillLines(facts, style));
      if (!isGood(facts)) process.exitCode = EXIT_FAILED;
    });
}

/** What a drill found. */
export interface DrillFacts extends VolumeDrill {
  rehearsal: RehearsalOutcome;
}

async function look({ home, mountPoint }: Target): Promise<VolumeDrill> {
  const progress = createProgress('Looking for pieces', 'count');
  const onProgress = ({ chunksDone, chunksTotal }: SurveyProgress): void =>
    progress.update({ done: chunksDone, total: chunksTotal });
  try {
    if (mountPoint !== undefined || isHomeInUse(home)) {
      return await withDaemon(home, (client) => client.post('/drill', onProgress));
    }
    const { openOffline } = await import('../../src/node/mod.ts');
    const volume = await openOffline(home, silentLog);
    try {
      return await volume.drill(onProgress);
    } finally {
      await volume.close();
    }
  } finally {
    progress.stop();
  }
}

async function rehearseWithProgress(home: string, drill: VolumeDrill): Promise<RehearsalOutcome> {
  const { rehearseRecovery } = await import('../../src/node/mod.ts');
  const progress = createProgress('Rehearsing recovery', 'bytes');
  try {
    return await rehearseRecovery(home, drill, ({ bytesDone: done, bytesTotal: total }) =>
      progress.update({ done, total }),
    );
  } finally {
    progress.stop();
  }
}

/** Nothing is lost yet, and what is committed could be recovered. */
function isGood({ lost, rehearsal, problems }: DrillFacts): boolean {
  if (rehearsal.failure !== undefined || rehearsal.differences.length > 0) return false;
  return lost.chunks === 0 && problems.length === 0;
}

/** What a drill found, for people. */
export function drillLines(facts: DrillFacts, style: Style): string[] {
  const { volumeUuid, epoch, cutTimeMs, chunks, degradedChunks, lost, disks, problems } = facts;
  const age = formatDuration(Date.now() - cutTimeMs);
  return [
    `Drill of volume ${volumeUuid} at epoch ${epoch}, committed ${age} ago`,
    ...problems.map((problem) => `  ${style.warn('!')} ${problem}`),
    ...lossLines('already now', lost, style),
    ...(degradedChunks > 0
      ? [`  ${style.warn('!')} ${degradedChunks} of ${formatCount(chunks, 'chunk')} are degraded`]
      : []),
    'If it died now, this would be lost:',
    ...homeLines(facts.home, style),
    ...disks.flatMap((disk) => diskLines(disk, style)),
    ...rehearsalLines(facts, style),
  ];
}

function homeLines(home: VolumeDrill['home'], style: Style): string[] {
  const { files, bytes, operations, oldestMs, paths } = home;
  if (files === 0 && bytes === 0 && operations === 0) return [`  HOME: ${style.good('nothing')}`];
  const waits = oldestMs === undefined ? '' : `, the oldest for ${formatDuration(oldestMs)}`;
  const what = `${formatBytes(bytes)} in ${formatCount(files, 'file')}`;
  const changes = formatCount(operations, 'change of metadata', 'changes of metadata');
  return [
    `  HOME: ${style.warn('what no commit has')}: ${what} and ${changes}${waits}`,
    ...pathLines(paths, files),
  ];
}

function diskLines(disk: DiskAtRisk, style: Style): string[] {
  const name = `disk ${disk.id}`;
  if (disk.problem !== undefined) {
    return [`  ${name}: ${style.warn('not to be asked')}: ${disk.problem}`];
  }
  if (disk.hasOnlyMetadata) {
    return [`  ${name}: ${style.bad('EVERYTHING')}: no other disk has the metadata`];
  }
  if (disk.loss.chunks === 0) return [`  ${name}: ${style.good('nothing')}`];
  return lossLines(name, disk.loss, style);
}

function lossLines(
  where: string,
  { chunks, bytes, files, paths }: LossReport,
  style: Style,
): string[] {
  if (chunks === 0) return [];
  const what = `${formatCount(chunks, 'chunk')} (${formatBytes(bytes)})`;
  const line = `  ${where}: ${style.bad('LOST')}: ${what} in ${formatCount(files, 'file')}`;
  return [line, ...pathLines(paths, files)];
}

function pathLines(paths: string[], files: number): string[] {
  const more = files - paths.length;
  return [
    ...paths.map((path) => `    ${path}`),
    ...(more > 0 && paths.length > 0 ? [`    and ${formatCount(more, 'other')}`] : []),
  ];
}

function rehearsalLines({ rehearsal, piecesMs }: DrillFacts, style: Style): string[] {
  if (rehearsal.failure !== undefined) {
    return [`A recovery would ${style.bad('FAIL')}: ${rehearsal.failure}`];
  }
  const { snapshotEpoch, epoch, inodes, snapshotMs, replayMs, liveMs, differences } = rehearsal;
  const total = formatDuration(snapshotMs + replayMs + liveMs + piecesMs);
  const parts = [
    `snapshot of epoch ${snapshotEpoch} ${formatDuration(snapshotMs)}`,
    `logs up to epoch ${epoch} ${formatDuration(replayMs)}`,
    `live metadata ${formatDuration(liveMs)}`,
    `look for pieces ${formatDuration(piecesMs)}`,
  ];
  const files = formatCount(inodes, 'file or folder', 'files and folders');
  return [
    `A recovery from the disks would take ${total} for ${files}`,
    `  ${parts.join(', ')}`,
    differences.length === 0
      ? `  rehearsed: ${style.good('the state is that of epoch')} ${epoch}`
      : `  rehearsed: ${style.bad('DIFFERENT')} from HOME: ${differences.join(', ')}`,
  ];
}
