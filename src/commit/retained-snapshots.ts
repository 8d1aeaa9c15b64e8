import { statSync } from 'node:fs';
import { messageOf } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { type DiskLog, listSnapshots, readSnapshotHeader } from '../meta/mod.ts';
import type { AgedSnapshot } from './thinning.ts';

/** A snapshot that is kept, and where. */
export interface RetainedSnapshot extends AgedSnapshot {
  disks: DiskId[];
}

/** Disks with their logs; what is known of a volume that is not open. */
export type LoggedDisks = readonly (readonly [DiskId, DiskLog])[];

/** The newest epoch that a disk has, in its log or as a snapshot. */
export type Reach = { recordId: Buffer | undefined; epoch: number };

/**
 * The snapshots of the disks that have not been away, newest first, as far as their headers can be
 * read. Those that only a disk has that was away may lack their chunks by now. `isNewest` says
 * whether a disk has the newest epoch; by default it is the highest number on any disk.
 */
export async function retainedSnapshots(options: {
  disks: LoggedDisks;
  isNewest?: (reach: Reach) => boolean;
  tag: Buffer;
  log: Log;
}): Promise<RetainedSnapshot[]> {
  const { disks, tag, log } = options;
  const reached = await Promise.all(disks.map(([, diskLog]) => reachOf(diskLog)));
  const highest = Math.max(...reached.map(({ epoch }) => epoch));
  const isNewest = options.isNewest ?? (({ epoch }: Reach) => epoch === highest);
  const inStep = disks.filter((_, at) => isNewest(reached[at] ?? NOWHERE));
  const found = new Map<number, RetainedSnapshot>();
  for (const [disk, { folder }] of inStep.length > 0 ? inStep : disks) {
    for (const { path, epoch } of await listSnapshots(folder)) {
      try {
        const header = await readSnapshotHeader(path);
        if (!header.volumeTag.equals(tag)) continue;
        const cutTimeMs = header.cutTimeMs ?? statSync(path).mtimeMs;
        const known = found.get(epoch);
        if (known === undefined) found.set(epoch, { epoch, cutTimeMs, disks: [disk] });
        else known.disks.push(disk);
      } catch (error) {
        log('warn', 'snapshot not usable', { disk, path, message: messageOf(error) });
      }
    }
  }
  return [...found.values()].sort((a, b) => b.epoch - a.epoch);
}

const NOWHERE: Reach = { recordId: undefined, epoch: -1 };

/** A snapshot empties the log, so that it may know of a later epoch. */
async function reachOf(log: DiskLog): Promise<Reach> {
  const [newest] = await listSnapshots(log.folder);
  const head = log.head();
  if (newest !== undefined && newest.epoch >= (head?.epoch ?? 0)) {
    const header = await readSnapshotHeader(newest.path).catch(() => undefined);
    if (header !== undefined) return { recordId: header.recordId, epoch: header.epoch };
  }
  return head === undefined ? NOWHERE : { recordId: head.id, epoch: head.epoch };
}

/** The epochs from which on, and at which, a volume can be had again. */
export interface RetainedEpochs {
  /** The newest there is, and when it was cut. */
  newest: number;
  newestCutTimeMs: number | undefined;
  /** Every epoch from here on. */
  windowStart: number;
  /** Newest first. */
  snapshots: RetainedSnapshot[];
}

/** What the disks of a volume retain, whether it is open or not. */
export async function retainedEpochs(options: {
  disks: LoggedDisks;
  tag: Buffer;
  log: Log;
}): Promise<RetainedEpochs> {
  const snapshots = await retainedSnapshots(options);
  const windowStart = (snapshots[1] ?? snapshots[0])?.epoch ?? 0;
  let newest = snapshots[0]?.epoch ?? 0;
  let newestCutTimeMs = snapshots[0]?.cutTimeMs;
  for (const [, diskLog] of options.disks) {
    const head = diskLog.head();
    if (head === undefined || head.epoch <= newest) continue;
    newest = head.epoch;
    newestCutTimeMs = head.cutTimeMs;
  }
  return { newest, newestCutTimeMs, windowStart, snapshots };
}
