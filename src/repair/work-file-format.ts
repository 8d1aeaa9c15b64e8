/**
 * HOME/work, version 1: text, a JSON object of some lines, then one line `blake3 <64 hex digits>`
 * over every byte before it. It has what background work must not forget when the daemon ends: that
 * it is paused, its limit, and how far the scrub is. docs/formats/work.md.
 */
export const WORK_FORMAT = 'dfs-work';
export const WORK_VERSION = 1;

/** How far the scrub is. */
export interface ScrubState {
  /** When this round began, ms since 1970. */
  readonly startedMs: number;
  /** The chunk up to which all pieces are verified, in hex; null at the start. */
  readonly cursor: string | null;
  /** Pieces that did not verify in this round. */
  readonly bad: number;
  /** Bytes verified in this round. */
  readonly bytes: number;
  /** Somebody asked for this round: it does not keep to the pace. */
  readonly isAsked: boolean;
  /** When the last complete round ended, and what it found bad; null before there was one. */
  readonly lastFullMs: number | null;
  readonly lastBad: number | null;
}

/** What HOME/work says. */
export interface WorkState {
  readonly isPaused: boolean;
  readonly bytesPerSecond: number | null;
  readonly scrub: ScrubState;
}

/** What is true of a volume whose HOME has no such file. */
export function newWorkState(nowMs: number): WorkState {
  const round = { startedMs: nowMs, cursor: null, bad: 0, bytes: 0, isAsked: false };
  return {
    isPaused: false,
    bytesPerSecond: null,
    scrub: { ...round, lastFullMs: null, lastBad: null },
  };
}
