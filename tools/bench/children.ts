import { type ChildProcess, spawn } from 'node:child_process';
import { DfsError, messageOf } from '../../src/base/errors.ts';

/** What a load process said of one of its measures. */
export interface Count {
  operations: number;
  bytes: number;
  seconds: number;
}

const ERROR_BYTES_SHOWN = 600;

/**
 * The processes of a bench. Each has a deadline, and none outlives the bench: killAll() ends those
 * that run, after which no new one starts.
 */
export class Children {
  readonly #running = new Set<ChildProcess>();
  #closed = false;

  /** Runs a program to its end and resolves to what it printed; IO when it fails, or TIMEOUT. */
  async run(
    command: string,
    args: readonly string[],
    options: { deadlineMs: number },
  ): Promise<string> {
    const what = `${command} ${args.join(' ')}`.slice(0, ERROR_BYTES_SHOWN);
    if (this.#closed) throw new DfsError('CLOSED', `Cannot run ${what}: the bench has ended`);
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#running.add(child);
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<string>((resolve, reject) => {
        const fail = (code: 'IO' | 'TIMEOUT', state: string): void =>
          reject(new DfsError(code, `Cannot run ${what}: ${state}`));
        timer = setTimeout(() => {
          // A process in a system call that hangs does not even end now: it is not waited for.
          child.kill('SIGKILL');
          fail('TIMEOUT', `it did not end within ${options.deadlineMs} ms`);
        }, options.deadlineMs);
        child.once('error', (error) => fail('IO', messageOf(error)));
        child.once('close', (status, signal) => {
          if (status === 0) return resolve(output);
          const state = `it ended with ${signal ?? `status ${status}`}`;
          fail('IO', `${state}: ${errors.trim().slice(-ERROR_BYTES_SHOWN)}`);
        });
      });
    } finally {
      clearTimeout(timer);
      this.#running.delete(child);
    }
  }

  /** Ends what runs; synchronous. */
  killAll(): void {
    this.#closed = true;
    for (const child of this.#running) child.kill('SIGKILL');
  }
}

/** Reads lines "name operations bytes seconds". */
export function parseCounts(output: string): Map<string, Count> {
  const counts = new Map<string, Count>();
  for (const line of output.split('\n').filter(Boolean)) {
    const match = /^([a-z-]+) (\d+) (\d+) (\d+\.?\d*(?:e-?\d+)?)$/.exec(line);
    if (match === null) throw new DfsError('IO', `Cannot read a load's result: it said "${line}"`);
    const [, name = '', operations, bytes, seconds] = match;
    counts.set(name, {
      operations: Number(operations),
      bytes: Number(bytes),
      seconds: Math.max(Number(seconds), Number.EPSILON),
    });
  }
  return counts;
}
