import { performance } from 'node:perf_hooks';

/** Batches on their way to the store's thread: of a commit somebody waits for, and of another. */
const IN_FLIGHT_MAX = 3;
const IN_FLIGHT_PACED = 1;
/** So many times as long as it worked, a commit that nobody waits for rests. */
const REST_SHARE = 6;
const REST_MS_MAX = 100;
/** The event loop is busy with requests from this share of the time on. */
const BUSY_SHARE = 0.2;

export interface PaceOptions {
  /** Somebody waits for the commit, or it has to be done soon. */
  isPressing: () => boolean;
  /** The share of the time since the last call that the event loop worked; for tests. */
  utilization?: () => number;
}

/**
 * How fast a commit stores. It takes processors, memory and disks from whoever is working: while
 * requests keep the event loop busy and nobody waits for the commit, it takes a seventh of the time.
 */
export class Pace {
  readonly #isPressing: () => boolean;
  readonly #utilization: () => number;
  #wake: () => void = () => undefined;

  constructor(options: PaceOptions) {
    this.#isPressing = options.isPressing;
    this.#utilization = options.utilization ?? loopUtilization();
  }

  get inFlightMax(): number {
    return this.#isPressing() ? IN_FLIGHT_MAX : IN_FLIGHT_PACED;
  }

  /** To be waited for after each batch, which took `workMs`. */
  async rest(workMs: number): Promise<void> {
    if (this.#utilization() < BUSY_SHARE || this.#isPressing()) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(REST_MS_MAX, workMs * REST_SHARE));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Ends a rest: something has become pressing. */
  hurry(): void {
    this.#wake();
  }
}

function loopUtilization(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}
