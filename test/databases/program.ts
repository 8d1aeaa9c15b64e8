import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { kill9 } from '../harness/processes.ts';
import { ROOT } from '../harness/root.ts';

const PROGRAMS: string = join(ROOT, 'dist/test/programs');
const DEADLINE_MS = 120_000;

/** A program of test/programs, compiled, that prints lines of JSON and reads lines. */
export class NodeProgram {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<number | null>;
  #errors = '';

  constructor(name: string, args: readonly string[]) {
    this.#name = name;
    this.#child = spawn(process.execPath, [join(PROGRAMS, name), ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    process.on('exit', this.kill);
    const { stdin, stdout, stderr } = this.#child;
    if (stdout === null) throw new Error(`Cannot start ${name}: it has no output`);
    stdin?.on('error', () => undefined);
    stderr?.on('data', (text: Buffer) => (this.#errors += text.toString()));
    this.#lines = createInterface(stdout)[Symbol.asyncIterator]();
    this.#ended = new Promise((done) => this.#child.once('close', done));
  }

  /** The next line it prints; rejects, and kills it, when it ends or is silent for too long. */
  async next(): Promise<Record<string, unknown>> {
    const timer = setTimeout(this.kill, DEADLINE_MS);
    const line = await this.#lines.next();
    clearTimeout(timer);
    if (line.done !== true) return JSON.parse(line.value) as Record<string, unknown>;
    const code = await this.#ended;
    throw new Error(`Cannot read from ${this.#name}: it ended with ${code}: ${this.#errors}`);
  }

  send(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Ends its input. */
  finish(): void {
    this.#child.stdin?.end();
  }

  readonly kill = (): void => kill9(this.#child.pid);

  async end(): Promise<void> {
    this.kill();
    await this.#ended;
    process.off('exit', this.kill);
  }
}
