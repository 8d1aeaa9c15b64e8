import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';

/** The compiled file, in dist, uses the same programs. */
const SOURCE = import.meta.dirname.replace(/\/dist\/test\/harness$/, '/test/harness');
const PROGRAMS = resolve(SOURCE, '../programs');
const POLL_MS = 10;

/** Waits until `isSo` holds; rejects with `what` after the deadline. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  deadlineMs = 30_000,
): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (!(await isSo())) {
    if (Date.now() > end)
      throw new Error(`Cannot wait any longer: ${what}, after ${deadlineMs} ms`);
    await pause(POLL_MS);
  }
}

/** Whether a process runs; one that only waits to be reaped does not. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !'ZX'.includes(stat.slice(stat.lastIndexOf(')') + 2).charAt(0));
  } catch {
    return false;
  }
}

/** The processes that `pid` started and that still run. */
export function childrenOf(pid: number): number[] {
  if (!existsSync(`/proc/${pid}/task`)) return [];
  const children: number[] = [];
  try {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const list = readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1');
      children.push(...list.split(' ').filter(Boolean).map(Number));
    }
  } catch {
    // The process ended while it was looked at.
  }
  return children.filter(isAlive);
}

/** Ends a process for good, if it is still there. */
export function kill9(pid: number | undefined): void {
  if (pid === undefined || pid === 0) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** A line of JSON a program printed. */
export type Line = Record<string, unknown>;

/**
 * A program of test/programs in a process of its own, which may hang on a mount without hanging
 * the test. It reads commands and prints answers, one line of JSON each.
 */
export class Program {
  readonly #child: ChildProcess;
  readonly #lines: Line[] = [];
  readonly #ended: Promise<number | null>;
  #wake: (() => void) | undefined;
  #errors = '';
  #latest: Line = {};
  #isOver = false;
  readonly #name: string;

  constructor(name: string, args: string[]) {
    this.#name = name;
    this.#child = spawn('python3', ['-u', join(PROGRAMS, name), ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    process.on('exit', this.kill);
    this.#ended = new Promise((done) => {
      this.#child.once('close', (code) => {
        this.#isOver = true;
        this.#wake?.();
        done(code);
      });
    });
    this.#child.stderr?.on('data', (text: Buffer) => {
      this.#errors += text.toString();
    });
    // A program that has ended closes its input: that shows when its answer is missed.
    this.#child.stdin?.on('error', () => undefined);
    createInterface({ input: this.#child.stdout ?? fail() }).on('line', (line) => {
      this.#latest = JSON.parse(line) as Line;
      this.#lines.push(this.#latest);
      this.#wake?.();
    });
  }

  /** The last line that was printed, taken or not. */
  get latest(): Line {
    return this.#latest;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  send(command: object): void {
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
  }

  /** The next line; rejects when the program ends or is silent for too long, and kills it then. */
  async next(deadlineMs = 60_000): Promise<Line> {
    const timer = setTimeout(this.kill, deadlineMs);
    try {
      for (;;) {
        const line = this.#lines.shift();
        if (line?.failed !== undefined)
          throw new Error(`${this.#name}: ${JSON.stringify(line.failed)}`);
        if (line !== undefined) return line;
        if (this.#isOver) {
          throw new Error(
            `${this.#name} ended, or was silent for ${deadlineMs} ms: ${this.#errors}`,
          );
        }
        await new Promise<void>((wake) => {
          this.#wake = wake;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async ask(command: object, deadlineMs?: number): Promise<Line> {
    this.send(command);
    return await this.next(deadlineMs);
  }

  /** Closes the program's input and gives the last line it prints. */
  async finish(deadlineMs?: number): Promise<Line> {
    this.#child.stdin?.end();
    let last: Line = {};
    for (;;) {
      if (this.#isOver && this.#lines.length === 0) break;
      try {
        last = await this.next(deadlineMs);
      } catch (error) {
        if (!this.#isOver || this.#errors !== '') throw error;
        break;
      }
    }
    const code = await this.#ended;
    process.off('exit', this.kill);
    if (code !== 0) throw new Error(`${this.#name} ended with ${code}: ${this.#errors}`);
    return last;
  }

  readonly kill = (): void => {
    kill9(this.#child.pid);
  };

  async end(): Promise<void> {
    this.kill();
    await this.#ended;
    process.off('exit', this.kill);
  }
}

function fail(): never {
  throw new Error('Cannot read what a program prints: it has no output');
}

/** Runs a program to its end and gives the last line it printed; it must end with 0. */
export async function run(name: string, args: string[], deadlineMs = 60_000): Promise<Line> {
  return await new Program(name, args).finish(deadlineMs);
}
