import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { assert, DfsError } from '../../src/base/errors.ts';

const ERROR_BYTES_MAX = 4000;
const CHILD_MAX_MS: number = 30 * 60_000;

/** Other programs, run one after the other; all that touches the mount is one of them. */
export class Children {
  #running: ChildProcess | undefined;

  /** Runs a program and gives its lines to `onLine`; throws what it said when it fails. */
  async run(
    command: string[],
    options: { onLine?: (line: string) => void; showErrors?: boolean } = {},
  ): Promise<void> {
    const { onLine = () => undefined, showErrors = false } = options;
    const [program = '', ...args] = command;
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', showErrors ? 'inherit' : 'pipe'],
    });
    this.#running = child;
    let errors = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-ERROR_BYTES_MAX);
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), CHILD_MAX_MS);
    try {
      const ended = new Promise<string>((resolve, reject) => {
        child.once('error', reject);
        child.once('close', (code, signal) => resolve(String(signal ?? code)));
      });
      assert(child.stdout !== null, 'stdout is a pipe');
      createInterface({ input: child.stdout }).on('line', onLine);
      const status = await ended;
      if (status === '0') return;
      const said = errors.trim() === '' ? '' : `: ${errors.trim()}`;
      throw new DfsError('IO', `Cannot run "${command.join(' ')}": it ended with ${status}${said}`);
    } finally {
      clearTimeout(timer);
      this.#running = undefined;
    }
  }

  /** Runs a program that prints one JSON document. */
  async json<T>(command: string[], options: { showErrors?: boolean } = {}): Promise<T> {
    const lines: string[] = [];
    await this.run(command, { ...options, onLine: (line) => lines.push(line) });
    return JSON.parse(lines.join('\n')) as T;
  }

  /** Ends what is running. */
  abort(): void {
    this.#running?.kill('SIGTERM');
  }
}
