/** The rate is that of about so long. */
const WINDOW_MS = 10_000;
const SAMPLES_MAX = 50;

/** How far a piece of work is. Bytes are those written or read for it. */
export interface ProgressFacts {
  readonly done: number;
  readonly total: number;
  readonly bytes: number;
  readonly totalBytes: number;
  /** Bytes in a second, of the last seconds. */
  readonly rate: number;
  /** Undefined when nothing can be said. */
  readonly etaMs: number | undefined;
}

/** Counts what was done of a known amount, and how fast. */
export class Progress {
  readonly total: number;
  readonly totalBytes: number;
  readonly #now: () => number;
  readonly #samples: { ms: number; bytes: number }[] = [];
  #done = 0;
  #bytes = 0;

  constructor(
    options: { total: number; totalBytes: number },
    now: () => number = () => performance.now(),
  ) {
    this.total = options.total;
    this.totalBytes = options.totalBytes;
    this.#now = now;
    this.#samples.push({ ms: now(), bytes: 0 });
  }

  add(count: number, bytes: number): void {
    this.#done += count;
    this.#bytes += bytes;
    const ms = this.#now();
    this.#samples.push({ ms, bytes: this.#bytes });
    while (
      this.#samples.length > SAMPLES_MAX ||
      (this.#samples.length > 2 && ms - (this.#samples[0]?.ms ?? ms) > WINDOW_MS)
    ) {
      this.#samples.shift();
    }
  }

  get facts(): ProgressFacts {
    const [first] = this.#samples;
    const ms = Math.max(1, this.#now() - (first?.ms ?? 0));
    const rate = ((this.#bytes - (first?.bytes ?? 0)) / ms) * 1000;
    // Something may have been added to the work, or gone from it.
    const total = Math.max(this.total, this.#done);
    const totalBytes = Math.max(this.totalBytes, this.#bytes);
    const left = totalBytes - this.#bytes;
    const etaMs = left === 0 ? 0 : rate > 0 ? Math.round((left / rate) * 1000) : undefined;
    return { done: this.#done, total, bytes: this.#bytes, totalBytes, rate, etaMs };
  }
}
