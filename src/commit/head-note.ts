import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { DfsError, InvariantError, messageOf } from '../base/errors.ts';
import type { DiskId, Epoch } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { SlotBallot, SlotCopy } from '../bucket/mod.ts';
import type { Head } from '../meta/mod.ts';
import type { SlotDisk } from '../store/mod.ts';

// What a disk says of the newest epoch that was published, written now and then and never waited
// for: not less than that was committed. docs/formats/slot.md has the bytes.

/** The epoch that a disk has heard was published. */
export interface HeadNote {
  readonly epoch: Epoch;
  /** Identity of its record, 32 bytes. */
  readonly recordId: Buffer;
  readonly cutTimeMs: number;
}

/** A note and where it stands among all there were. */
export interface FoundNote extends HeadNote {
  /** At least its epoch; higher when a recovery had to do with an older one. */
  readonly counter: number;
  readonly incarnation: number;
}

/** Disks that can be asked, by id. */
export type SlotDisks = ReadonlyMap<DiskId, SlotDisk>;

const HEAD_PATH = 'system/head';
const RECORD_ID_BYTES = 32;

/** The latest note on any of the disks; undefined when none has one. NEWER_FORMAT. */
export async function readHeadNote(disks: SlotDisks, log: Log): Promise<FoundNote | undefined> {
  let latest: FoundNote | undefined;
  const reads = [...disks].map(async ([disk, slots]) => {
    try {
      const note = noteIn(await slots.read(HEAD_PATH));
      if (note !== undefined && (latest === undefined || isBehind(latest, note))) latest = note;
    } catch (error) {
      const isPassedOver = error instanceof DfsError && error.code !== 'NEWER_FORMAT';
      if (!isPassedOver || error instanceof InvariantError) throw error;
      log('warn', 'no word of the newest epoch', { disk, message: messageOf(error) });
    }
  });
  await Promise.all(reads);
  return latest;
}

/** Writes a note to all of the disks; those that have it, or a later one, now. */
export async function writeHeadNote(
  note: FoundNote,
  disks: SlotDisks,
  log: Log,
): Promise<Set<DiskId>> {
  const { epoch, recordId, cutTimeMs, counter, incarnation } = note;
  const content = new ByteWriter().u53(epoch).u53(cutTimeMs).raw(recordId).finish();
  const state = { version: { counter, incarnation }, content };
  const ballot = ballotOf(note);
  const done = new Set<DiskId>();
  const writes = [...disks].map(async ([disk, slots]) => {
    try {
      await slots.accept(HEAD_PATH, { ballot, state }, { replaceDamaged: true });
      done.add(disk);
    } catch (error) {
      if (!(error instanceof DfsError) || error instanceof InvariantError) throw error;
      log('warn', 'newest epoch not noted', { disk, message: messageOf(error) });
    }
  });
  await Promise.all(writes);
  return done;
}

/**
 * What is wrong when the epoch that the disks lead to is older than one that was committed;
 * undefined when it is not.
 */
export function olderThanNoted(head: Head, note: HeadNote | undefined): string | undefined {
  if (note === undefined || head.epoch > note.epoch) return undefined;
  if (head.recordId.equals(note.recordId)) return undefined;
  const noted = `epoch ${note.epoch} of ${new Date(note.cutTimeMs).toISOString()} was committed`;
  return `${noted}, but the disks that can be used lead to epoch ${head.epoch} only`;
}

/** The map has no say in it: the epoch alone decides, then who wrote it. */
function ballotOf({ counter, incarnation }: FoundNote): SlotBallot {
  return { map: 1, counter, incarnation };
}

function isBehind(a: FoundNote, b: FoundNote): boolean {
  return a.counter < b.counter || (a.counter === b.counter && a.incarnation < b.incarnation);
}

function noteIn(copy: SlotCopy | undefined): FoundNote | undefined {
  const content = copy?.accepted?.state.content;
  if (copy?.accepted === undefined || content === undefined) return undefined;
  const { counter, incarnation } = copy.accepted.ballot;
  const reader = new ByteReader(content, 'a note of the newest epoch');
  const epoch = reader.u53() as Epoch;
  const cutTimeMs = reader.u53();
  const recordId = Buffer.from(reader.raw(RECORD_ID_BYTES));
  reader.end();
  return { epoch, cutTimeMs, recordId, counter, incarnation };
}
