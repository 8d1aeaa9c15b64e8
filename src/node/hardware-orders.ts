import type { DiskId } from '../base/ids.ts';
import type { Volume } from '../commit/mod.ts';
import type { DiskEntry, DiskMap } from '../diskmap/mod.ts';

/** A change of the hardware, for the thread that has the disks. */
export type HardwareOrder =
  | { kind: 'add'; entry: DiskEntry; path: string }
  | { kind: 'found'; disk: DiskId; path: string }
  | { kind: 'state'; disk: DiskId; state: 'in' | 'failed' | 'draining'; byHand: boolean };

/** Carries an order out: the map that is in use then. */
export async function carryOut(volume: Volume, order: HardwareOrder): Promise<DiskMap> {
  const { hardware } = volume;
  if (order.kind === 'add') await hardware.add(order.entry, order.path);
  else if (order.kind === 'found') await hardware.returned(order.disk, order.path);
  else {
    const { disk, state, byHand } = order;
    // Before the map says so: the watch would put it in again.
    if (byHand) await hardware.noteTrouble(disk, { failedByHand: true });
    await hardware.setState(disk, state);
    if (!byHand) await hardware.noteTrouble(disk, { failedByHand: undefined });
  }
  return hardware.map;
}
