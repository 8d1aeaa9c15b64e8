import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { Answer, Order, WorkerOptions } from './messages.ts';

const PROGRAM = join(import.meta.dirname, 'worker-main.js');
/** A seed takes some seconds; what takes so long hangs. */
const SILENCE_MS = 300_000;
const ERRORS_MAX = 8000;
/** Volumes come and go: their memory is mostly young. */
const YOUNG_MIB = 64;

/** What a seed came to. */
export interface SeedEnd {
  failure?: string;
  log: string[];
}

/** A process that plays seeds. */
export class Worker {
  readonly #child: ChildProcess;
  #errors = '';
  #onAnswer: (answer: Answer) => void = () => undefined;
  #onExit: (code: string) => void = () => undefined;
  isDead = false;
  /** Seeds it has played. */
  seeds = 0;

  constructor(options: WorkerOptions) {
    this.#child = fork(PROGRAM, [JSON.stringify(options)], {
      execArgv: [`--max-semi-space-size=${YOUNG_MIB}`],
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    this.#child.stderr?.on('data', (text: Buffer) => {
      this.#errors = (this.#errors + text.toString()).slice(-ERRORS_MAX);
    });
    this.#child.on('message', (answer) => this.#onAnswer(answer as Answer));
    this.#child.once('exit', (code, signal) => {
      this.isDead = true;
      this.#onExit(signal ?? String(code));
    });
  }

  /** Plays a seed; `onAnswer` hears of each of its points. Never rejects. */
  async play(order: Order, onAnswer: (answer: Answer) => void): Promise<SeedEnd> {
    this.seeds++;
    let timer: NodeJS.Timeout | undefined;
    const watch = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => this.#child.kill('SIGKILL'), SILENCE_MS);
    };
    watch();
    try {
      return await new Promise<SeedEnd>((resolve) => {
        this.#onExit = (code) =>
          resolve({ failure: `the process ended with ${code}: ${this.#errors}`, log: [] });
        this.#onAnswer = (answer) => {
          watch();
          onAnswer(answer);
          if (answer.kind !== 'end') return;
          const { failure, log = [] } = answer;
          resolve(failure === undefined ? { log } : { failure, log });
        };
        if (this.isDead) this.#onExit('nobody');
        else this.#child.send(order);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Lets it end, with all it has made. */
  async end(): Promise<void> {
    if (this.isDead) return;
    const ended = new Promise((done) => this.#child.once('exit', done));
    if (this.#child.connected) this.#child.disconnect();
    await ended;
  }
}
