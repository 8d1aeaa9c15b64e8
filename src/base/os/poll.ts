import { EINTR } from '../errno.ts';
import { callAsync, callError, lastErrno, libc } from './libc.ts';

const NANOSECONDS = 1000;

/** Waits for one descriptor. Keeps its own memory, so that a wait allocates nothing. */
export class PollWaiter {
  readonly #set: Buffer = Buffer.alloc(8);
  readonly #timeout: Buffer = Buffer.alloc(16);
  readonly #ppoll = libc().ppoll;

  constructor(fd: number, events: number) {
    this.#set.writeInt32LE(fd, 0);
    this.#set.writeInt16LE(events, 4);
  }

  /**
   * Blocks this thread for up to `timeoutUs` (below one second): true when the descriptor has
   * something to say.
   */
  wait(timeoutUs: number): boolean {
    this.#timeout.writeUInt32LE(timeoutUs * NANOSECONDS, 8);
    const count = this.#ppoll(this.#set, 1, this.#timeout, null);
    if (count >= 0) return count > 0;
    const errno = lastErrno();
    // A signal ends the wait early; the caller comes back as after a timeout.
    if (errno === EINTR) return false;
    throw callError('wait for a descriptor', 'ppoll', errno);
  }

  /**
   * Waits on a worker thread for up to `timeoutMs` (-1: forever): true when the descriptor has
   * something to say.
   */
  async waitAsync(timeoutMs: number): Promise<boolean> {
    const set = Buffer.from(this.#set);
    const count = await callAsync(libc().poll, set, 1, timeoutMs);
    if (count >= 0) return count > 0;
    if (count === -EINTR) return false;
    throw callError('wait for a descriptor', 'poll', -count);
  }
}
