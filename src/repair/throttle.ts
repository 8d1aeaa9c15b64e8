/** A rest is looked at again so often: it ends when the foreground does. */
const LOOK_MS = 20;

/** What says how much background work may do. */
export interface ThrottleOptions {
  /** The share of the disks' time it may take while the foreground is busy, up to 1. */
  readonly share: () => number;
  /** Bytes it may write in a second; undefined for no limit. */
  readonly bytesPerSecond: () => number | undefined;
  /** Whether somebody waits for the disks. */
  readonly isBusy: () => boolean;
  /** A clock in ms. */
  readonly now?: () => number;
  readonly sleep?: (ms: number) => Promise<void>;
}

/**
 * Holds background work back: it rests after what it did, so long that its share of the time is what
 * it may take. While the foreground is idle it takes all of it, and a rest ends with what made it
 * necessary.
 */
export class Throttle {
  readonly #options: Required<ThrottleOptions>;
  /** When the disks have had the rest they are owed. */
  #restUntilMs = 0;
  /** When what was written so far is within the limit. */
  #withinUntilMs = 0;

  constructor(options: ThrottleOptions) {
    const now = options.now ?? (() => performance.now());
    const sleep = options.sleep ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)));
    this.#options = { ...options, now, sleep };
  }

  /** Work of this many bytes took so long. */
  worked(ms: number, bytes: number): void {
    const { share, isBusy, bytesPerSecond, now } = this.#options;
    const at = now();
    if (isBusy()) {
      const owedMs = ms * (1 / share() - 1);
      this.#restUntilMs = Math.max(this.#restUntilMs, at) + owedMs;
    }
    const limit = bytesPerSecond();
    if (limit !== undefined) {
      this.#withinUntilMs = Math.max(this.#withinUntilMs, at - ms) + (bytes / limit) * 1000;
    }
  }

  /** Returns when work may go on, or when `isOver`. */
  async rest(isOver: () => boolean): Promise<void> {
    const { isBusy, bytesPerSecond, now, sleep } = this.#options;
    for (;;) {
      if (isOver()) return;
      if (!isBusy()) this.#restUntilMs = 0;
      if (bytesPerSecond() === undefined) this.#withinUntilMs = 0;
      const leftMs = Math.max(this.#restUntilMs, this.#withinUntilMs) - now();
      if (leftMs <= 0) return;
      await sleep(Math.min(leftMs, LOOK_MS));
    }
  }
}

/** For how long somebody who was just served still counts as waiting for the disks. */
const BUSY_MS = 250;

/** Whether the foreground uses the disks: it is told of each of its calls. */
export class Foreground {
  readonly #now: () => number;
  #running = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  get isBusy(): boolean {
    return this.#running > 0 || this.#now() - this.#lastMs < BUSY_MS;
  }

  /** Counts while `call` runs, and for a moment afterwards. */
  async during<T>(call: () => Promise<T>): Promise<T> {
    this.#running++;
    try {
      return await call();
    } finally {
      this.#running--;
      this.#lastMs = this.#now();
    }
  }
}
