import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * Makes writers wait while more is uncommitted than commits take in time: in the order in which
 * they came, each as soon as there is room, so that they go on as fast as the disks do.
 *
 * Invariant: nobody overtakes those who wait.
 */
export class Backlog {
  readonly #uncommittedBytes: () => number;
  #bytesMax: number = Number.POSITIVE_INFINITY;
  #bytesDone = 0;
  #waiting: (() => void)[] = [];
  #isLettingIn = false;

  /** `uncommittedBytes` are dirty or being committed. */
  constructor(uncommittedBytes: () => number) {
    this.#uncommittedBytes = uncommittedBytes;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Whether a write has to {@link wait}. */
  get isOver(): boolean {
    return this.#waiting.length > 0 || !this.#hasRoom;
  }

  get #hasRoom(): boolean {
    return this.#uncommittedBytes() - this.#bytesDone <= this.#bytesMax;
  }

  /** So much may be uncommitted; `bytesDone` of what is being committed counts no more. */
  pace(limit: { bytesMax: number; bytesDone: number }): void {
    this.#bytesMax = limit.bytesMax;
    this.#bytesDone = limit.bytesDone;
    if (this.#waiting.length > 0 && !this.#isLettingIn) void this.#letIn();
  }

  /** Resolves when it is the caller's turn to write, which it does in that turn. */
  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** One a turn of the event loop: what he writes counts before the next one is let in. */
  async #letIn(): Promise<void> {
    this.#isLettingIn = true;
    while (this.#hasRoom) {
      const first = this.#waiting.shift();
      if (first === undefined) break;
      first();
      await nextTurn();
    }
    this.#isLettingIn = false;
  }
}
