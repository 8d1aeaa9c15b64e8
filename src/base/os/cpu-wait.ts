import { closeSync, openSync, readSync } from 'node:fs';

/**
 * How long the main thread was ready to run while no processor was free, as /proc/self/schedstat has
 * it. One read of some 2 us a question; 0 where the kernel does not count it.
 */
export class CpuWait {
  readonly #text: Buffer = Buffer.alloc(64);
  readonly #fd: number | undefined;

  constructor() {
    try {
      this.#fd = openSync('/proc/self/schedstat', 'r');
    } catch {
      this.#fd = undefined;
    }
  }

  /** Milliseconds so far. */
  totalMs(): number {
    if (this.#fd === undefined) return 0;
    const length = readSync(this.#fd, this.#text, 0, this.#text.length, 0);
    const nanoseconds = Number(this.#text.toString('latin1', 0, length).split(' ')[1]);
    return Number.isFinite(nanoseconds) ? nanoseconds / 1e6 : 0;
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }
}
