import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DfsError, messageOf } from '../../src/base/errors.ts';

/** Sources of the program, which lie a different way up from here and from dist. */
const SOURCES: readonly string[] = ['../..', '../../..'].map((up) =>
  join(import.meta.dirname, up, 'test/programs/file-model'),
);
const FLAGS = ['-std=c11', '-O2', '-Wall', '-Wextra', '-Werror', '-Wno-misleading-indentation'];

/** What the program is told: see its --help. */
export interface FileModelOptions {
  operations: number;
  seed: string;
  sizeBytes?: number;
  /** Several processes on one file, at least 4, instead of one process on two files. */
  processes?: number;
  /** The control socket of the mount; none on a native folder. */
  control?: string;
  evictEvery?: number;
  commitEvery?: number;
  needAll?: boolean;
}

/** What the program says at its end. */
export interface FileModelResult {
  seed: number;
  operations: number;
  seconds: number;
  /** How often the file system refused what it does not know. */
  refused: Record<string, number>;
}

/** Compiles the program into `folder`: its path. */
export async function compileFileModel(folder: string): Promise<string> {
  const source = SOURCES.find((path) => existsSync(path));
  if (source === undefined) {
    throw new DfsError('NOT_FOUND', `Cannot compile: there is no ${SOURCES[0]}`);
  }
  const files = readdirSync(source).filter((name) => name.endsWith('.c'));
  const program = join(folder, 'file-model');
  await new FileModelRun('gcc', [...FLAGS, '-o', program, ...files.map((f) => join(source, f))])
    .ended;
  return program;
}

/** Arguments of the program for a run in `folder`. */
export function argumentsOf(folder: string, options: FileModelOptions): string[] {
  const { operations, seed, sizeBytes, processes, control, evictEvery, commitEvery } = options;
  const values = {
    seed,
    ops: operations,
    size: sizeBytes,
    processes,
    control,
    'evict-every': evictEvery,
    'commit-every': commitEvery,
  };
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  const flags = given.flatMap(([name, value]) => [`--${name}`, String(value)]);
  return [...flags, ...(options.needAll === true ? ['--need-all'] : []), folder];
}

/** A run of the program, in a process of its own, which may hang on a mount. */
export class FileModelRun {
  readonly #child: ChildProcess;
  #errors = '';
  #last = '{}';
  isOver = false;
  /** Operations that are done, as far as the program said so. */
  done = 0;
  /** Resolves to what it did; rejects with what it printed when it found a difference. */
  readonly ended: Promise<FileModelResult>;

  constructor(program: string, args: string[]) {
    this.#child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stderr?.on('data', (text: Buffer) => {
      this.#errors += text.toString();
    });
    const { stdout } = this.#child;
    if (stdout !== null) createInterface({ input: stdout }).on('line', (line) => this.#take(line));
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', (error) =>
        reject(new DfsError('IO', `Cannot run ${program}: ${messageOf(error)}`)),
      );
      this.#child.once('close', (status, signal) => {
        this.isOver = true;
        if (status === 0) return resolve(JSON.parse(this.#last) as FileModelResult);
        const state = `it ended with ${signal ?? `status ${status}`}:\n${this.#errors}`;
        reject(new DfsError('CORRUPT', `Cannot go on with ${program}: ${state}`));
      });
    });
    // Who started it looks at it later; until then a failure must not count as unhandled.
    this.ended.catch(() => undefined);
  }

  #take(line: string): void {
    this.#last = line;
    this.done = (JSON.parse(line) as { done?: number }).done ?? this.done;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
