import type { NegativeErrno } from '../base/errno.ts';
import { EAGAIN, ECONNABORTED, EINTR, EIO, ENODEV, ENOENT } from '../base/errno.ts';
import { DfsError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import {
  errnoName,
  PollWaiter,
  posix,
  readRaw,
  setSignalOwner,
  setStatusFlags,
  statusFlags,
} from '../base/os/mod.ts';
import type { Pauses } from '../base/pauses.ts';
import { Wakefulness } from './wakefulness.ts';

/**
 * Why the loop ended: the mount is gone, its connection was aborted by force, or stop() was called.
 */
export type LoopEnd = 'unmounted' | 'aborted' | 'stopped';

/** How long the thread itself waits for the next request while requests keep coming. */
const HOT_WAIT_US = 50;
/**
 * Before that it asks again and again for so long: a thread that sleeps lets its core halt, and to
 * wake a halted core of a virtual machine takes longer than the whole request.
 */
const HOT_SPIN_US = 30;
/** How long requests are handled without a return to the event loop. */
const DRAIN_MS = 2;
/** The same while requests wait for promises, whose progress needs the event loop. */
const DRAIN_PENDING_MS = 0.25;
/** A sleeping loop looks at the device this often even if no signal came. */
const SAFETY_CHECK_MS = 1000;

export interface DeviceLoopOptions {
  fd: number;
  /** At least as long as the longest request. */
  buffer: Buffer;
  /**
   * Handles the request of `length` bytes in the buffer, which was read at `readMs`; must not
   * throw. Returns the time at its end.
   */
  onRequest: (length: number, readMs: number) => number;
  /** Told how long the event loop had the thread while more requests may have waited. */
  pauses: Pauses;
  /** Processors may sleep deeply also while requests come one after the other. */
  letSleep: boolean;
  /** Number of requests that wait for promises. */
  pendingCount: () => number;
  log: Log;
}

/**
 * Reads requests from /dev/fuse on the event loop's own thread.
 *
 * States: new -> draining <-> asleep -> ended
 * - draining: waits a few tens of microseconds for a request, handles it, waits again. A thread
 *   that is still there when the next request arrives saves two changes of thread. After DRAIN_MS
 *   it lets the event loop run.
 * - asleep: nothing came. The device tells by SIGIO (O_ASYNC), which libuv turns into an event. A
 *   blocking poll on a thread of libuv's pool does the same, but it takes longer (58 against 42 us
 *   a lookup), stands in the queue behind whatever keeps the pool busy (four slow syncs stop the
 *   mount), and holds up the end of the process.
 *
 * Invariants:
 * 1. O_ASYNC is set only while asleep, or every request would raise a signal.
 * 2. After setting O_ASYNC the device is looked at once more, so that no request falls between the
 *    two.
 * 3. The descriptor does not block: two processes share it while one of them is dying.
 */
export class DeviceLoop {
  readonly #options: DeviceLoopOptions;
  readonly #waiter: PollWaiter;
  readonly #wakefulness: Wakefulness | undefined;
  readonly #flags: number;
  #state: 'new' | 'draining' | 'asleep' | 'ended' = 'new';
  #stopping = false;
  /** When the thread was left to the event loop with more requests to come; else 0. */
  #leftMs = 0;
  #timedMs = 0;
  #end: ((end: LoopEnd) => void) | undefined;
  #fail: ((error: Error) => void) | undefined;

  constructor(options: DeviceLoopOptions) {
    this.#options = options;
    this.#waiter = new PollWaiter(options.fd, posix.POLLIN);
    this.#wakefulness = options.letSleep ? undefined : new Wakefulness();
    this.#flags = (statusFlags(options.fd) | posix.O_NONBLOCK) & ~posix.O_ASYNC;
  }

  /** Handles requests until the mount is gone. Once per loop. */
  run(): Promise<LoopEnd> {
    const { fd } = this.#options;
    setStatusFlags(fd, this.#flags); // invariant 3
    process.on('SIGIO', this.#wake);
    setSignalOwner(fd, process.pid);
    // Also keeps the process alive: a signal listener alone does not.
    const safety = setInterval(this.#wake, SAFETY_CHECK_MS);
    return new Promise<LoopEnd>((resolve, reject) => {
      this.#end = resolve;
      this.#fail = reject;
      this.#state = 'draining';
      this.#turn();
    }).finally(() => {
      this.#state = 'ended';
      this.#wakefulness?.calm();
      clearInterval(safety);
      process.off('SIGIO', this.#wake);
    });
  }

  /** Takes no further request; run() resolves to 'stopped'. */
  stop(): void {
    this.#stopping = true;
    this.#wake();
  }

  /**
   * A request is likely in a moment: who has waited for an answer mostly asks on. Called before that
   * answer goes out, so that no signal comes: to look takes less than to be told.
   */
  expect(): void {
    if (this.#getUp()) setImmediate(this.#turn);
  }

  readonly #wake = (): void => {
    if (this.#getUp()) this.#turn();
  };

  /** Ends the sleep; false when there was none. */
  #getUp(): boolean {
    if (this.#state !== 'asleep') return false;
    setStatusFlags(this.#options.fd, this.#flags); // invariant 1
    this.#state = 'draining';
    return true;
  }

  readonly #turn = (): void => {
    try {
      if (this.#leftMs > 0) this.#noteTurns();
      const end = this.#drain();
      if (end === 'quiet') this.#sleep();
      else if (end === 'busy') {
        this.#leftMs = performance.now();
        this.#timedMs = this.#options.pauses.timedMs;
        setImmediate(this.#turn);
      } else this.#end?.(end);
    } catch (error) {
      this.#fail?.(error as Error);
    }
  };

  /** What the event loop did since the last drain; what is timed of it is counted there. */
  #noteTurns(): void {
    const { pauses } = this.#options;
    const ms = performance.now() - this.#leftMs;
    this.#leftMs = 0;
    pauses.note('other turns', ms - (pauses.timedMs - this.#timedMs));
  }

  /** The length of the next request if it comes soon, else -EAGAIN or what read(2) failed with. */
  #nextHot(): number | NegativeErrno {
    const { fd, buffer } = this.#options;
    const until = performance.now() + HOT_SPIN_US / 1000;
    let length: number | NegativeErrno;
    do {
      length = readRaw(fd, buffer);
      if (length !== -EAGAIN) return length;
    } while (performance.now() < until);
    return this.#waiter.wait(HOT_WAIT_US) ? readRaw(fd, buffer) : length;
  }

  #drain(): 'quiet' | 'busy' | LoopEnd {
    const { fd, buffer, onRequest, pendingCount, pauses } = this.#options;
    const start = performance.now();
    pauses.mark(start);
    for (;;) {
      if (this.#stopping) return 'stopped';
      const pending = pendingCount() > 0;
      // With promises outstanding the thread must not wait here: only the event loop resolves them.
      const length = pending ? readRaw(fd, buffer) : this.#nextHot();
      if (length === -EAGAIN) return 'quiet';
      let nowMs = performance.now();
      if (length >= 0) {
        nowMs = onRequest(length, nowMs);
        this.#wakefulness?.came(1, nowMs);
      } else {
        const end = this.#readFailed(length);
        if (end !== undefined) return end;
      }
      const limit = pending ? DRAIN_PENDING_MS : DRAIN_MS;
      if (nowMs - start >= limit) return 'busy';
    }
  }

  #sleep(): void {
    const { fd } = this.#options;
    setStatusFlags(fd, this.#flags | posix.O_ASYNC);
    this.#state = 'asleep';
    if (this.#waiter.wait(0)) setImmediate(this.#wake); // invariant 2
  }

  #readFailed(error: NegativeErrno): LoopEnd | undefined {
    switch (-error) {
      case ENODEV:
        return 'unmounted';
      case ECONNABORTED:
        return 'aborted';
      case EINTR:
      case ENOENT: // the request was aborted while it was read
        return undefined;
      case EIO: // the kernel could not copy the request and has failed it
        this.#options.log('warn', 'fuse.read-failed', { errno: errnoName(-error) });
        return undefined;
      default:
        throw new DfsError('IO', `Cannot read a request: read failed with ${errnoName(-error)}`);
    }
  }
}
