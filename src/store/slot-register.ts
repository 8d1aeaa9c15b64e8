import { DfsError, messageOf } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import {
  compareBallots,
  NO_BALLOT,
  type SlotAnswer,
  type SlotBallot,
  type SlotCopy,
  type SlotState,
  type SlotVersion,
} from '../bucket/mod.ts';
import type { SlotDisk, SlotProposal } from './slot-disk.ts';
import type { SlotPlaces } from './slot-places.ts';

// One slot over the disks that have it (docs/adr/0014-slots.md).
//
// Invariants.
// 1. A state is chosen when a majority of homes accepted it under one ballot. What is chosen later
//    was made by somebody who knew it: whoever proposes has the promise of a majority that nothing
//    earlier is accepted any more, and goes on from the newest that one of them accepted.
// 2. No two proposals have the same ballot: its incarnation is one writer's alone, and he counts up.
// 3. While slots are not settled under the map, nothing is proposed before so many disks were heard
//    that none of them can hide a state that was chosen under an older map.
// 4. Nobody is shown a state before it is chosen.

/** What a writer works with. */
export interface SlotWriter {
  /** A disk that can be asked; undefined when it cannot. */
  disk(id: DiskId): SlotDisk | undefined;
  /** The next ballot of this writer behind `counter`. */
  ballotBehind(mapVersion: number, counter: number): SlotBallot;
  /** A disk failed to do what it was asked. */
  failed(id: DiskId, error: unknown): void;
  /** Waits for some time, longer with each attempt: another writer was faster. */
  yield(attempt: number): Promise<void>;
}

/** What to make of a slot that is so now: another content, or nothing else. */
export type Decide = (state: SlotState | undefined) => { write: Buffer | undefined } | undefined;

/** What a change came to. */
export interface SlotChange {
  /** Whether it was made; else what is there instead. */
  readonly isMade: boolean;
  readonly state: SlotState | undefined;
}

/** Which homes have the newest state of a slot. */
export interface FilledSlot {
  readonly newest: SlotProposal | undefined;
  /** How many did not have it before. */
  readonly copied: number;
  readonly isOnMost: boolean;
  readonly isOnAll: boolean;
}

/** What disks said to one call. */
interface Hearing<T> {
  readonly answers: ReadonlyMap<DiskId, T>;
  readonly damaged: readonly DiskId[];
  readonly fullCount: number;
  readonly troubles: readonly string[];
}

/** What preparing came to. */
interface Prepared {
  readonly isPromised: boolean;
  readonly newest: SlotProposal | undefined;
  readonly counter: number;
  readonly damaged: readonly DiskId[];
}

const ATTEMPTS_MAX = 16;

/** Failures of a call that are the caller's, not the disk's. */
const CALLERS_FAULTS: readonly string[] = ['BAD_ARGUMENT', 'INVARIANT'];

/** One slot, as long as the map does not change. */
export class SlotRegister {
  readonly #writer: SlotWriter;
  readonly #path: string;
  readonly #places: SlotPlaces;

  constructor(writer: SlotWriter, path: string, places: SlotPlaces) {
    this.#writer = writer;
    this.#path = path;
    this.#places = places;
  }

  /** Where its copies belong. */
  get homes(): readonly DiskId[] {
    return this.#places.homes;
  }

  /** The slot as it is; UNAVAILABLE when too few disks can be asked to know. */
  async read(): Promise<SlotState | undefined> {
    return (await this.change(() => undefined)).state;
  }

  /**
   * Makes `decide`'s change to the slot, or none. UNAVAILABLE, NO_SPACE and BUSY say whether it may
   * be made all the same.
   */
  async change(decide: Decide): Promise<SlotChange> {
    const known = await this.#known();
    if (known.isChosen && decide(known.state) === undefined) {
      return { isMade: false, state: known.state };
    }
    const attempts = new Attempts(decide, this.#path);
    let { counter } = known;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const ballot = this.#writer.ballotBehind(this.#places.mapVersion, counter);
      const prepared = await this.#prepare(ballot);
      counter = Math.max(counter, prepared.counter);
      if (prepared.isPromised) {
        // Versions go up, also over those of older maps, whose ballots count for nothing now.
        if (counter > ballot.counter) continue;
        const next = attempts.next(prepared.newest?.state, ballot);
        if (next.state === undefined) return next;
        if (await this.#propose({ ballot, state: next.state }, prepared.damaged)) return next;
      }
      await this.#writer.yield(attempt);
    }
    const state = `others change it at the same time${attempts.doubt}`;
    throw new DfsError('BUSY', `Cannot use slot "${this.#path}": ${state}`);
  }

  /** Puts the newest state on every home that can be asked. To be called behind read(). */
  async fill(): Promise<FilledSlot> {
    const { homes, majority } = this.#places;
    const heard = await this.#ask(homes, (disk) => disk.read(this.#path));
    const newest = newestOf(heard.answers.values());
    if (newest === undefined) return { newest, copied: 0, isOnMost: true, isOnAll: false };
    const had = countOf(heard.answers, newest);
    const lacking = homes.filter((id) => !hasProposal(heard.answers.get(id), newest));
    const options = { replaceDamaged: had >= majority };
    const taken = await this.#ask(lacking, (disk) => disk.accept(this.#path, newest, options));
    const copied = promisesIn(taken);
    const having = had + copied;
    return { newest, copied, isOnMost: having >= majority, isOnAll: having === homes.length };
  }

  /** Drops what `ids` have of the slot as far as it is not later than `upTo`; how many had it. */
  async drop(ids: readonly DiskId[], upTo: SlotBallot): Promise<number> {
    const heard = await this.#ask(ids, (disk) => disk.drop(this.#path, upTo));
    return [...heard.answers.values()].filter((isGone) => isGone).length;
  }

  /** What homes say without being changed, but for a write that did not come to its end. */
  async #known(): Promise<{ isChosen: boolean; state: SlotState | undefined; counter: number }> {
    const { homes, majority } = this.#places;
    const heard = await this.#ask(homes, (disk) => disk.read(this.#path));
    this.#checkEnough(heard);
    const copies = [...heard.answers.values()].filter((copy) => copy !== undefined);
    const counter = Math.max(0, ...copies.map(counterOf));
    const newest = newestOf(copies);
    const isChosen =
      this.#isKnownHere(newest) &&
      (countOf(heard.answers, newest) >= majority ||
        (newest !== undefined && (await this.#spread(newest, heard))));
    return { isChosen, state: newest?.state, counter };
  }

  /** Invariant 1: asks for promises, and for the newest state that can have been chosen before. */
  async #prepare(ballot: SlotBallot): Promise<Prepared> {
    const { homes, majority } = this.#places;
    const heard = await this.#ask(homes, (disk) => disk.prepare(this.#path, ballot));
    this.#checkEnough(heard);
    const copies = answered(heard);
    this.#checkMap(copies, heard);
    const isPromised = promisesIn(heard) >= majority;
    if (isPromised) copies.push(...(await this.#lookElsewhere(heard)));
    const counter = Math.max(0, ...copies.map(counterOf));
    return { isPromised, newest: newestOf(copies), counter, damaged: heard.damaged };
  }

  /** Proposes a state; false when a later ballot was in the way at too many disks. */
  async #propose(proposal: SlotProposal, damaged: readonly DiskId[]): Promise<boolean> {
    const { homes, majority } = this.#places;
    const heard = await this.#ask(homes, (disk) => disk.accept(this.#path, proposal));
    this.#checkEnough(heard, 'a change may count all the same');
    if (promisesIn(heard) < majority) return false;
    await this.#replaceDamaged(proposal, [...new Set([...damaged, ...heard.damaged])]);
    return true;
  }

  /** Gives a state that some homes accepted to the others, under its own ballot. */
  async #spread(newest: SlotProposal, heard: Hearing<SlotCopy | undefined>): Promise<boolean> {
    const lacking = [...heard.answers].flatMap(([id, copy]) =>
      hasProposal(copy, newest) ? [] : id,
    );
    const taken = await this.#ask(lacking, (disk) => disk.accept(this.#path, newest));
    const { majority } = this.#places;
    if (countOf(heard.answers, newest) + promisesIn(taken) < majority) return false;
    await this.#replaceDamaged(newest, heard.damaged);
    return true;
  }

  /** What a majority of whole copies has may stand in the place of those that are damaged. */
  async #replaceDamaged(proposal: SlotProposal, damaged: readonly DiskId[]): Promise<void> {
    const options = { replaceDamaged: true };
    await this.#ask(damaged, (disk) => disk.accept(this.#path, proposal, options));
  }

  /** Invariant 3: what other disks have, when that may be newer; UNAVAILABLE when too few say. */
  async #lookElsewhere(heard: Hearing<SlotAnswer>): Promise<SlotCopy[]> {
    const { homes, elsewhere, missed, silentMax } = this.#places;
    if (this.#isKnownHere(newestOf(answered(heard)))) return [];
    const others = await this.#ask(elsewhere, (disk) => disk.read(this.#path));
    const silent = [
      ...homes.filter((id) => !heard.answers.has(id)),
      ...elsewhere.filter((id) => !others.answers.has(id)),
    ].filter((id) => missed.has(id));
    if (silent.length <= silentMax) {
      return [...others.answers.values()].filter((copy) => copy !== undefined);
    }
    const state = `disks ${silent.join(', ')} may have it from before the map changed`;
    throw this.#unavailable(state, { ...others, fullCount: 0 });
  }

  /** Whether homes alone know the slot: who proposed under this map has looked elsewhere. */
  #isKnownHere(newest: SlotProposal | undefined): boolean {
    const { isSettled, mapVersion } = this.#places;
    return isSettled || newest?.ballot.map === mapVersion;
  }

  #checkMap(copies: readonly SlotCopy[], heard: Hearing<unknown>): void {
    const { mapVersion } = this.#places;
    const newer = Math.max(0, ...copies.map(({ promised }) => promised.map));
    if (newer <= mapVersion) return;
    throw this.#unavailable(`a disk knows diskmap ${newer}, this one is ${mapVersion}`, heard);
  }

  /** Throws unless a majority answered, with whatever; `doubt` is what remains unsaid then. */
  #checkEnough(heard: Hearing<unknown>, doubt = ''): void {
    const { homes, majority } = this.#places;
    if (heard.answers.size >= majority) return;
    const state = `${heard.answers.size} of its ${homes.length} disks answered, ${majority} must`;
    throw this.#unavailable(doubt === '' ? state : `${state}; ${doubt}`, heard);
  }

  #unavailable(state: string, heard: Hearing<unknown>): DfsError {
    const { majority } = this.#places;
    const isRoom = heard.fullCount > 0 && heard.answers.size + heard.fullCount >= majority;
    const troubles = heard.troubles.length > 0 ? ` (${heard.troubles.join('; ')})` : '';
    const message = `Cannot use slot "${this.#path}": ${state}${troubles}`;
    return new DfsError(isRoom ? 'NO_SPACE' : 'UNAVAILABLE', message);
  }

  async #ask<T>(ids: readonly DiskId[], call: (disk: SlotDisk) => Promise<T>): Promise<Hearing<T>> {
    const answers = new Map<DiskId, T>();
    const damaged: DiskId[] = [];
    const troubles: string[] = [];
    let fullCount = 0;
    const calls = ids.map(async (id) => {
      const disk = this.#writer.disk(id);
      if (disk === undefined) {
        troubles.push(`disk ${id} cannot be asked`);
        return;
      }
      try {
        answers.set(id, await call(disk));
      } catch (error) {
        if (!(error instanceof DfsError) || CALLERS_FAULTS.includes(error.code)) throw error;
        troubles.push(`disk ${id}: ${messageOf(error)}`);
        if (error.code === 'CORRUPT') damaged.push(id);
        else if (error.code === 'NO_SPACE') fullCount++;
        else this.#writer.failed(id, error);
      }
    });
    await Promise.all(calls);
    return { answers, damaged, fullCount, troubles };
  }
}

/** A change that may take more than one attempt, and must be made once at most. */
class Attempts {
  readonly #decide: Decide;
  readonly #path: string;
  readonly #ours: SlotVersion[] = [];
  #basis: SlotVersion | undefined;

  constructor(decide: Decide, path: string) {
    this.#decide = decide;
    this.#path = path;
  }

  /** What a failure leaves open. */
  get doubt(): string {
    return this.#ours.length > 0 ? '; a change may count all the same' : '';
  }

  /** What to propose when the slot is so; a state of undefined: nothing. */
  next(state: SlotState | undefined, ballot: SlotBallot): SlotChange {
    const version = state?.version;
    if (this.#ours.some((own) => sameVersion(own, version))) return { isMade: true, state };
    if (this.#ours.length > 0 && !sameVersion(this.#basis, version)) {
      // It may have been taken up by another writer, whose change then replaced it.
      const doubt = 'another change came in between, and whether this one was made cannot be told';
      throw new DfsError('UNAVAILABLE', `Cannot change slot "${this.#path}": ${doubt}`);
    }
    const decision = this.#decide(state);
    if (decision === undefined) return { isMade: false, state };
    const own = { counter: ballot.counter, incarnation: ballot.incarnation };
    this.#ours.push(own);
    this.#basis = version;
    return { isMade: true, state: { version: own, content: decision.write } };
  }
}

function answered(heard: Hearing<SlotAnswer>): SlotCopy[] {
  return [...heard.answers.values()].flatMap(({ copy }) => copy ?? []);
}

function promisesIn(heard: Hearing<SlotAnswer>): number {
  return [...heard.answers.values()].filter(({ isDone }) => isDone).length;
}

function newestOf(copies: Iterable<SlotCopy | undefined>): SlotProposal | undefined {
  let newest: SlotProposal | undefined;
  for (const copy of copies) {
    const accepted = copy?.accepted;
    if (accepted === undefined) continue;
    if (newest === undefined || compareBallots(accepted.ballot, newest.ballot) > 0) {
      newest = accepted;
    }
  }
  return newest;
}

/** How many answers have just this proposal, or nothing if there is none. */
function countOf(
  answers: ReadonlyMap<DiskId, SlotCopy | undefined>,
  proposal: SlotProposal | undefined,
): number {
  return [...answers.values()].filter((copy) => hasProposal(copy, proposal)).length;
}

function hasProposal(copy: SlotCopy | undefined, proposal: SlotProposal | undefined): boolean {
  const ballot = copy?.accepted?.ballot ?? NO_BALLOT;
  return compareBallots(ballot, proposal?.ballot ?? NO_BALLOT) === 0;
}

/** The highest counter in a copy: later ballots and versions are behind it. */
function counterOf({ promised, accepted }: SlotCopy): number {
  const { ballot, state } = accepted ?? { ballot: NO_BALLOT, state: undefined };
  return Math.max(promised.counter, ballot.counter, state?.version.counter ?? 0);
}

/** Whether two versions are the same, or there is none of both. */
export function sameVersion(a: SlotVersion | undefined, b: SlotVersion | undefined): boolean {
  return a?.counter === b?.counter && a?.incarnation === b?.incarnation;
}
