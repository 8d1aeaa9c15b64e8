import { MIB } from '../base/limits.ts';

export interface ScheduleOptions {
  /** How long a change waits until a commit begins, while commits succeed. */
  intervalMs: number;
  /** How long it may wait until it is committed. */
  deadlineMs: number;
  /** Dirty bytes that start a commit at once. */
  dirtyBytesMax: number;
  /** A clock in ms; performance.now() by default. */
  now?: () => number;
}

/** What waits for a commit. */
export interface Waiting {
  dirtyBytes: number;
  ops: number;
  opBytes: number;
}

/** How long data waits, for status and metrics. */
export interface DeadlineFigures {
  deadlineMs: number;
  /** Age of the oldest change that is not committed; undefined when all are. */
  oldestMs: number | undefined;
  /** It is older than the deadline. */
  isMissed: boolean;
  /** How often changes were committed too late, or are about to be, since the start. */
  misses: number;
  /** When the last of them was, in ms since 1970. */
  lastMissedAtMs: number | undefined;
}

const PENDING_OPS_MAX = 50_000;
/** A quarter of what fits into an epoch record. */
const PENDING_BYTES_MAX: number = 64 * MIB;
const RETRY_MS_MIN = 1000;
const RETRY_MS_MAX = 30_000;
/** Parts of the deadline: the age at which a commit should be done, and what may wait by then. */
const DONE_SHARE = 0.75;
const BACKLOG_SHARE = 0.6;
/** What disks are taken for until they have been measured. */
const RATE_ASSUMED: number = (64 * MIB) / 1000;
/** So many bytes tell how fast the disks are; fewer, how long a commit takes at least. */
const RATE_BYTES_MIN: number = 8 * MIB;
/** Of a commit that is running, so long after its cut. */
const RATE_MS_MIN = 500;
/** How much of an average the newest value is. */
const NEWEST_SHARE = 0.3;
const BACKLOG_BYTES_MIN: number = 16 * MIB;

/**
 * Decides when the next commit begins, so that no change waits longer than the deadline; measures
 * how fast commits are, and how much may wait for them.
 *
 * Invariants:
 *  1. `#pendingSinceMs` is not later than the oldest change that is in no cut, but for the time
 *     between two looks; `#cutSinceMs` the same for the cut that is being committed.
 *  2. A commit that failed gives back its age: trying again does not make data younger.
 */
export class Schedule {
  readonly #options: ScheduleOptions;
  readonly #now: () => number;
  #pendingSinceMs: number | undefined;
  #cutSinceMs: number | undefined;
  #cutAtMs = 0;
  #cutBytes = 0;
  #failures = 0;
  #retryAtMs = Number.NEGATIVE_INFINITY;
  #bytesAMs: number = RATE_ASSUMED;
  #leastMs = 0;
  /** Of what has been missed by now, so that it counts once. */
  #missedSinceMs: number | undefined;
  #misses = 0;
  #lastMissedAtMs: number | undefined;

  constructor(options: ScheduleOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Looks at what waits, from time to time: whether a commit should begin. */
  look(waiting: Waiting): boolean {
    const nowMs = this.#now();
    this.#noteMissed();
    if (waiting.ops === 0 && waiting.dirtyBytes === 0) {
      this.#pendingSinceMs = undefined;
      return false;
    }
    this.#pendingSinceMs ??= nowMs;
    if (nowMs < this.#retryAtMs) return false;
    const { intervalMs, dirtyBytesMax, deadlineMs } = this.#options;
    const takesMs = this.#leastMs + waiting.dirtyBytes / this.#bytesAMs;
    const dueMs = Math.min(intervalMs, deadlineMs * DONE_SHARE - takesMs);
    return (
      nowMs - this.#pendingSinceMs >= dueMs ||
      waiting.dirtyBytes >= dirtyBytesMax ||
      waiting.ops >= PENDING_OPS_MAX ||
      waiting.opBytes >= PENDING_BYTES_MAX
    );
  }

  /** The cut of a commit of `bytes` dirty bytes. */
  cut(bytes: number): void {
    this.#cutAtMs = this.#now();
    this.#cutSinceMs = this.#pendingSinceMs ?? this.#cutAtMs;
    this.#cutBytes = bytes;
    this.#pendingSinceMs = undefined;
  }

  /** The cut is committed. */
  committed(): void {
    this.#noteMissed();
    const tookMs = Math.max(1, this.#now() - this.#cutAtMs);
    if (this.#cutBytes >= RATE_BYTES_MIN) this.#measured(this.#cutBytes / tookMs);
    else this.#leastMs += (tookMs - this.#leastMs) * NEWEST_SHARE;
    this.#cutSinceMs = undefined;
    this.#missedSinceMs = undefined;
    this.#failures = 0;
    this.#retryAtMs = Number.NEGATIVE_INFINITY;
  }

  #measured(bytesAMs: number): void {
    this.#bytesAMs += (bytesAMs - this.#bytesAMs) * NEWEST_SHARE;
  }

  /** The commit failed, with or without a cut: it is tried again, later each time. */
  failed(): void {
    const since = this.#cutSinceMs;
    if (since !== undefined) {
      this.#pendingSinceMs = Math.min(since, this.#pendingSinceMs ?? since);
    }
    this.#cutSinceMs = undefined;
    this.#retryAtMs = this.#now() + Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.#failures);
    this.#failures++;
  }

  #noteMissed(): void {
    const since = this.#oldestSince;
    if (since === undefined || this.#now() - since <= this.#options.deadlineMs) return;
    if (this.#missedSinceMs === since) return;
    this.#missedSinceMs = since;
    this.#misses++;
    this.#lastMissedAtMs = Date.now();
  }

  get #oldestSince(): number | undefined {
    return this.#cutSinceMs ?? this.#pendingSinceMs;
  }

  get figures(): DeadlineFigures {
    this.#noteMissed();
    const { deadlineMs } = this.#options;
    const since = this.#oldestSince;
    const oldestMs = since === undefined ? undefined : Math.max(0, this.#now() - since);
    const [misses, lastMissedAtMs] = [this.#misses, this.#lastMissedAtMs];
    return { deadlineMs, oldestMs, isMissed: (oldestMs ?? 0) > deadlineMs, misses, lastMissedAtMs };
  }

  /**
   * How many bytes may be uncommitted so that a write now is committed by the deadline; `bytesDone`
   * of the running cut are. No limit while commits fail: what is promised is of a healthy volume,
   * and writers then have all of the cache.
   */
  backlogBytesMax(bytesDone: number): number {
    if (this.#failures > 0) return Number.POSITIVE_INFINITY;
    let rate = this.#bytesAMs;
    const runsMs = this.#now() - this.#cutAtMs;
    if (this.#cutSinceMs !== undefined && runsMs >= RATE_MS_MIN && bytesDone < this.#cutBytes) {
      rate += (bytesDone / runsMs - rate) * NEWEST_SHARE;
    }
    return Math.max(BACKLOG_BYTES_MIN, rate * this.#options.deadlineMs * BACKLOG_SHARE);
  }
}
