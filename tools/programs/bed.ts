import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { DfsError } from '../../src/base/errors.ts';
import { homePaths } from '../../src/home/mod.ts';
import { withDaemon } from '../dfsctl/client.ts';
import { Processes, processesIn, type RunOptions, signalNow } from './processes.ts';
import type { Ground } from './program.ts';
import { sweep } from './sweep.ts';

const DISKS = 3;
const TAKEOVER_MS = 30_000;
const POLL_MS = 20;
const REAPER: string = fileURLToPath(new URL('./reaper-main.js', import.meta.url));

/** What is given to dfsctl. */
export interface VolumeOptions {
  scheme: string;
  cacheSize: string;
  mode: string;
}

/** What programs run on: a volume over three disk folders, or only a native folder. */
export class Bed {
  readonly processes: Processes = new Processes();
  readonly #folder: string;
  readonly #repository: string;
  readonly #isNative: boolean;
  #mode: VolumeOptions['mode'] = 'weak';
  /** Cleans up after a kill -9 of this process. */
  readonly #reaper: ChildProcess;

  constructor(options: { parent: string; repository: string; isNative: boolean }) {
    this.#folder = mkdtempSync(join(realpathSync(options.parent), 'dfs-programs-'));
    this.#repository = options.repository;
    this.#isNative = options.isNative;
    // Programs that run as another user must get through.
    chmodSync(this.#folder, 0o755);
    this.#reaper = spawn(process.execPath, [REAPER, this.#folder], {
      detached: true,
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    this.#reaper.unref();
  }

  #path(...names: string[]): string {
    return join(this.#folder, ...names);
  }

  get #home(): string {
    return this.#path('home');
  }

  /** Where programs work: the mount, or a plain folder. */
  get #mount(): string {
    return this.#path('mnt');
  }

  async #dfsctl(...args: string[]): Promise<void> {
    const program = join(this.#repository, 'bin/dfsctl');
    await this.processes.run(process.execPath, [program, ...args]);
  }

  async #mountVolume(): Promise<void> {
    await this.#dfsctl('mount', this.#home, this.#mount, '--mode', this.#mode);
  }

  /** Makes the volume and mounts it. */
  async open(volume: VolumeOptions): Promise<void> {
    this.#mode = volume.mode;
    mkdirSync(this.#mount);
    mkdirSync(this.#path('scratch'));
    if (this.#isNative) return;
    const disks = Array.from({ length: DISKS }, (_, index) => this.#path(`disk${index + 1}`));
    for (const disk of disks) mkdirSync(disk);
    const flags = disks.flatMap((disk) => ['--disk', disk]);
    const sizes = ['--bucket-size', '1GiB', '--cache-size', volume.cacheSize];
    await this.#dfsctl('init', this.#home, ...flags, ...sizes, '--scheme', volume.scheme);
    await this.#mountVolume();
  }

  /** New folders for a program. */
  async ground(name: string, options: { quick: boolean }): Promise<Ground> {
    const folder = join(this.#mount, name);
    const scratch = this.#path('scratch', name);
    for (const path of [folder, scratch]) await this.processes.run('mkdir', ['-m', '755', path]);
    const { processes } = this;
    return {
      folder,
      scratch,
      repository: this.#repository,
      quick: options.quick,
      isNative: this.#isNative,
      processes,
      run: (command, args, run) => processes.run(command, args, { cwd: scratch, ...run }),
      script: (script, args, run) => this.#script(script, args, { cwd: scratch, ...run }),
      remount: (how) => this.#remount(how?.cold === true),
      killDaemon: () => this.#killDaemon(),
    };
  }

  async #script(name: string, args: readonly string[], run: RunOptions): Promise<string> {
    const program = join(this.#repository, 'tools/programs', name);
    const shell = name.endsWith('.py') ? 'python3' : 'bash';
    return (await this.processes.run(shell, [program, ...args], run)).output;
  }

  /** Deletes what a program left. */
  async clear(ground: Ground): Promise<void> {
    // Files that a stressor made immutable, where the file system has such files.
    const args = ['-R', '-f', '-ia', ground.folder, ground.scratch];
    await this.processes.run('chattr', args, { anyStatus: true });
    await this.processes.run('rm', ['-rf', ground.folder, ground.scratch]);
  }

  async #remount(cold: boolean): Promise<void> {
    if (this.#isNative) return;
    await this.#dfsctl('umount', this.#mount);
    if (cold) this.#emptyCache();
    await this.#mountVolume();
  }

  /** Everything is committed: all that is cached is clean, and has to come from the disks now. */
  #emptyCache(): void {
    const { cache } = homePaths(this.#home);
    for (const name of readdirSync(cache)) {
      for (const file of readdirSync(join(cache, name))) rmSync(join(cache, name, file));
    }
  }

  #daemonPid(): number | undefined {
    return processesIn(this.#home).find(({ line }) => line.includes('daemon-main'))?.pid;
  }

  async #killDaemon(): Promise<void> {
    if (this.#isNative) return;
    // A supervisor gives up on daemons that die one after the other before they serve.
    await withDaemon(this.#home, (client) => client.get('/status'));
    const old = this.#daemonPid();
    if (old === undefined) throw new DfsError('NOT_FOUND', 'Cannot kill the daemon: none runs');
    signalNow(old, 'SIGKILL');
    const end = Date.now() + TAKEOVER_MS;
    for (;;) {
      const pid = this.#daemonPid();
      if (pid !== undefined && pid !== old) return;
      if (Date.now() > end) throw new DfsError('TIMEOUT', 'Cannot go on: no daemon took over');
      await delay(POLL_MS);
    }
  }

  /** Commits and unmounts in order, which is checked as well. */
  async close(): Promise<void> {
    if (!this.#isNative) await this.#dfsctl('umount', this.#mount);
  }

  /** The last lines of the daemon's log that tell of trouble. */
  get log(): string {
    try {
      const lines = readFileSync(homePaths(this.#home).log, 'utf8').split('\n');
      return lines
        .filter((line) => !line.includes('"level":"info"'))
        .slice(-6)
        .join('\n');
    } catch {
      return '';
    }
  }

  /** Leaves no process, no mount and no file behind; synchronous. */
  destroy(): void {
    this.processes.killAll();
    sweep(this.#folder);
    this.#reaper.stdin?.end();
  }
}
