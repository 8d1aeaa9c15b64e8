import { accessSync, closeSync, constants, openSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { DfsError, messageOf } from '../../src/base/errors.ts';
import { type Epoch, ROOT_INO } from '../../src/base/ids.ts';
import { getXattr, setXattr, syncFileSystem } from '../../src/base/os/mod.ts';
import { COMMIT_XATTR } from '../../src/base/xattr-names.ts';
import { homePaths } from '../../src/home/mod.ts';
import type { Receipt } from '../../src/node/mod.ts';
import { withDaemon } from './client.ts';
import { commitVolume } from './commit-volume.ts';
import { examples } from './examples.ts';
import { formatBytes, formatDuration, type Style } from './format.ts';
import { type OutputOptions, printFacts } from './output.ts';
import { withClock } from './progress.ts';
import { findMountedPath, findTarget } from './target.ts';

interface CommitOptions extends OutputOptions {
  status?: true;
}

/** The receipt of one path; users who may not ask the daemon hear less. */
export type PathReceipt = Partial<Receipt> & { path: string };

interface Asked {
  home: string;
  mountPoint: string | undefined;
  path: string;
  ino: number;
}

/** dfsctl commit: waits until everything up to now is on the disks. */
export function registerCommit(program: Command): void {
  program
    .command('commit')
    .description('Wait until files, trees or the whole volume are on the disks, and say so.')
    .argument('[paths...]', 'files and folders on mounted volumes; default: the whole volume')
    .option('--status', 'only ask, do not commit')
    .option('--json', 'print the facts as JSON')
    .addHelpText(
      'after',
      examples(
        'dfsctl commit',
        'dfsctl commit /srv/files/db',
        'dfsctl commit --status db wal --json',
      ),
    )
    .action(commit);
}

async function commit(paths: string[], options: CommitOptions): Promise<void> {
  const asked = paths.length === 0 ? [wholeVolume()] : await Promise.all(paths.map(inoOf));
  if (options.status !== true) {
    for (const mountPoint of new Set(asked.map((one) => one.mountPoint))) {
      if (mountPoint !== undefined) await writeBack(mountPoint);
    }
    for (const { home, path } of byHome(asked)) {
      if (isOurs(home)) await withDaemon(home, commitVolume);
      else await withClock('Committing', () => setXattr(path, COMMIT_XATTR, ''));
    }
  }
  const receipts: PathReceipt[] = [];
  for (const one of asked) receipts.push({ path: one.path, ...(await receiptOf(one)) });
  printFacts(options, { receipts }, (style) => receipts.map((one) => receiptLine(one, style)));
}

/** One of each volume: a commit is of all of it. */
function byHome(asked: Asked[]): Iterable<Asked> {
  return new Map(asked.map((one) => [one.home, one])).values();
}

/** Whether this user may ask the daemon itself; others are told what attributes tell. */
function isOurs(home: string): boolean {
  try {
    accessSync(homePaths(home).socket, constants.W_OK);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return false;
    return true;
  }
}

async function receiptOf({ home, path, ino }: Asked): Promise<Partial<Receipt>> {
  if (isOurs(home)) {
    return withClock(`Looking at ${path}`, () =>
      withDaemon(home, (client) => client.get<Receipt>(`/receipt?ino=${ino}`)),
    );
  }
  const [state = '', epoch] = (getXattr(path, COMMIT_XATTR) ?? '').split('@');
  return {
    state: state as Receipt['state'],
    ...(epoch === undefined ? {} : { epoch: Number(epoch) as Epoch }),
  };
}

function wholeVolume(): Asked {
  const { home, mountPoint } = findTarget(undefined);
  return { home, mountPoint, path: mountPoint ?? home, ino: ROOT_INO };
}

/**
 * Has the kernel write back what mappings have changed; that it cannot (no permission, a daemon that
 * died) is no reason not to commit the rest.
 */
async function writeBack(mountPoint: string): Promise<void> {
  let fd: number | undefined;
  try {
    fd = openSync(mountPoint, 'r');
    await syncFileSystem(fd);
  } catch (error) {
    if (!isSystemError(error)) throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function isSystemError(error: unknown): boolean {
  return error instanceof DfsError || typeof (error as NodeJS.ErrnoException).code === 'string';
}

/** The inode that a path leads to on its mounted volume. */
export async function inoOf(name: string): Promise<Asked> {
  const { home, mountPoint, path } = findMountedPath(name);
  try {
    const { ino } = await stat(path);
    return { home, mountPoint, path, ino };
  } catch (cause) {
    throw new DfsError('IO', `Cannot look at ${name}: ${messageOf(cause)}`, { cause });
  }
}

/** A receipt in one line. */
export function receiptLine(receipt: PathReceipt, style: Style): string {
  const { path, state = '', epoch, bytesLeft, oldestUncommittedMs, scheme, failure } = receipt;
  const how = scheme === undefined ? '' : `, ${scheme}`;
  if (state === 'committed') return `${path}: ${style.good(`committed@${epoch}`)}${how}`;
  if (bytesLeft === undefined) return `${path}: ${style.warn(state)}`;
  const age =
    oldestUncommittedMs === undefined ? '' : `, the oldest ${formatDuration(oldestUncommittedMs)}`;
  const why = failure === undefined ? '' : `; the last commit failed: ${failure}`;
  const left = `${formatBytes(bytesLeft)} not committed${age}`;
  return `${path}: ${style.warn(state)}, ${left}, before that committed@${epoch}${how}${why}`;
}
