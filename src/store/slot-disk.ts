import { withinMs } from '../base/deadline.ts';
import type { ListedSlot, SlotAnswer, SlotBallot, SlotCopy, SlotState } from '../bucket/mod.ts';

/** A state of a slot with the ballot it is proposed under. */
export interface SlotProposal {
  readonly ballot: SlotBallot;
  readonly state: SlotState;
}

/**
 * What slots need of a disk, here or on another machine: an acceptor of Paxos for each of them.
 * test/store/slot-disk-contract.ts is the contract in full.
 */
export interface SlotDisk {
  /** What is here of a slot; CORRUPT when it does not verify. */
  read(path: string): Promise<SlotCopy | undefined>;
  /** Promises to accept nothing below `ballot`; not done when a later one has the promise. */
  prepare(path: string, ballot: SlotBallot): Promise<SlotAnswer>;
  /**
   * Accepts a state; not done when a later ballot has the promise. `replaceDamaged` is for what a
   * majority of other disks has.
   */
  accept(
    path: string,
    proposal: SlotProposal,
    options?: { replaceDamaged: boolean },
  ): Promise<SlotAnswer>;
  /** At most `limit` copies behind the name `after`, in the order of their names. */
  list(after: string, limit: number): Promise<ListedSlot[]>;
  /** Removes a copy unless it, or a promise, is later than `upTo`; whether it is gone. */
  drop(path: string, upTo: SlotBallot): Promise<boolean>;
}

/** A disk that has slots beside its pieces. */
export interface HasSlots {
  readonly slots: SlotDisk;
}

/** The disk itself, but for calls that take too long: those throw TIMEOUT, and go on unheard. */
export function slotsWithDeadline(disk: SlotDisk, label: string, timeoutMs: number): SlotDisk {
  const limit = <T>(action: string, call: Promise<T>): Promise<T> =>
    withinMs(timeoutMs, `${action} of ${label}`, call);
  return {
    read: (path) => limit('read a slot', disk.read(path)),
    prepare: (path, ballot) => limit('prepare a slot', disk.prepare(path, ballot)),
    accept: (path, proposal, options) =>
      limit('write a slot', disk.accept(path, proposal, options)),
    list: (after, limitCount) => limit('list the slots', disk.list(after, limitCount)),
    drop: (path, upTo) => limit('drop a slot', disk.drop(path, upTo)),
  };
}
