import type { Command } from 'commander';
import { silentLog } from '../../src/base/log.ts';
import type { DiskReport, StatusReport } from '../../src/node/mod.ts';
import { isHomeInUse, withDaemon } from './client.ts';
import { examples } from './examples.ts';
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatFacts,
  formatTable,
  plain,
  type Style,
  styleFor,
} from './format.ts';
import { type OutputOptions, printFacts } from './output.ts';
import { createPaint, passed } from './paint.ts';
import { countOf } from './stats.ts';
import { findTarget, type Target } from './target.ts';
import { workFacts } from './work-words.ts';

interface StatusOptions extends OutputOptions {
  watch?: true;
  count?: number;
}

/** dfsctl status: how a volume is, in words. */
export function registerStatus(program: Command): void {
  program
    .command('status')
    .description('Say how a volume is: health, space, what is committed, what survives what.')
    .argument(
      '[volume]',
      'HOME or mountpoint; default: the only mounted one, or the one you are in',
    )
    .option('--watch', 'show it again every second, until Ctrl-C')
    .option('--count <n>', 'with --watch: end after so many looks', countOf)
    .option('--json', 'print the facts as JSON; with --watch an object a line')
    .addHelpText('after', examples('dfsctl status', 'dfsctl status /srv/files --json'))
    .action(async (name: string | undefined, options: StatusOptions) => {
      if (options.watch === true) return watch(findTarget(name), options);
      const report = await statusOf(findTarget(name));
      printFacts(options, report, (style) => statusLines(report, style));
    });
}

const WATCH_SECONDS = 1;

/** Shows the status again and again. */
async function watch(target: Target, options: StatusOptions): Promise<void> {
  const { stdout } = process;
  const style = stdout.isTTY ? styleFor(stdout, process.env) : plain;
  const interrupted = new AbortController();
  const stop = (): void => interrupted.abort();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const paint = createPaint();
  try {
    for (let looks = 0; looks < (options.count ?? Number.POSITIVE_INFINITY); looks++) {
      if (looks > 0 && !(await passed(WATCH_SECONDS, interrupted.signal))) return;
      const report = await statusOf(target);
      if (options.json === true) stdout.write(`${JSON.stringify(report)}\n`);
      else paint(statusLines(report, style));
    }
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}

/** The status of a volume: from its daemon if it has one, else from HOME and the disks. */
export async function statusOf({ home, mountPoint }: Target): Promise<StatusReport> {
  // A mount in another namespace is not seen here, but its socket is.
  if (mountPoint !== undefined || isHomeInUse(home)) {
    return withDaemon(home, (client) => client.get<StatusReport>('/status'));
  }
  const { openOffline } = await import('../../src/node/mod.ts');
  const volume = await openOffline(home, silentLog);
  try {
    return await volume.status();
  } finally {
    await volume.close();
  }
}

/** The report as a person reads it. */
export function statusLines(report: StatusReport, style: Style): string[] {
  const { mountPoint, mode, readOnly } = report;
  const place =
    mountPoint === undefined
      ? 'not mounted'
      : `mounted on ${mountPoint}, ${mode} mode${readOnly ? ', read-only' : ''}`;
  return [
    `Volume ${style.bold(report.volumeUuid)} of ${report.home}`,
    ...formatFacts(
      [
        ['health', healthWords(report.health, style)],
        ['state', place],
        ['scheme', `${report.scheme}: ${report.survives}`],
        ['durability', durabilityWords(report)],
        ['capacity', capacityWords(report)],
        ['stored', storedWords(report)],
        ['retained', retainedWords(report)],
        ['waiting', waitingWords(report)],
        ['committed', committedWords(report)],
        ...deadlineFacts(report),
        ...cacheFacts(report),
        ...(report.work === undefined ? [] : workFacts(report.work)),
      ],
      style,
    ),
    ...report.problems.map((problem) => `  ${style.warn('!')} ${problem}`),
    ...diskTable(report.disks, style).map((line) => `  ${line}`),
  ];
}

/** What fsync means, and where it means something else. */
function durabilityWords({ fsyncMeans, marked }: StatusReport): string {
  const places = (['strong', 'weak'] as const)
    .filter((mode) => (marked?.[mode] ?? 0) > 0)
    .map(
      (mode) =>
        `${mode} in ${formatCount(marked?.[mode] ?? 0, 'folder or file', 'folders and files')}`,
    );
  return [fsyncMeans, ...places].join('; ');
}

function healthWords(health: StatusReport['health'], style: Style): string {
  if (health === 'healthy') return style.good(health);
  if (health === 'unchecked') return 'unchecked: nothing is known to be wrong';
  return health === 'failing' ? style.bad(health) : style.warn(health);
}

function capacityWords({ capacityBytes, usedBytes, freeBytes }: StatusReport): string {
  const percent = capacityBytes === 0 ? 0 : (usedBytes / capacityBytes) * 100;
  const used = `${formatBytes(usedBytes)} used (${percent.toFixed(1)}%)`;
  return `${formatBytes(capacityBytes)}: ${used}, ${formatBytes(freeBytes)} free`;
}

function storedWords({ inodes, chunks, dedupRatio }: StatusReport): string {
  const files = formatCount(inodes, 'file or folder', 'files and folders');
  return `${files} in ${formatCount(chunks, 'chunk')}, deduplication ${dedupRatio.toFixed(2)}`;
}

function retainedWords({ retained }: StatusReport): string {
  const { snapshots, oldestCutMs, retainedChunks, retainedBytes } = retained;
  const { garbageChunks, garbageBytes } = retained;
  const chunks = (count: number, bytes: number): string =>
    `${formatBytes(bytes)} in ${formatCount(count, 'chunk')}`;
  const since = oldestCutMs === undefined ? '' : ` of ${formatDuration(Date.now() - oldestCutMs)}`;
  const kept = `${formatCount(snapshots, 'snapshot')}${since}`;
  return `${kept}, ${chunks(retainedChunks, retainedBytes)}; garbage ${chunks(garbageChunks, garbageBytes)}`;
}

function waitingWords(report: StatusReport): string {
  const { dirtyBytes, uncommittedOps, oldestUncommittedMs, commitRunning } = report;
  const { waitingWriters = 0 } = report;
  if (dirtyBytes === 0 && uncommittedOps === 0) return 'nothing, everything is committed';
  const age =
    oldestUncommittedMs === undefined ? '' : `, the oldest ${formatDuration(oldestUncommittedMs)}`;
  const { bytesDone = 0, bytesTotal = 0 } = commitRunning ?? {};
  const part = `${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}`;
  const running = commitRunning === undefined ? '' : `; committing: ${part}`;
  const operations = formatCount(uncommittedOps, 'operation');
  // Of a volume that is not mounted nobody has counted the bytes.
  const what = dirtyBytes === 0 ? operations : `${formatBytes(dirtyBytes)} and ${operations}`;
  const writers =
    waitingWriters === 0
      ? ''
      : `; ${formatCount(waitingWriters, 'writer')} slowed down to the disks`;
  return `${what} not committed${age}${running}${writers}`;
}

function committedWords({ epoch, epochAgeMs }: StatusReport): string {
  if (epoch === 0) return 'nothing yet';
  return `epoch ${epoch}, ${formatDuration(epochAgeMs)} ago`;
}

/** Said when the deadline was missed since the daemon started. */
function deadlineFacts({ deadline }: StatusReport): [string, string][] {
  if (deadline === undefined || deadline.misses === 0) return [];
  const { deadlineMs, misses, lastMissedAtMs = 0 } = deadline;
  const last = formatDuration(Date.now() - lastMissedAtMs);
  const words = `${formatDuration(deadlineMs)}, missed ${formatCount(misses, 'time')}, the last time ${last} ago`;
  return [['deadline', words]];
}

function cacheFacts(report: StatusReport): [string, string][] {
  const { cacheBytes, cacheLimitBytes, degradedReads, mountPoint } = report;
  const limit = formatBytes(cacheLimitBytes);
  const cache =
    mountPoint === undefined ? `up to ${limit}` : `${formatBytes(cacheBytes)} of ${limit}`;
  const facts: [string, string][] = [['cache', cache]];
  if (degradedReads > 0) {
    facts.push(['repaired', `${formatCount(degradedReads, 'read')} in spite of missing pieces`]);
  }
  return facts;
}

function diskTable(disks: DiskReport[], style: Style): string[] {
  return formatTable(
    [
      { heading: 'DISK', align: 'right' },
      { heading: 'STATE' },
      { heading: 'USED', align: 'right' },
      { heading: 'FREE', align: 'right' },
      { heading: 'PIECES', align: 'right' },
      { heading: 'BAD', align: 'right' },
      { heading: 'FOLDER' },
    ],
    disks.map((disk) => [
      String(disk.id),
      diskStateWords(disk),
      sizeOrDash(disk.usedBytes),
      sizeOrDash(disk.freeBytes),
      disk.pieces === undefined ? '-' : disk.pieces.toLocaleString('en-US'),
      disk.badPieces === undefined ? '-' : String(disk.badPieces),
      disk.path ?? '-',
    ]),
    style,
  );
}

/** How a disk is, and what it is used for if not as usual. */
export function diskStateWords({ state, mapState }: DiskReport): string {
  return mapState === 'in' ? state : `${state}, ${mapState}`;
}

/** A size, or "-" when it is not known. */
export function sizeOrDash(bytes: number | undefined): string {
  return bytes === undefined ? '-' : formatBytes(bytes);
}
