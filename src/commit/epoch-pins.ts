import { closeSync, openSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { lockExclusive } from '../base/os/mod.ts';

// A mount of a retained epoch has a folder of its own in HOME/epochs, whose name begins with the
// epoch, and holds the lock in it while it lives. Who makes one first has the lock, and then looks
// whether the epoch is still retained; who thins snapshots out deletes them first, and then looks
// for such folders: one of the two sees the other.

const NAME = /^(\d+)-/;
/** Who makes a folder has its lock soon after. */
const MAKING_MS: number = 10 * 60_000;

/** Where mounts of retained epochs have their folders. */
export function epochFolder(home: string): string {
  return join(home, 'epochs');
}

/** The epochs that are mounted now; folders that mounts have left behind are removed. */
export function pinnedEpochs(home: string): number[] {
  const pinned = new Set<number>();
  for (const name of namesIn(epochFolder(home))) {
    const epoch = NAME.exec(name)?.[1];
    if (epoch === undefined) continue;
    const folder = join(epochFolder(home), name);
    if (isHeld(folder)) pinned.add(Number(epoch));
    else rmSync(folder, { recursive: true, force: true });
  }
  return [...pinned];
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isHeld(folder: string): boolean {
  let fd: number;
  try {
    fd = openSync(join(folder, 'lock'), 'r+');
  } catch {
    try {
      return Date.now() - statSync(folder).mtimeMs < MAKING_MS;
    } catch {
      return false;
    }
  }
  try {
    return !lockExclusive(fd);
  } finally {
    closeSync(fd);
  }
}
