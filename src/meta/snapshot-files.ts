import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Epoch } from '../base/ids.ts';
import { ioError, syncFolder } from '../base/publish.ts';
import { epochDigits, namesIn } from './disk-log-files.ts';

const SNAPSHOT_NAME = /^snapshot-(\d{12})$/;
/** What a crash in the middle of publishing leaves. */
const TEMPORARY_NAME = /^snapshot-\d{12}\.[0-9a-f]+\.tmp$/;

/** A snapshot by its name; nothing of it was read. */
export interface SnapshotFile {
  path: string;
  epoch: Epoch;
}

/** The name of an epoch's snapshot in its folder. */
export function snapshotName(epoch: Epoch): string {
  return `snapshot-${epochDigits(epoch)}`;
}

/** The epoch in a snapshot's name; undefined for other names. */
export function epochOfSnapshotName(name: string): Epoch | undefined {
  const match = SNAPSHOT_NAME.exec(name);
  return match === null ? undefined : (Number(match[1]) as Epoch);
}

/** The snapshots in a folder, newest first; none when the folder is not there. */
export async function listSnapshots(folder: string): Promise<SnapshotFile[]> {
  const found: SnapshotFile[] = [];
  for (const name of await namesIn(folder)) {
    const epoch = epochOfSnapshotName(name);
    if (epoch !== undefined) found.push({ path: join(folder, name), epoch });
  }
  return found.sort((a, b) => b.epoch - a.epoch);
}

/**
 * Deletes the snapshots that are not to be kept, but never the newest, and what crashes left of
 * unfinished ones; not to be called while one is being written. Answers those that are left, newest
 * first.
 */
export async function removeSnapshots(
  folder: string,
  isKept: (epoch: Epoch) => boolean,
): Promise<Epoch[]> {
  const snapshots = await listSnapshots(folder);
  const kept = snapshots.filter(({ epoch }, index) => index === 0 || isKept(epoch));
  const doomed = snapshots.filter((snapshot) => !kept.includes(snapshot)).map(({ path }) => path);
  for (const name of await namesIn(folder)) {
    if (TEMPORARY_NAME.test(name)) doomed.push(join(folder, name));
  }
  for (const path of doomed) {
    try {
      await unlink(path);
    } catch (error) {
      throw ioError(`Cannot delete ${path}`, error);
    }
  }
  if (doomed.length > 0) await syncFolder(folder);
  return kept.map(({ epoch }) => epoch);
}
