import { holdCpuLatency, releaseCpuLatency } from '../base/os/mod.ts';

/** So many requests in so short a time are a burst. */
const BURST_REQUESTS = 20;
const BURST_MS = 10;
/** How long after the last burst processors may sleep again. */
const CALM_MS = 50;

/** How processors are kept awake, and let sleep; a test has its own. */
export interface Processors {
  hold: () => number | undefined;
  release: (held: number) => void;
}

const REAL: Processors = { hold: holdCpuLatency, release: releaseCpuLatency };

/**
 * Keeps processors awake while requests come one after the other. A program that waits for the
 * answer to one request leaves its processor idle; on a virtual machine, and in the deeper states of
 * a real one, to wake it takes longer than the request.
 */
export class Wakefulness {
  readonly #processors: Processors;
  #held: number | undefined;
  #isRefused = false;
  #busyMs = 0;
  #windowMs = 0;
  #requests = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(processors: Processors = REAL) {
    this.#processors = processors;
  }

  /** `count` requests came since the last call. */
  came(count: number, nowMs: number): void {
    if (nowMs - this.#windowMs > BURST_MS) {
      this.#windowMs = nowMs;
      this.#requests = 0;
    }
    this.#requests += count;
    if (this.#requests >= BURST_REQUESTS) this.#busy(nowMs);
  }

  #busy(nowMs: number): void {
    this.#busyMs = nowMs;
    if (this.#held !== undefined || this.#isRefused) return;
    this.#held = this.#processors.hold();
    // Not root, or a kernel without it: nothing that could be asked for again.
    if (this.#held === undefined) this.#isRefused = true;
    else this.#timer = setInterval(() => this.#check(performance.now()), CALM_MS).unref();
  }

  #check(nowMs: number): void {
    if (nowMs - this.#busyMs >= CALM_MS) this.calm();
  }

  /** Processors may sleep. */
  calm(): void {
    clearInterval(this.#timer);
    if (this.#held !== undefined) this.#processors.release(this.#held);
    this.#held = undefined;
  }
}
