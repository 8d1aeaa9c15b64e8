import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { DfsError, InvariantError } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import type { SlotBallot, SlotCopy } from '../bucket/mod.ts';
import type { SlotDisk } from './slot-disk.ts';
import type { Settlement, SlotPlacer } from './slot-places.ts';
import type { SlotWriter } from './slot-register.ts';

// That slots are settled under a map is a fact which follows from nothing but that map, and stays
// true. So the word of one disk is enough, and all that say it say the same.
//
// OFFSET  SIZE  FIELD
//      0     2  least majority of a slot, u16
//      2     2  number of idle disks, u16
//      4    2n  their ids, u16 each

const SETTLED_PATH = 'system/settled';

type Disks = Pick<SlotWriter, 'disk' | 'failed'>;

/** Tells the placer what the disks know of settled slots. */
export async function readSettlement(placer: SlotPlacer, disks: Disks): Promise<void> {
  const copies = await askAll(placer, disks, (disk) => disk.read(SETTLED_PATH));
  for (const copy of copies) {
    const settlement = copy && settlementIn(copy);
    if (settlement !== undefined) placer.settled(settlement);
  }
}

/** Remembers on every disk that slots are settled; UNAVAILABLE when none can. */
export async function writeSettlement(placer: SlotPlacer, disks: Disks): Promise<void> {
  const { mapVersion, majority, idle } = placer.settlement;
  const writer = new ByteWriter().u16(majority).u16(idle.size);
  for (const id of [...idle].sort((a, b) => a - b)) writer.u16(id);
  const ballot = ballotOf(mapVersion);
  const { counter, incarnation } = ballot;
  const state = { version: { counter, incarnation }, content: writer.finish() };
  const options = { replaceDamaged: true };
  const answers = await askAll(placer, disks, (disk) =>
    disk.accept(SETTLED_PATH, { ballot, state }, options),
  );
  if (!answers.some(({ isDone }) => isDone)) {
    throw new DfsError('UNAVAILABLE', 'Cannot settle slots: no disk takes note of it');
  }
  placer.settled(placer.settlement);
}

/** All that say something of a map say the same, so that it is the same attempt. */
function ballotOf(map: number): SlotBallot {
  return { map, counter: 1, incarnation: 1 };
}

function settlementIn({ accepted }: SlotCopy): Settlement | undefined {
  const content = accepted?.state.content;
  if (accepted === undefined || content === undefined) return undefined;
  const reader = new ByteReader(content, 'a note of settled slots');
  const majority = reader.u16();
  const idle = Array.from({ length: reader.u16() }, () => reader.u16() as DiskId);
  reader.end();
  return { mapVersion: accepted.ballot.map, majority, idle: new Set(idle) };
}

/** The answers of those that give one. */
async function askAll<T>(
  placer: SlotPlacer,
  disks: Disks,
  call: (disk: SlotDisk) => Promise<T>,
): Promise<T[]> {
  const answers: T[] = [];
  const calls = placer.disks.map(async (id) => {
    const disk = disks.disk(id);
    if (disk === undefined) return;
    try {
      answers.push(await call(disk));
    } catch (error) {
      if (!(error instanceof DfsError) || error instanceof InvariantError) throw error;
      if (!['CORRUPT', 'NO_SPACE', 'BAD_ARGUMENT'].includes(error.code)) disks.failed(id, error);
    }
  });
  await Promise.all(calls);
  return answers;
}
