import { closeSync } from 'node:fs';
import { DfsError } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { settingsOf } from '../base/settings.ts';
import { Volume } from '../commit/mod.ts';
import { homePaths, lockHome, requireConfig, requireMeta } from '../home/mod.ts';
import { LiveMeta } from '../meta/mod.ts';
import { ConfigChanges } from './config-changes.ts';
import { DiskOrders } from './disk-orders.ts';
import { drillDisks, type VolumeDrill } from './drill.ts';
import { type FsckProgress, type FsckReport, fsck } from './fsck.ts';
import { LocalStore } from './local-store.ts';
import { offlineStatus, type StatusReport } from './status.ts';
import type { SurveyProgress } from './survey.ts';
import { uncommittedIn } from './uncommitted.ts';
import { volumeReport } from './volume-report.ts';

/** A volume that is not mounted, opened to be looked at. */
export interface OfflineVolume {
  status(): Promise<StatusReport>;
  fsck(onProgress: (progress: FsckProgress) => void): Promise<FsckReport>;
  drill(onProgress: (progress: SurveyProgress) => void): Promise<VolumeDrill>;
  close(): Promise<void>;
}

/** Changes the hardware of a volume that nobody has mounted; BUSY when somebody has. */
export async function withOfflineOrders<T>(
  options: { home: string; log: Log },
  work: (orders: DiskOrders) => Promise<T>,
): Promise<T> {
  const { home, log } = options;
  const config = await requireConfig(home);
  requireMeta(home);
  const lock = lockHome(home);
  try {
    const store = new LocalStore({
      home,
      volumeUuid: config.volumeUuid,
      disks: config.disks.map(({ id, path }) => ({ id: id as DiskId, path })),
      readOnly: false,
      settings: settingsOf(config),
      log,
      capture: () => {
        throw new DfsError('INVARIANT', 'nothing is captured offline');
      },
      wantEpoch: () => undefined,
      onDeath: () => undefined,
    });
    try {
      await store.open();
      return await work(new DiskOrders({ home, changes: new ConfigChanges(home), store }));
    } finally {
      await store.close();
    }
  } finally {
    closeSync(lock);
  }
}

/** Opens a volume that nobody has mounted; BUSY when somebody has. */
export async function openOffline(home: string, log: Log): Promise<OfflineVolume> {
  const config = await requireConfig(home);
  requireMeta(home);
  const lock = lockHome(home);
  let volume: Volume;
  try {
    volume = await Volume.open({
      home,
      volumeUuid: config.volumeUuid,
      disks: config.disks.map(({ id, path }) => ({ id: id as DiskId, path })),
      readOnly: true,
      log,
      capture: () => Promise.reject(new DfsError('INVARIANT', 'nothing is captured offline')),
    });
  } catch (error) {
    closeSync(lock);
    throw error;
  }
  return {
    status: async () => {
      const live = new LiveMeta(homePaths(home).meta);
      const waiting = { uncommittedOps: live.pendingOps, dirtyFiles: live.dirtyInodes().length };
      await live.close();
      return offlineStatus(await volumeReport(volume, undefined), { home, config, ...waiting });
    },
    fsck: (onProgress) => fsck(volume, onProgress),
    drill: async (onProgress) => {
      const live = new LiveMeta(homePaths(home).meta);
      const uncommitted = uncommittedIn(home, live);
      await live.close();
      const disks = await drillDisks(volume, { isGentle: false, onProgress });
      return { ...disks, home: uncommitted };
    },
    close: async () => {
      await volume.close();
      closeSync(lock);
    },
  };
}
