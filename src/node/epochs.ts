import { DfsError, messageOf } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { openReadOnlyLog, type RetainedEpochs, retainedEpochs } from '../commit/mod.ts';
import { volumeTag } from '../diskmap/mod.ts';
import { requireConfig } from '../home/mod.ts';
import type { DiskLog } from '../meta/mod.ts';

/** What can be mounted of a volume's past. */
export interface EpochsReport extends RetainedEpochs {
  volumeUuid: string;
  /** How far back epochs are retained. */
  retentionMs: number;
  disks: number;
  /** Disks that could not be asked. */
  unusable: { disk: number; problem: string }[];
}

/** Asks the disks of a volume, mounted or not, which epochs they retain. UNAVAILABLE without any. */
export async function listEpochs(home: string, log: Log): Promise<EpochsReport> {
  const { volumeUuid, retentionMs, disks } = await requireConfig(home);
  const opened: [DiskId, DiskLog][] = [];
  const unusable: EpochsReport['unusable'] = [];
  try {
    for (const { id, path } of disks) {
      try {
        opened.push([id as DiskId, await openReadOnlyLog(path, volumeUuid, id as DiskId)]);
      } catch (error) {
        if (error instanceof DfsError && error.code === 'NEWER_FORMAT') throw error;
        unusable.push({ disk: id, problem: messageOf(error) });
      }
    }
    if (opened.length === 0) {
      const problems = unusable.map(({ problem }) => problem).join('; ');
      const state = `no disk can be used: ${problems}`;
      throw new DfsError('UNAVAILABLE', `Cannot list the epochs of ${home}: ${state}`);
    }
    const retained = await retainedEpochs({ disks: opened, tag: volumeTag(volumeUuid), log });
    return { volumeUuid, retentionMs, ...retained, disks: disks.length, unusable };
  } finally {
    for (const [, diskLog] of opened) await diskLog.close();
  }
}
