import { appendFileSync, closeSync } from 'node:fs';
import { resolve } from 'node:path';
import { createLog, type Log } from '../base/log.ts';
import { forgetMount, homePaths, lockHome, requireConfig } from '../home/mod.ts';
import { LiveVolume, LocalStore } from '../node/mod.ts';
import { type Owner, Session } from './session.ts';
import { Volume } from './volume.ts';

export interface OpenVolumeOptions {
  /** Nothing is changed: calls that would fail with EROFS. */
  readOnly?: boolean;
  /** What sync() and close() of a file wait for; as "dfsctl init" has set it when absent. */
  mode?: 'weak' | 'strong';
  /** Whether close() of the volume commits; it does when absent, as umount does. */
  commitAtEnd?: boolean;
  /** Whom new files belong to; the user and group of this process when absent. */
  owner?: Owner;
  /**
   * Whether disks and committed metadata get a thread of their own, as they do when absent. Without
   * it a volume opens in a fraction of the time, and commits hold up the event loop.
   */
  storeThread?: boolean;
  /** Gets what a daemon writes into HOME/daemon.log, where it also goes when absent. */
  log?: Log;
}

/**
 * Opens the volume of HOME in this process, without a mount. One process has a HOME at a time: BUSY
 * when it is mounted or open elsewhere; NOT_FOUND when it is no home of a volume.
 */
export async function openVolume(home: string, options: OpenVolumeOptions = {}): Promise<Volume> {
  const path = resolve(home);
  const paths = homePaths(path);
  const { readOnly = false, commitAtEnd = true, log = logTo(paths.log) } = options;
  const config = await requireConfig(path);
  const lock = lockHome(path);
  const late: { session?: Session } = {};
  try {
    forgetMount(paths);
    const volume = await LiveVolume.open({
      home: path,
      config,
      mode: options.mode ?? config.mode,
      readOnly,
      servesKernel: false,
      updatesAtime: () => true,
      log,
      onDeath: (error) => late.session?.died(error),
      ...(options.storeThread === false ? { storeOf: (wanted) => new LocalStore(wanted) } : {}),
    });
    volume.fileSystem.mounted();
    const owner = options.owner ?? { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const session = new Session({ volume, owner });
    late.session = session;
    const release = (): void => closeSync(lock);
    return new Volume({ session, home: path, commitsAtEnd: commitAtEnd, release });
  } catch (error) {
    closeSync(lock);
    throw error;
  }
}

function logTo(path: string): Log {
  return createLog((line) => appendFileSync(path, line, { mode: 0o600 }));
}
