import { writevSync } from 'node:fs';

import type { NegativeErrno } from '../base/errno.ts';
import { EINTR, EIO, ENODEV, ENOENT } from '../base/errno.ts';
import { InvariantError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { writeRaw } from '../base/os/mod.ts';
import { isDying } from './callers.ts';
import type { Counters } from './counters.ts';
import { REPLY_HEADER_BYTES } from './protocol.ts';
import type { RequestView } from './request.ts';

/** sysexits.h EX_SOFTWARE: a broken invariant must not keep serving. */
const EXIT_SOFTWARE = 70;
const ERRNO_MAX = 511;
/** How often a caller that was interrupted by a harmless signal is looked at again. */
const INTERRUPT_CHECK_MS = 50;

/** Puts a result into the reply buffer behind the header; returns its length. */
export type Encoder<T> = (reply: Buffer, at: number, value: T) => number;
/** Takes back what a result handed to the kernel, which turned out not to want it any more. */
export type Undo<T> = (value: T) => void;

export interface AnswerOptions<T> {
  encode: Encoder<T>;
  undo?: Undo<T>;
  /** A mere wait, which may end with EINTR when its caller is being killed. */
  interruptible?: boolean;
  /**
   * The same for a change: whoever makes it is told the number of the request, and ends it with
   * EINTR or as usual.
   */
  cancel?: (unique: number) => void;
  /** The kernel tells nothing of the death of the caller, which is ending already. */
  unannounced?: boolean;
}

/** A request whose answer is still a promise. */
interface Pending {
  key: number;
  low: number;
  high: number;
  opcode: number;
  pid: number;
  interruptible: boolean;
  cancel: ((unique: number) => void) | undefined;
  interrupted: boolean;
  readMs: number;
}

export interface RepliesOptions {
  fd: number;
  capacityBytes: number;
  counters: Counters;
  /** No request waits for a promise any more; the answer to the last one is about to go out. */
  onIdle: () => void;
  log: Log;
}

/**
 * Answers requests. Invariants:
 * 1. A request is answered at most once: a pending one is answered only by whoever takes it out of
 *    #pending.
 * 2. The reply buffer is filled and written without a return to the event loop in between, so that
 *    answers at once and answers of promises can share it.
 */
export class Replies {
  readonly buffer: Buffer;
  /** When the request at hand was read. */
  readMs = 0;
  /** How many requests were not answered at once so far. */
  deferredCount = 0;
  readonly #fd: number;
  readonly #counters: Counters;
  readonly #onIdle: () => void;
  readonly #log: Log;
  readonly #pending: Map<number, Pending> = new Map();
  #interruptTimer: NodeJS.Timeout | undefined;
  #idleWaiters: (() => void)[] = [];

  constructor(options: RepliesOptions) {
    this.#fd = options.fd;
    this.#counters = options.counters;
    this.#onIdle = options.onIdle;
    this.#log = options.log;
    this.buffer = Buffer.alloc(options.capacityBytes);
  }

  /** Number of requests that wait for a promise. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Resolves when no request waits for a promise, or after `timeoutMs`. */
  idle(timeoutMs: number): Promise<void> {
    if (this.#pending.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#idleWaiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Answers with what a file system method returned, now or when it resolves. */
  answer<T>(
    request: RequestView,
    result: T | NegativeErrno | Promise<T | NegativeErrno>,
    options: AnswerOptions<T>,
  ): void {
    if (result instanceof Promise) this.#defer(request, result, options);
    else this.#settle(request.uniqueLow, request.uniqueHigh, request.opcode, result, options);
  }

  /** Answers with a negative errno, or 0 for success without a payload. */
  status(request: RequestView, error: NegativeErrno): void {
    this.#status(request.uniqueLow, request.uniqueHigh, request.opcode, error);
  }

  /**
   * Answers with `bytes` bytes that stand in the buffer behind the header. False: the kernel
   * dropped the request.
   */
  send(request: RequestView, bytes: number): boolean {
    return this.#send(request.uniqueLow, request.uniqueHigh, request.opcode, bytes);
  }

  /** Answers with a promise of a buffer, which goes to the kernel without a copy. */
  answerBuffer(request: RequestView, result: Promise<Buffer | NegativeErrno>): void {
    const pending = this.#register(request, { interruptible: true });
    result.then(
      (value) => {
        if (!this.#take(pending)) return;
        if (typeof value === 'number')
          this.#status(pending.low, pending.high, pending.opcode, value);
        else this.#sendBuffer(pending, value);
      },
      (error: unknown) => this.#fail(pending, error),
    );
  }

  /** Logs what a handler threw and answers EIO; a broken invariant ends the process. */
  fault(request: RequestView, error: unknown): void {
    this.#fault(request.uniqueLow, request.uniqueHigh, request.opcode, error);
  }

  /** FUSE_INTERRUPT: the caller of a request got a signal. */
  interrupt(unique: number): void {
    const pending = this.#pending.get(unique);
    // Not pending: the answer is already on its way.
    if (pending === undefined) return;
    pending.interrupted = pending.interruptible || pending.cancel !== undefined;
    this.#endInterrupted();
  }

  /**
   * Answers EINTR to the interrupted whose callers are being killed. The kernel sends
   * FUSE_INTERRUPT once a request, so a caller that survives its first signal is looked at until it
   * is answered.
   */
  #endInterrupted(): void {
    let waiting = false;
    for (const pending of this.#pending.values()) {
      if (!pending.interrupted) continue;
      if (!isDying(pending.pid)) waiting = true;
      else if (pending.cancel !== undefined) {
        pending.interrupted = false;
        pending.cancel(pending.key);
      } else if (this.#take(pending)) {
        this.#status(pending.low, pending.high, pending.opcode, -EINTR);
      }
    }
    if (waiting) this.#lookAgain();
    else {
      clearInterval(this.#interruptTimer);
      this.#interruptTimer = undefined;
    }
  }

  #lookAgain(): void {
    this.#interruptTimer ??= setInterval(() => this.#endInterrupted(), INTERRUPT_CHECK_MS);
  }

  #defer<T>(
    request: RequestView,
    result: Promise<T | NegativeErrno>,
    options: AnswerOptions<T>,
  ): void {
    const pending = this.#register(request, options);
    result.then(
      (value) => {
        const { low, high, opcode } = pending;
        if (!this.#take(pending)) return;
        try {
          this.#settle(low, high, opcode, value, options);
        } catch (error) {
          this.#fault(low, high, opcode, error);
        }
      },
      (error: unknown) => this.#fail(pending, error),
    );
  }

  #register(
    request: RequestView,
    options: Pick<AnswerOptions<never>, 'interruptible' | 'cancel' | 'unannounced'>,
  ): Pending {
    const { uniqueLow: low, uniqueHigh: high, opcode, context } = request;
    const { pid, unique: key } = context;
    const { readMs } = this;
    const { interruptible = false, cancel, unannounced: interrupted = false } = options;
    const pending = { key, low, high, opcode, pid, interruptible, cancel, interrupted, readMs };
    if (interrupted) this.#lookAgain();
    this.deferredCount++;
    this.#pending.set(key, pending);
    return pending;
  }

  /** Invariant 1: true for the one who may answer. */
  #take(pending: Pending): boolean {
    if (this.#pending.get(pending.key) !== pending) return false;
    this.#pending.delete(pending.key);
    this.#counters.answered(pending.opcode, performance.now() - pending.readMs);
    if (this.#pending.size === 0) {
      for (const resolve of this.#idleWaiters.splice(0)) resolve();
      this.#onIdle();
    }
    return true;
  }

  #fail(pending: Pending, error: unknown): void {
    const answered = !this.#take(pending);
    if (answered && !(error instanceof InvariantError)) return;
    this.#fault(pending.low, pending.high, pending.opcode, error);
  }

  #fault(low: number, high: number, opcode: number, error: unknown): void {
    const stack = error instanceof Error ? error.stack : undefined;
    this.#log('error', 'fuse.fault', { opcode, message: messageOf(error), stack });
    if (error instanceof InvariantError) process.exit(EXIT_SOFTWARE);
    this.#status(low, high, opcode, -EIO);
  }

  #settle<T>(
    low: number,
    high: number,
    opcode: number,
    value: T | NegativeErrno,
    options: AnswerOptions<T>,
  ): void {
    if (typeof value === 'number' && value < 0) {
      this.#status(low, high, opcode, value);
      return;
    }
    const result = value as T;
    const bytes = options.encode(this.buffer, REPLY_HEADER_BYTES, result);
    if (!this.#send(low, high, opcode, bytes)) options.undo?.(result);
  }

  #status(low: number, high: number, opcode: number, error: NegativeErrno): void {
    if (error !== 0) this.#counters.error(opcode);
    const valid = Number.isInteger(error) && error <= 0 && error >= -ERRNO_MAX;
    if (!valid) this.#log('error', 'fuse.bad-errno', { opcode, error });
    this.#header(REPLY_HEADER_BYTES, valid ? error : -EIO, low, high);
    this.#write(opcode, REPLY_HEADER_BYTES);
  }

  #send(low: number, high: number, opcode: number, bytes: number): boolean {
    this.#header(REPLY_HEADER_BYTES + bytes, 0, low, high);
    return this.#write(opcode, REPLY_HEADER_BYTES + bytes);
  }

  #sendBuffer(pending: Pending, value: Buffer): void {
    this.#counters.payload(pending.opcode, value.length);
    this.#header(REPLY_HEADER_BYTES + value.length, 0, pending.low, pending.high);
    try {
      writevSync(this.#fd, [this.buffer.subarray(0, REPLY_HEADER_BYTES), value]);
    } catch (error) {
      const errno = (error as NodeJS.ErrnoException).errno ?? -EIO;
      this.#writeFailed(pending.opcode, errno);
    }
  }

  #header(bytes: number, error: number, low: number, high: number): void {
    this.buffer.writeUInt32LE(bytes, 0);
    this.buffer.writeInt32LE(error, 4);
    this.buffer.writeUInt32LE(low, 8);
    this.buffer.writeUInt32LE(high, 12);
  }

  #write(opcode: number, bytes: number): boolean {
    const result = writeRaw(this.#fd, this.buffer, bytes);
    if (result === bytes) return true;
    this.#writeFailed(opcode, result);
    return false;
  }

  #writeFailed(opcode: number, result: number): void {
    // ENOENT: the request was aborted, or answered by the process we took over from. ENODEV:
    // unmounted.
    if (result === -ENOENT || result === -ENODEV) return;
    this.#log('error', 'fuse.reply-refused', { opcode, result });
  }
}
