import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { DfsError, messageOf } from '../../src/base/errors.ts';

/** How a program is run. */
export interface RunOptions {
  deadlineMs?: number;
  cwd?: string;
  env?: Readonly<Record<string, string>>;
  /** Another user than ours. */
  user?: { uid: number; gid: number };
  /** Reads an input, which start() leaves to its caller. */
  hasInput?: boolean;
  /** Ends without an error, too: the caller wants to see `status`. */
  anyStatus?: boolean;
}

/** What a program said, and how it ended: its exit status, or -1 after a signal. */
export interface Ended {
  status: number;
  output: string;
  errors: string;
}

const DEADLINE_MS = 300_000;
const OUTPUT_CHARACTERS_MAX = 4_000_000;
const ERROR_CHARACTERS_SHOWN = 900;

/**
 * The programs that run. Each has a deadline and a process group of its own, which ends with it;
 * after killAll() no new one starts.
 */
export class Processes {
  readonly #running = new Set<ChildProcess>();
  #closed = false;

  /** Runs a program to its end; IO when it fails, TIMEOUT when it takes too long. */
  async run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    const { deadlineMs = DEADLINE_MS, anyStatus = false } = options;
    const what = [command, ...args].join(' ').slice(0, 300);
    const child = this.start(command, args, options);
    let output = '';
    let errors = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-OUTPUT_CHARACTERS_MAX);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-OUTPUT_CHARACTERS_MAX);
    });
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<Ended>((resolve, reject) => {
        const fail = (code: 'IO' | 'TIMEOUT', state: string): void =>
          reject(new DfsError(code, `Cannot run ${what}: ${state}`));
        timer = setTimeout(() => {
          // A process in a system call that hangs does not even end now: it is not waited for.
          signalGroup(child, 'SIGKILL');
          const said = lastOf(`${output}${errors}`);
          fail('TIMEOUT', `it did not end within ${deadlineMs} ms: ${said}`);
        }, deadlineMs);
        child.once('error', (error) => fail('IO', messageOf(error)));
        child.once('close', (code, signal) => {
          if (anyStatus || code === 0) return resolve({ status: code ?? -1, output, errors });
          const said = lastOf(errors.trim() === '' ? output : errors);
          fail('IO', `it ended with ${signal ?? `status ${code}`}: ${said}`);
        });
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Starts a program that ends with killAll() at the latest. */
  start(command: string, args: readonly string[], options: RunOptions = {}): ChildProcess {
    if (this.#closed) throw new DfsError('CLOSED', `Cannot run ${command}: the run has ended`);
    const child = spawn(command, args, {
      ...options.user,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, LC_ALL: 'C.UTF-8', TZ: 'UTC', ...options.env },
      stdio: [options.hasInput === true ? 'pipe' : 'ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.#running.add(child);
    child.once('close', () => this.#running.delete(child));
    return child;
  }

  /** Ends what runs; synchronous. */
  killAll(): void {
    this.#closed = true;
    for (const child of this.#running) signalGroup(child, 'SIGKILL');
  }
}

/** Signals a program and all it started in its group. */
export function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid !== undefined) signalNow(-child.pid, signal);
}

/** Signals a process that may have ended by itself. */
export function signalNow(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

/** Processes, but for this one, with `folder` in their arguments or as where they work. */
export function processesIn(folder: string): { pid: number; line: string }[] {
  const found: { pid: number; line: string }[] = [];
  for (const pid of readdirSync('/proc').map(Number)) {
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const works = readlinkSync(`/proc/${pid}/cwd`);
      if (line.includes(folder) || works.startsWith(folder)) found.push({ pid, line });
    } catch {
      // It has ended while it was looked at.
    }
  }
  return found;
}

function lastOf(text: string): string {
  return text.trim().slice(-ERROR_CHARACTERS_SHOWN);
}
