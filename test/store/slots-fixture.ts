import { DfsError } from '../../src/base/errors.ts';
import type { DiskId } from '../../src/base/ids.ts';
import { silentLog } from '../../src/base/log.ts';
import { SlotFiles } from '../../src/bucket/mod.ts';
import {
  createPlacer,
  type DiskEntry,
  type DiskState,
  type Placer,
} from '../../src/diskmap/mod.ts';
import { type SlotDisk, Slots, type SlotsOptions } from '../../src/store/mod.ts';
import { MemorySlotDisk } from './memory-slot-disk.ts';

export const GONE: DfsError = new DfsError('UNAVAILABLE', 'Cannot use the disk: it is gone');
export const FULL: DfsError = new DfsError('NO_SPACE', 'Cannot write: ENOSPC');

/** A map of equal disks with these states, with ids from 1. */
export function slotPlacer(
  version: number,
  states: readonly DiskState[],
  scheme = 'replica:2',
): Placer {
  const disks = states.map((state, at): DiskEntry => {
    const uuid = `00000000-0000-4000-8000-${String(at + 1).padStart(12, '0')}`;
    const place = { room: 1, row: 1, rack: 1, machine: 1, disk: at + 1 };
    return { id: (at + 1) as DiskId, uuid, ...place, weight: 8, state, label: '' };
  });
  const volumeUuid = '00000000-0000-4000-8000-00000000abcd';
  return createPlacer({ version, volumeUuid, scheme, bucketBytes: 2 ** 30, disks });
}

/** `count` disks that are in. */
export function allIn(count: number): DiskState[] {
  return Array.from({ length: count }, () => 'in' as const);
}

export function memoryDisks(count: number): MemorySlotDisk[] {
  return Array.from({ length: count }, () => new MemorySlotDisk());
}

/** Slots over disks with ids from 1; each call is another writer's life. */
export function slotsOver(
  disks: readonly (SlotDisk | undefined)[],
  placer: Placer,
  options: Partial<SlotsOptions> = {},
): Slots {
  const pause = (): Promise<void> => Promise.resolve();
  const disk = (id: DiskId): SlotDisk | undefined => disks[id - 1];
  return new Slots({ placer, disk, log: silentLog, pause, ...options });
}

export function text(slot: { content: Buffer } | undefined): string | undefined {
  return slot?.content.toString();
}

/** The slots in a folder. */
export function folderSlots(folder: string, id: number): SlotFiles {
  const volumeTag = Buffer.from('0102030405060708', 'hex');
  return new SlotFiles({ folder, volumeTag, diskId: id as DiskId });
}
