import type { Log } from './log.ts';

/** What the event loop does in one piece must not take longer: requests wait meanwhile. */
export const PAUSE_MS = 2;
/** A pause that somebody will notice is worth a line in the log. */
const WARN_MS = 20;
const WARN_EVERY_MS = 1000;
/** A pause that began up to so long after {@link Pauses.mark} is told from waiting for a processor. */
const MARK_EVERY_MS = 5;
/** The cause of what is no fault of ours. */
const NO_CPU = 'no processor free';

/** The pauses of more than {@link PAUSE_MS} that one cause made. */
export interface PauseCount {
  count: number;
  /** Of those, longer than 20 ms. */
  long: number;
  totalMs: number;
  longestMs: number;
}

/** All pauses since the start. `longestMs` counts shorter ones than 2 ms, too. */
export interface PauseFigures {
  longestMs: number;
  longestCause: string;
  count: number;
  byCause: Record<string, PauseCount>;
}

/** Runs `body` and counts how long it kept the event loop. */
export type Timed = <T>(cause: string, body: () => T) => T;

/** Runs `body`, for who does not count. */
export const untimed: Timed = (_cause, body) => body();

/**
 * Counts what keeps the event loop from requests, by cause. What runs inside of something else is
 * counted by both. Time in which the thread waited for a processor is a cause of its own.
 */
export class Pauses {
  readonly #log: Log;
  readonly #byCause = new Map<string, PauseCount>();
  #longestMs = 0;
  #longestCause = '';
  #warnedMs = Number.NEGATIVE_INFINITY;
  #unsaid = 0;
  #timedMs = 0;
  readonly #cpuWaitMs: () => number;
  #markedMs = Number.NEGATIVE_INFINITY;
  #cpuWaitAtMark = 0;
  /** As a function of its own, to be handed down to those who only time something. */
  readonly timed: Timed = (cause, body) => {
    const startMs = performance.now();
    this.mark(startMs);
    try {
      return body();
    } finally {
      const ms = performance.now() - startMs;
      this.#timedMs += ms;
      this.note(cause, ms);
    }
  };

  /** `cpuWaitMs` says how long the thread has waited for a processor so far. */
  constructor(log: Log, cpuWaitMs: () => number = () => 0) {
    this.#log = log;
    this.#cpuWaitMs = cpuWaitMs;
  }

  /** Something that may become a pause begins now, at `nowMs`. */
  mark(nowMs: number): void {
    if (nowMs - this.#markedMs < MARK_EVERY_MS) return;
    this.#markedMs = nowMs;
    this.#cpuWaitAtMark = this.#cpuWaitMs();
  }

  /** Milliseconds spent in {@link timed} so far. */
  get timedMs(): number {
    return this.#timedMs;
  }

  /** The loop was kept for `ms`. */
  note(cause: string, ms: number): void {
    if (ms <= PAUSE_MS) {
      this.#take(cause, ms);
      return;
    }
    const cpuWaitMs = Math.min(ms, this.#cpuWaitMs() - this.#cpuWaitAtMark);
    this.#markedMs = Number.NEGATIVE_INFINITY;
    this.#take(cause, ms - cpuWaitMs);
    this.#take(NO_CPU, cpuWaitMs);
  }

  /** The same of something that is over and was told later. */
  noteLater(cause: string, ms: number): void {
    this.#take(cause, ms);
  }

  #take(cause: string, ms: number): void {
    if (ms > this.#longestMs) {
      this.#longestMs = ms;
      this.#longestCause = cause;
    }
    if (ms > PAUSE_MS) this.#count(cause, ms);
  }

  #count(cause: string, ms: number): void {
    let known = this.#byCause.get(cause);
    if (known === undefined) {
      known = { count: 0, long: 0, totalMs: 0, longestMs: 0 };
      this.#byCause.set(cause, known);
    }
    known.count++;
    known.totalMs += ms;
    known.longestMs = Math.max(known.longestMs, ms);
    if (ms <= WARN_MS) return;
    known.long++;
    const nowMs = performance.now();
    if (nowMs - this.#warnedMs < WARN_EVERY_MS) {
      this.#unsaid++;
      return;
    }
    this.#log('warn', 'requests had to wait', { cause, ms: Math.round(ms), unsaid: this.#unsaid });
    this.#warnedMs = nowMs;
    this.#unsaid = 0;
  }

  figures(): PauseFigures {
    const byCause = [...this.#byCause].sort(([, a], [, b]) => b.longestMs - a.longestMs);
    return {
      longestMs: this.#longestMs,
      longestCause: this.#longestCause,
      count: byCause.reduce((sum, [, { count }]) => sum + count, 0),
      byCause: Object.fromEntries(byCause.map(([cause, count]) => [cause, { ...count }])),
    };
  }
}
