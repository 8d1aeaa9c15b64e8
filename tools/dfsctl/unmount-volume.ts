import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { EBUSY } from '../../src/base/errno.ts';
import { DfsError, messageOf } from '../../src/base/errors.ts';
import { unmount } from '../../src/fuse/mod.ts';
import { homePaths, unpackError } from '../../src/home/mod.ts';
import type { StatusReport } from '../../src/node/mod.ts';
import { usersOf } from './busy.ts';
import { ControlClient, isHomeInUse, withDaemon } from './client.ts';
import { commitVolume, showCommit } from './commit-volume.ts';
import { detachDeadMount } from './mount-checks.ts';
import { createProgress, type Progress } from './progress.ts';

/** The daemon still commits what came in last, and closes its databases. */
const END_MAX_MS: number = 15 * 60_000;
const POLL_MS = 30;
const SHOWN_AFTER_MS = 1000;
const SHOWN_EVERY_MS = 300;

/** How a mount ended. */
export interface UnmountResult {
  home: string;
  mountPoint: string;
  /** The newest committed epoch; undefined when no daemon was left to tell. */
  epoch: number | undefined;
  /** What was left in the cache, in bytes of data that no commit has. */
  dirtyBytes: number;
  /** Nobody served the mount any more; it was only taken away. */
  wasDead: boolean;
}

/**
 * Commits unless `now`, unmounts, and waits until the daemon has ended. When the commit fails or
 * the mount is busy, it throws and everything is as before.
 */
export async function unmountVolume(options: {
  home: string;
  mountPoint: string;
  now: boolean;
}): Promise<UnmountResult> {
  const { home, mountPoint, now } = options;
  if (await detachDeadMount(mountPoint)) {
    return { home, mountPoint, epoch: undefined, dirtyBytes: 0, wasDead: true };
  }
  const { epoch, dirtyBytes } = await withDaemon(home, async (client) => {
    const status = await client.get<StatusReport>('/status');
    if (now || status.readOnly) return status;
    const committed = await commitBeforeUnmount(client, mountPoint);
    return { epoch: committed, dirtyBytes: 0 };
  });
  await withDaemon(home, async (client) => {
    await client.post(`/unmount?commit=${String(!now)}`);
    await detach(mountPoint, client);
  });
  await waitForEnd(home);
  return { home, mountPoint, epoch, dirtyBytes, wasDead: false };
}

async function commitBeforeUnmount(client: ControlClient, mountPoint: string): Promise<number> {
  try {
    return (await commitVolume(client)).epoch;
  } catch (error) {
    if (!(error instanceof DfsError) || error.name === 'NoAnswerError') throw error;
    const hint = '"--now" unmounts and leaves what is not committed in the cache';
    throw new DfsError(
      error.code,
      `Cannot unmount ${mountPoint}: its data cannot be committed (${error.message}); ${hint}`,
      { cause: error },
    );
  }
}

async function detach(mountPoint: string, client: ControlClient): Promise<void> {
  try {
    unmount(mountPoint, { lazy: false });
  } catch (error) {
    // The next end of this mount shall be the usual one, whoever brings it about.
    await client.post('/unmount?commit=true');
    if (!(error instanceof DfsError) || error.details.errno !== EBUSY) throw error;
    const users = usersOf(mountPoint);
    const unseen = 'a process has files on it open; root can see which';
    const who = users.length === 0 ? unseen : `used by ${users.join(', ')}`;
    throw new DfsError(
      'BUSY',
      `Cannot unmount ${mountPoint}: it is busy, ${who}; end that and repeat`,
      { cause: error },
    );
  }
}

async function waitForEnd(home: string): Promise<void> {
  const startedMs = performance.now();
  const progress = createProgress('Finishing', 'bytes');
  let shownMs = startedMs + SHOWN_AFTER_MS;
  while (isHomeInUse(home)) {
    const nowMs = performance.now();
    if (nowMs > shownMs) {
      shownMs = nowMs + SHOWN_EVERY_MS;
      await showEnd(home, progress);
    }
    if (nowMs > startedMs + END_MAX_MS) {
      progress.stop();
      const state = 'it is unmounted, but its daemon has not ended yet';
      const hint = `it goes on by itself; see ${homePaths(home).log}`;
      throw new DfsError('TIMEOUT', `Cannot wait any longer for ${home}: ${state}; ${hint}`);
    }
    await sleep(POLL_MS);
  }
  progress.stop();
  const failure = lastFailure(home);
  if (failure === undefined) return;
  const state = `what came in last is not committed and stays in the cache (${failure})`;
  throw new DfsError('UNAVAILABLE', `Cannot finish the unmount of ${home}: ${state}`);
}

/** The last commit of a daemon whose mount has ended; it answers as long as that runs. */
async function showEnd(home: string, progress: Progress): Promise<void> {
  const client = new ControlClient(home);
  try {
    const { commitRunning } = await client.get<StatusReport>('/status');
    if (commitRunning !== undefined) showCommit(progress, commitRunning);
  } catch {
    // It is past that, and closes its databases.
  } finally {
    await client.close();
  }
}

function lastFailure(home: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(homePaths(home).failure, 'utf8');
  } catch {
    return undefined;
  }
  try {
    return unpackError(JSON.parse(text) as Parameters<typeof unpackError>[0]).message;
  } catch (error) {
    return messageOf(error);
  }
}
