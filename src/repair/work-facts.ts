import type { Kind } from './survey.ts';

/** What background work does at this moment; src/repair/work.ts has the transitions. */
export type WorkPhase = 'idle' | 'checking' | 'working' | 'scrubbing' | 'waiting' | 'paused';

/** What the last complete walk over all chunks found. Times in ms since 1970. */
export interface WalkFacts {
  readonly mapVersion: number;
  readonly beganMs: number;
  readonly endedMs: number;
  /** It began after the last change of the map and of the disks' states: it is still true. */
  readonly isCurrent: boolean;
  readonly chunks: number;
  readonly degraded: number;
  readonly misplaced: number;
  readonly lost: number;
  /** Chunks that are to have another scheme. */
  readonly otherScheme: number;
  /** Chunks of which a piece waits for a disk that is full or away. */
  readonly waiting: number;
}

/** How far the scrub is. Times in ms since 1970. */
export interface ScrubFacts {
  /** The share of this round that is done, from 0 to 1. */
  readonly cursorShare: number;
  readonly startedMs: number;
  /** When this round ends if it keeps to its pace; undefined if it was asked for. */
  readonly endsMs: number | undefined;
  readonly isAsked: boolean;
  readonly bytes: number;
  /** Pieces that did not verify, in this round and in the last. */
  readonly bad: number;
  readonly lastFullMs: number | undefined;
  readonly lastBad: number | undefined;
}

/** Background work in facts. */
export interface WorkFacts {
  readonly state: WorkPhase;
  /** What runs, or is to go on after a pause. */
  readonly kind: Kind | undefined;
  /** Chunks. */
  readonly done: number;
  readonly total: number;
  readonly bytes: number;
  readonly totalBytes: number;
  /** Bytes in a second. */
  readonly rate: number;
  readonly etaMs: number | undefined;
  readonly pausedBy: 'user' | undefined;
  /** Bytes in a second that it may write at most. */
  readonly limit: number | undefined;
  /** Why something did not work out the last time; '' if all did. */
  readonly problem: string;
  /** Undefined until there was one. */
  readonly lastWalk: WalkFacts | undefined;
  readonly scrub: ScrubFacts;
  /** Since the volume was opened. */
  readonly totals: WorkTotals;
}

/** What was done since the volume was opened. */
export interface WorkTotals {
  /** Bytes by kind: written, or freed as garbage. */
  readonly bytes: Readonly<Record<Kind, number>>;
  /** Chunks for which something did not work out. */
  readonly failures: number;
  readonly forgotten: number;
}
