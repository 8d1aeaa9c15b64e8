import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { OperationCount } from '../../src/fuse/mod.ts';
import { unmount } from '../../src/fuse/mod.ts';

const PROGRAM = resolve(import.meta.dirname, '../../dist/test/programs/memory-mount.js');

/** Mount tests need root and the device; elsewhere they are skipped. */
export const canMount: boolean = process.getuid?.() === 0 && existsSync('/dev/fuse');

/** What memory-mount.ts prints. */
export interface MountEvent {
  ready?: number;
  stats?: Record<string, OperationCount>;
  end?: string;
  invalidated?: boolean[];
}

/**
 * A mounted file system in memory, served by other processes; goes away with stop() or with this
 * process.
 */
export class Mounted {
  readonly mountPoint: string;
  readonly #folder: string;
  readonly #child: ChildProcess;
  readonly #events: MountEvent[] = [];
  #onEvent: (() => void) | undefined;
  #taken = 0;
  #outputEnded = false;
  /** The process that serves now. */
  pid = 0;
  readonly exited: Promise<number | null>;

  private constructor(role: 'direct' | 'supervised', dieInInit: boolean) {
    if (!existsSync(PROGRAM)) throw new Error(`Cannot mount: ${PROGRAM} is missing, build first`);
    this.#folder = mkdtempSync(join(tmpdir(), 'dfs-fuse-'));
    this.mountPoint = join(this.#folder, 'mnt');
    mkdirSync(this.mountPoint);
    if (dieInInit) writeFileSync(join(this.#folder, 'die-in-init'), 'before');
    process.on('exit', this.#cleanUp);
    const args = [PROGRAM, role, this.mountPoint, this.#folder];
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.exited = new Promise((done) => this.#child.once('exit', done));
    if (this.#child.stdout === null) throw new Error('Cannot mount: the server has no output');
    const lines = createInterface(this.#child.stdout);
    lines.once('close', () => {
      this.#outputEnded = true;
      this.#onEvent?.();
    });
    lines.on('line', (line) => {
      const event = JSON.parse(line) as MountEvent;
      if (event.ready !== undefined) this.pid = event.ready;
      this.#events.push(event);
      this.#onEvent?.();
    });
  }

  static async start(
    role: 'direct' | 'supervised',
    options: { dieInInit: boolean } = { dieInInit: false },
  ): Promise<Mounted> {
    const mounted = new Mounted(role, options.dieInInit);
    try {
      await mounted.next('ready');
      return mounted;
    } catch (error) {
      await mounted.stop();
      throw error;
    }
  }

  /** The next event of a kind that nobody has taken yet; throws when all servers have ended. */
  async next<K extends keyof MountEvent>(kind: K): Promise<NonNullable<MountEvent[K]>> {
    for (;;) {
      while (this.#taken < this.#events.length) {
        const value = this.#events[this.#taken++]?.[kind];
        if (value !== undefined) return value;
      }
      if (this.#outputEnded) throw new Error(`The servers ended without "${kind}"`);
      await new Promise<void>((wake) => {
        this.#onEvent = wake;
      });
    }
  }

  async stats(): Promise<Record<string, OperationCount>> {
    process.kill(this.pid, 'SIGUSR2');
    return await this.next('stats');
  }

  get supervisorPid(): number {
    return this.#child.pid ?? 0;
  }

  async stop(): Promise<void> {
    this.#cleanUp();
    process.off('exit', this.#cleanUp);
    await this.exited;
  }

  /**
   * Synchronous, and right however far things have come: ends the processes, then whatever is still
   * mounted.
   */
  readonly #cleanUp = (): void => {
    for (const pid of [this.#child.pid, this.pid]) {
      try {
        if (pid !== undefined && pid !== 0) process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    }
    unmount(this.mountPoint, { lazy: true });
    rmSync(this.#folder, { recursive: true, force: true });
  };
}

export interface Run {
  code: number | null;
  signal: NodeJS.Signals | null;
  output: string;
}

/** Runs a Python program, with its input closed, and gives what it printed on both outputs. */
export function python(program: string, args: string[], uid?: number): Promise<Run> {
  return finish(startPython(program, args, uid));
}

/** Starts a Python program with pipes. */
export function startPython(program: string, args: string[], uid?: number): ChildProcess {
  return spawn('python3', ['-u', '-c', program, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
}

/** Closes the input of a child and waits for its end. */
export function finish(child: ChildProcess): Promise<Run> {
  let output = '';
  child.stdout?.on('data', (text: Buffer) => {
    output += text.toString();
  });
  child.stderr?.on('data', (text: Buffer) => {
    output += text.toString();
  });
  child.stdin?.end();
  return new Promise((done) => {
    child.once('close', (code, signal) => done({ code, signal, output }));
  });
}
