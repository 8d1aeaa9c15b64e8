import { DfsError, InvariantError, messageOf } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import { compareBallots, type ListedSlot, NO_BALLOT } from '../bucket/mod.ts';
import type { SlotDisk } from './slot-disk.ts';
import type { SlotPlacer } from './slot-places.ts';
import type { SlotWriter } from './slot-register.ts';

/** What disks have of a slot, by disk. */
export type ListedCopies = ReadonlyMap<DiskId, ListedSlot>;

/** All that could be found on the disks. */
export interface SlotSurvey {
  readonly slots: ReadonlyMap<string, ListedCopies>;
  /** Why slots may have been overlooked; undefined when none was. */
  readonly problem: DfsError | undefined;
}

const PAGE_SLOTS = 256;

/** Asks every disk of the map for its slots. */
export async function surveySlots(
  placer: SlotPlacer,
  writer: Pick<SlotWriter, 'disk' | 'failed'>,
): Promise<SlotSurvey> {
  const slots = new Map<string, Map<DiskId, ListedSlot>>();
  const silent: DiskId[] = [];
  const troubles: string[] = [];
  const surveys = placer.disks.map(async (id) => {
    try {
      const disk = writer.disk(id);
      if (disk === undefined) throw new DfsError('UNAVAILABLE', 'it cannot be asked');
      for await (const listed of slotsOn(disk)) {
        if (listed.path === undefined) continue; // A damaged copy is nobody's.
        const copies = slots.get(listed.path) ?? new Map<DiskId, ListedSlot>();
        slots.set(listed.path, copies.set(id, listed));
      }
    } catch (error) {
      if (!(error instanceof DfsError) || error instanceof InvariantError) throw error;
      silent.push(id);
      troubles.push(`disk ${id}: ${messageOf(error)}`);
      if (writer.disk(id) !== undefined) writer.failed(id, error);
    }
  });
  await Promise.all(surveys);
  const missed = silent.filter((id) => placer.missed.has(id)).length;
  const state = `slots may be on disks that are silent (${troubles.join('; ')})`;
  const problem =
    missed > placer.silentMax
      ? new DfsError('UNAVAILABLE', `Cannot list slots: ${state}`)
      : undefined;
  return { slots, problem };
}

/** The copy that was accepted last. */
export function newestListed(copies: Iterable<ListedSlot>): ListedSlot | undefined {
  let newest: ListedSlot | undefined;
  for (const copy of copies) {
    const ballot = copy.accepted?.ballot ?? NO_BALLOT;
    const best = newest?.accepted?.ballot ?? NO_BALLOT;
    if (newest === undefined || compareBallots(ballot, best) > 0) newest = copy;
  }
  return newest;
}

async function* slotsOn(disk: SlotDisk): AsyncGenerator<ListedSlot> {
  for (let after = ''; ; ) {
    const page = await disk.list(after, PAGE_SLOTS);
    yield* page;
    const last = page.at(-1);
    if (last === undefined) return;
    after = last.name;
  }
}
