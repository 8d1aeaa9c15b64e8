import { closeSync, existsSync } from 'node:fs';
import { Client, type Dispatcher } from 'undici';
import { DfsError, messageOf } from '../../src/base/errors.ts';
import { homePaths, lockHome, socketAddress, unpackError } from '../../src/home/mod.ts';
import { withClock } from './progress.ts';

const CONNECT_TIMEOUT_MS = 5000;
/** While a call runs the daemon says something from time to time. */
const SILENCE_MAX_MS = 300_000;
const RETRY_EVERY_MS = 100;
/** How long a daemon that dies may take to be replaced, with all that it opens. */
const TAKEOVER_MAX_MS = 60_000;

type Packed = Parameters<typeof unpackError>[0];
type Line<P, T> = { progress: P | null } | { done: T } | { error: Packed };

/** The daemon of one HOME, over its control socket (docs/control-api.md). */
export class ControlClient {
  readonly #client: Client;
  readonly #home: string;
  readonly #releaseAddress: () => void;

  constructor(home: string) {
    this.#home = home;
    const { address, close } = socketAddress(homePaths(home).socket);
    this.#releaseAddress = close;
    this.#client = new Client('http://localhost', {
      socketPath: address,
      connectTimeout: CONNECT_TIMEOUT_MS,
      headersTimeout: SILENCE_MAX_MS,
      bodyTimeout: SILENCE_MAX_MS,
    });
  }

  /** Asks; throws the DfsError that the daemon answered, or UNAVAILABLE when none answers. */
  async get<T>(path: string): Promise<T> {
    const response = await this.#request('GET', path);
    const value = (await this.#reading(response.body.json())) as T | { error: Packed };
    if (response.statusCode >= 400) throw unpackError((value as { error: Packed }).error);
    return value as T;
  }

  /** Has something done: hears of its progress, and resolves to its result. */
  async post<T, P = never>(path: string, onProgress?: (progress: P) => void): Promise<T> {
    const response = await this.#request('POST', path);
    let rest = '';
    try {
      for await (const part of response.body.setEncoding('utf8') as AsyncIterable<string>) {
        const lines = (rest + part).split('\n');
        rest = lines.pop() ?? '';
        for (const text of lines) {
          const line = JSON.parse(text) as Line<P, T>;
          if ('error' in line) throw unpackError(line.error);
          if ('done' in line) return line.done;
          if (line.progress !== null) onProgress?.(line.progress);
        }
      }
    } catch (error) {
      throw this.#noAnswer(error);
    }
    throw this.#noAnswer(new Error('the answer ended too early'));
  }

  async #request(method: 'GET' | 'POST', path: string): Promise<Dispatcher.ResponseData> {
    try {
      return await this.#client.request({ method, path });
    } catch (error) {
      throw this.#noAnswer(error);
    }
  }

  async #reading<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw this.#noAnswer(error);
    }
  }

  #noAnswer(cause: unknown): DfsError {
    if (cause instanceof DfsError) return cause;
    return new NoAnswerError(this.#home, cause);
  }

  async close(): Promise<void> {
    await this.#client.destroy();
    this.#releaseAddress();
  }
}

/** Nobody answers, or the daemon died while it did: it may be replaced in a moment. */
export class NoAnswerError extends DfsError {
  constructor(home: string, cause: unknown) {
    const state = `its daemon does not answer (${messageOf(cause)})`;
    super('UNAVAILABLE', `Cannot ask the volume of ${home}: ${state}; see ${homePaths(home).log}`, {
      cause,
    });
    this.name = 'NoAnswerError';
  }
}

/**
 * Does `work` with the daemon of `home`. A daemon that died is waited for as long as something
 * holds HOME, and the work is begun again: so it must be such that doing it twice does no harm.
 */
export async function withDaemon<T>(
  home: string,
  work: (client: ControlClient) => Promise<T>,
): Promise<T> {
  const deadlineMs = performance.now() + TAKEOVER_MAX_MS;
  for (;;) {
    const client = new ControlClient(home);
    try {
      return await work(client);
    } catch (error) {
      const isOver = performance.now() > deadlineMs || !isHomeInUse(home);
      if (!(error instanceof NoAnswerError) || isOver) throw error;
    } finally {
      await client.close();
    }
    await withClock(`The daemon of ${home} died; waiting for the next one`, () =>
      answering(home, deadlineMs),
    );
  }
}

/** Resolves when a daemon answers, or nobody will. */
async function answering(home: string, deadlineMs: number): Promise<void> {
  do {
    await new Promise((resolve) => setTimeout(resolve, RETRY_EVERY_MS));
    const client = new ControlClient(home);
    try {
      await client.get('/stats');
      return;
    } catch (error) {
      if (!(error instanceof NoAnswerError)) return;
    } finally {
      await client.close();
    }
  } while (performance.now() < deadlineMs && isHomeInUse(home));
}

/** Whether a process holds HOME: a daemon, its supervisor or another command. */
export function isHomeInUse(home: string): boolean {
  // That of a mounted epoch goes with the mount.
  if (!existsSync(home)) return false;
  let lock: number;
  try {
    lock = lockHome(home);
  } catch (error) {
    if (error instanceof DfsError && error.code === 'BUSY') return true;
    if (!existsSync(home)) return false;
    throw error;
  }
  closeSync(lock);
  return false;
}
