import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { readMountinfo } from '../../src/base/os/mod.ts';
import { unmount } from '../../src/fuse/mod.ts';
import { processesIn, signalNow } from './processes.ts';

const ROUNDS_MAX = 50;
const ROUND_MS = 20;

/**
 * Ends every process that works in `folder`, takes away what is mounted below it, removes it.
 * Synchronous, and right however far things have come.
 */
export function sweep(folder: string): void {
  // The supervisor starts a daemon that dies anew: it must be gone before the daemon is.
  for (const kind of ['mount-main', 'daemon-main', '']) killAll(folder, kind);
  for (const { mountPoint } of readMountinfo().reverse()) {
    if (mountPoint.startsWith(`${folder}/`)) unmount(mountPoint, { lazy: true });
  }
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  try {
    remove();
  } catch {
    // Files that a stressor made immutable.
    spawnSync('chattr', ['-R', '-ia', folder], { stdio: 'ignore' });
    remove();
  }
}

/** Some, as the children of a database server, end only once they see that others have ended. */
function killAll(folder: string, kind: string): void {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const left = processesIn(folder).filter(
      ({ pid, line }) => line.includes(kind) && !line.includes('reaper-main') && pid > 1,
    );
    if (left.length === 0) return;
    for (const { pid } of left) signalNow(pid, 'SIGKILL');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ROUND_MS);
  }
}
