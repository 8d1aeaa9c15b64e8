import type { MessagePort, Worker } from 'node:worker_threads';
import { DfsError } from '../base/errors.ts';
import { type PackedError, packError, unpackError } from '../home/mod.ts';

/** Either end of a thread's message channel. */
export type Channel = Pick<MessagePort | Worker, 'postMessage' | 'on'>;

type Handlers = Record<string, (argument: never) => unknown>;

interface Call {
  call: number;
  method: string;
  argument: unknown;
}
interface Answer {
  answer: number;
  result?: unknown;
  error?: PackedError;
}

const WAITING_MAX = 10_000;

/** A result with memory that is moved to the other thread, not copied. */
export class Moved {
  readonly result: unknown;
  readonly memory: readonly ArrayBuffer[];

  constructor(result: unknown, memory: readonly ArrayBuffer[]) {
    this.result = result;
    this.memory = memory;
  }
}

/**
 * Calls between two threads: each end has methods the other may call, and every call gets one
 * answer. Arguments and results are copied by structured clone: Buffers arrive as Uint8Array.
 */
export class Rpc {
  readonly #channel: Channel;
  readonly #handlers: Handlers;
  readonly #waiting = new Map<
    number,
    { resolve: (result: never) => void; reject: (error: unknown) => void }
  >();
  #next = 1;
  #closed: DfsError | undefined;

  constructor(channel: Channel, handlers: Handlers) {
    this.#channel = channel;
    this.#handlers = handlers;
    channel.on('message', (message: Call | Answer) => {
      if ('answer' in message) this.#answered(message);
      else void this.#serve(message);
    });
  }

  /**
   * Calls `method` of the other end; rejects with the DfsError it threw. `moved` is memory of the
   * argument that is moved there, not copied.
   */
  call<T>(method: string, argument: unknown, moved: readonly ArrayBuffer[] = []): Promise<T> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (this.#waiting.size >= WAITING_MAX) {
      return Promise.reject(new DfsError('BUSY', `Cannot call ${method}: too many calls wait`));
    }
    const call = this.#next++;
    return new Promise<T>((resolve, reject) => {
      // What cannot be copied throws here, and nobody waits for it then.
      this.#channel.postMessage({ call, method, argument } satisfies Call, moved);
      this.#waiting.set(call, { resolve, reject });
    });
  }

  /** The other end is gone: all that wait are rejected with `error`. */
  close(error: DfsError): void {
    this.#closed = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  async #serve({ call, method, argument }: Call): Promise<void> {
    try {
      const handler = this.#handlers[method];
      if (handler === undefined) throw new DfsError('INVARIANT', `no method ${method}`);
      const made = await handler(argument as never);
      const { result, memory } = made instanceof Moved ? made : new Moved(made, []);
      this.#channel.postMessage({ answer: call, result } satisfies Answer, memory);
    } catch (error) {
      this.#channel.postMessage({ answer: call, error: packError(error) } satisfies Answer);
    }
  }

  #answered({ answer, result, error }: Answer): void {
    const waiting = this.#waiting.get(answer);
    if (waiting === undefined) return;
    this.#waiting.delete(answer);
    if (error === undefined) waiting.resolve(result as never);
    else waiting.reject(unpackError(error));
  }
}
