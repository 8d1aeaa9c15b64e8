import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { CrashState } from './crash-state.ts';
import type { CutPolicy, NameModel } from './cut.ts';
import type { FaultRule } from './faults.ts';
import type { Command, FlipOptions, Flipped, ServerOptions } from './messages.ts';
import type { DeviceCounts, LoggedOperation, Mark } from './operation-log.ts';

/** The repository, from its sources as from what is built in dist. */
const HERE: string = resolve(import.meta.dirname, '../..');
const ROOT: string = basename(HERE) === 'dist' ? dirname(HERE) : HERE;
const PROGRAM: string = join(ROOT, 'dist/test/programs/faultfs-main.js');
const REAPER: string = join(ROOT, 'test/programs/reaper.py');
const GIB = 2 ** 30;

export interface FaultFsOptions {
  /** Names of the devices, or the bytes each holds; 1 GiB for a name alone. */
  devices: readonly string[] | Record<string, number>;
  /** Where the rig's own folder is made; the folder for temporary files without. */
  folder?: string;
}

export interface CrashStateOptions {
  /** What came after this operation has not happened; the newest one without. */
  sequence?: number;
  seed: number;
  /** 'any' without. */
  policy?: CutPolicy;
  /** 'strict' without. */
  names?: NameModel;
  /** An existing folder on another file system: gets one folder a device. */
  target: string;
  /** Which devices are written; all without. */
  devices?: string[];
  hash?: boolean;
}

type Answer = { id: number; result?: unknown; error?: string };

/**
 * A mounted file system of failing devices, served by a process of its own, which ends with stop()
 * or with this process. Every method but start() may be called at any time, also while the mount
 * hangs.
 */
export class FaultFs {
  readonly folder: string;
  readonly mountPoint: string;
  /** Programs append lines to it, which become marks. */
  readonly markPath: string;
  readonly #child: ChildProcess;
  readonly #reaper: ChildProcess;
  readonly #waiting: Map<number, (answer: Answer) => void> = new Map();
  readonly #ready: Promise<void>;
  readonly #exited: Promise<void>;
  #nextId = 1;

  private constructor(options: FaultFsOptions) {
    if (!existsSync(PROGRAM)) throw new Error(`Cannot start the rig: build ${PROGRAM} first`);
    this.folder = realpathSync(mkdtempSync(join(options.folder ?? tmpdir(), 'dfs-faultfs-')));
    this.mountPoint = join(this.folder, 'mnt');
    this.markPath = join(this.mountPoint, '.mark');
    mkdirSync(this.mountPoint);
    const reaper = [REAPER, this.folder];
    this.#reaper = spawn('python3', reaper, {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const { devices } = options;
    const sizes = Array.isArray(devices)
      ? Object.fromEntries(devices.map((name: string) => [name, GIB]))
      : (devices as Record<string, number>);
    const server: ServerOptions = { mountPoint: this.mountPoint, devices: sizes };
    const argument = JSON.stringify(server);
    this.#child = spawn(process.execPath, [PROGRAM, this.folder, argument], {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    });
    this.#child.stdin?.on('error', () => undefined);
    const { stdout } = this.#child;
    if (stdout === null) throw new Error('Cannot start the rig: its server has no output');
    const lines = createInterface(stdout);
    this.#ready = new Promise((ready, fail) => {
      this.#child.once('exit', (code) => fail(new Error(`The rig's server ended with ${code}`)));
      lines.on('line', (line) => {
        const answer = JSON.parse(line) as Answer & { ready?: number };
        if (answer.ready !== undefined) ready();
        else this.#waiting.get(answer.id)?.(answer);
      });
    });
    this.#exited = new Promise((exited) => {
      this.#child.once('exit', () => {
        for (const [id, done] of this.#waiting) done({ id, error: "the rig's server has ended" });
        exited();
      });
    });
  }

  static async start(options: FaultFsOptions): Promise<FaultFs> {
    const rig = new FaultFs(options);
    try {
      await rig.#ready;
      return rig;
    } catch (error) {
      await rig.stop();
      throw error;
    }
  }

  /** The folder of a device. */
  device(name: string): string {
    return join(this.mountPoint, name);
  }

  /** Turns the power off: everything fails with EIO from now on. The number of the last operation. */
  async cut(): Promise<number> {
    return (await this.#ask({ command: 'cut' })) as number;
  }

  /** Writes what a power cut right after an operation leaves, as plain folders. */
  async crashState(options: CrashStateOptions): Promise<CrashState> {
    const { sequence = await this.sequence(), policy = 'any', names = 'strict' } = options;
    const all = { ...options, sequence, policy, names };
    return (await this.#ask({ command: 'crashState', options: all })) as CrashState;
  }

  /** Lets a device fail from now on; the rule's number. */
  async setFault(rule: FaultRule): Promise<number> {
    return (await this.#ask({ command: 'addFault', rule })) as number;
  }

  /** Ends one rule, or all; what hung goes on. */
  async clearFault(id?: number): Promise<void> {
    await this.#ask({ command: 'removeFault', ...(id === undefined ? {} : { fault: id }) });
  }

  /** How often a rule has struck. */
  async hits(id: number): Promise<number> {
    return (await this.#ask({ command: 'hits', fault: id })) as number;
  }

  /** Turns bits over in what is stored, also in states after power cuts to come. */
  async flip(options: FlipOptions): Promise<Flipped[]> {
    return (await this.#ask({ command: 'flip', flip: options })) as Flipped[];
  }

  /** Everything is on its device, and no state before can be asked for any more. */
  async settle(): Promise<number> {
    return (await this.#ask({ command: 'settle' })) as number;
  }

  /** The lines written into markPath so far, with their places among the operations. */
  async marks(): Promise<Mark[]> {
    return (await this.#ask({ command: 'marks' })) as Mark[];
  }

  /** The number of the newest operation. */
  async sequence(): Promise<number> {
    return (await this.#ask({ command: 'sequence' })) as number;
  }

  /** What each device was asked to do since the start. */
  async counts(): Promise<Record<string, DeviceCounts>> {
    return (await this.#ask({ command: 'counts' })) as Record<string, DeviceCounts>;
  }

  /** What was done after `from`, up to `to`. */
  async operations(from: number, to: number): Promise<LoggedOperation[]> {
    return (await this.#ask({ command: 'operations', from, to })) as LoggedOperation[];
  }

  /** Ends the server and everything that uses the mount, and removes it all. */
  async stop(): Promise<void> {
    this.#child.stdin?.end();
    const cleaned = new Promise((done) => this.#reaper.once('exit', done));
    this.#reaper.stdin?.end();
    await this.#exited;
    await cleaned;
  }

  async #ask(command: Command): Promise<unknown> {
    const id = this.#nextId++;
    const answer = await new Promise<Answer>((done) => {
      if (this.#child.exitCode !== null) done({ id, error: "the rig's server has ended" });
      this.#waiting.set(id, done);
      this.#child.stdin?.write(`${JSON.stringify({ id, ...command })}\n`);
    });
    this.#waiting.delete(id);
    if (answer.error === undefined) return answer.result;
    throw new Error(`Cannot do "${command.command}" on the rig: ${answer.error}`);
  }
}
