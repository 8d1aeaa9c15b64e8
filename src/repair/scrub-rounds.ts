import type { ChunkId } from '../base/ids.ts';
import { type ScrubStep, shareOf } from './scrub.ts';
import type { ScrubFacts } from './work-facts.ts';
import type { ScrubState } from './work-file-format.ts';

const DAY_MS = 86_400_000;
/** A round that found no piece says nothing of those that come: the next one begins this soon. */
const EMPTY_ROUND_MS = 3_600_000;

/**
 * When the scrub goes on, and where. A round goes over all pieces in the time it may take, evenly;
 * one that somebody asked for goes as fast as it can.
 */
export class ScrubRounds {
  readonly #days: () => number;
  readonly #nowMs: () => number;
  #state: ScrubState;

  /** `days` is what a round takes, `nowMs` the time since 1970. */
  constructor(state: ScrubState, days: () => number, nowMs: () => number) {
    this.#state = state;
    this.#days = days;
    this.#nowMs = nowMs;
  }

  get state(): ScrubState {
    return this.#state;
  }

  get cursor(): ChunkId | undefined {
    const { cursor } = this.#state;
    return cursor === null ? undefined : (Buffer.from(cursor, 'hex') as ChunkId);
  }

  get isDue(): boolean {
    const { isAsked, startedMs } = this.#state;
    if (isAsked) return true;
    return (this.#nowMs() - startedMs) / this.#periodMs > shareOf(this.cursor);
  }

  /** Begins a new round that goes as fast as it can; one that runs is given up. */
  ask(): void {
    const round = { startedMs: this.#nowMs(), cursor: null, bad: 0, bytes: 0, isAsked: true };
    this.#state = { ...this.#state, ...round };
  }

  /** A step from {@link cursor} was done; whether it was the round's last. */
  advance(step: Pick<ScrubStep, 'cursor' | 'bytes' | 'badPieces'>): boolean {
    const { startedMs, isAsked } = this.#state;
    const bad = this.#state.bad + step.badPieces;
    const bytes = this.#state.bytes + step.bytes;
    if (step.cursor !== undefined) {
      this.#state = { ...this.#state, cursor: step.cursor.toString('hex'), bad, bytes };
      return false;
    }
    const nowMs = this.#nowMs();
    // The next round keeps to the pace, which may mean that it waits.
    const spanMs = bytes === 0 ? Math.min(EMPTY_ROUND_MS, this.#periodMs) : this.#periodMs;
    const nextMs = isAsked ? nowMs : Math.max(nowMs, startedMs + spanMs);
    const next = { startedMs: Math.round(nextMs), cursor: null, bad: 0, bytes: 0, isAsked: false };
    this.#state = { ...next, lastFullMs: nowMs, lastBad: bad };
    return true;
  }

  get facts(): ScrubFacts {
    const { startedMs, isAsked, bytes, bad, lastFullMs, lastBad } = this.#state;
    return {
      cursorShare: shareOf(this.cursor),
      startedMs,
      endsMs: isAsked ? undefined : Math.round(startedMs + this.#periodMs),
      isAsked,
      bytes,
      bad,
      lastFullMs: lastFullMs ?? undefined,
      lastBad: lastBad ?? undefined,
    };
  }

  get #periodMs(): number {
    return this.#days() * DAY_MS;
  }
}
