import type { ChunkId, DiskId } from '../base/ids.ts';
import type { DiskMap, Placement, Placer } from '../diskmap/mod.ts';
import type { DiskStatus } from '../store/mod.ts';
import type { Hardware, Place } from './plan.ts';
import type { WorkVolume } from './work-volume.ts';

/** The map and what is known of each disk, to be compared; that one is full is no change. */
export function hardwareText({ map, chunks }: Pick<WorkVolume, 'map' | 'chunks'>): string {
  const states = chunks.diskIds.map((id) => {
    const status = chunks.statusOf(id);
    return `${id}=${status === 'full' ? 'up' : status}`;
  });
  return `${map.version} ${map.createdAt ?? 0} ${states.join(' ')}`;
}

/** {@link Hardware} of a map and of what is known of its disks at this moment. */
export function hardwareOf(
  map: DiskMap,
  placer: Pick<Placer, 'place'>,
  statusOf: (diskId: DiskId) => DiskStatus,
): Hardware {
  const leaving = new Set(map.disks.filter(({ state }) => state !== 'in').map(({ id }) => id));
  const failed = new Set(map.disks.filter(({ state }) => state === 'failed').map(({ id }) => id));
  const isReachable = (diskId: DiskId): boolean =>
    statusOf(diskId) === 'up' || statusOf(diskId) === 'full';
  const isWritable = (diskId: DiskId): boolean => statusOf(diskId) === 'up';
  return {
    homes: (id: ChunkId, count) => placer.place(id, count).map(placeOf),
    standIns: (id, count, keeps) =>
      placer.place(id, count, (disk) => isWritable(disk.id) || keeps.has(disk.id)).map(placeOf),
    isReachable,
    isWritable,
    isLeaving: (diskId) => leaving.has(diskId),
    isFailed: (diskId) => failed.has(diskId),
  };
}

function placeOf(placement: Placement | undefined): Place | undefined {
  return placement && { diskId: placement.disk.id, bucket: placement.bucket };
}
