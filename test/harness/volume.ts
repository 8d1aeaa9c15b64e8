import { type ChildProcess, fork, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mountFileSystem, unmountFileSystemAsync } from '../../src/base/os/mod.ts';
import { unmount } from '../../src/fuse/mod.ts';
import { homePaths, lockHome } from '../../src/home/mod.ts';
import {
  initVolume,
  type MountAnswer,
  type RecoverReport,
  recoverVolume,
} from '../../src/node/mod.ts';
import { childrenOf, isAlive, kill9, type Line, until } from './processes.ts';
import { ROOT } from './root.ts';

const REAPER = join(ROOT, 'test/programs/reaper.py');
const MOUNT_PROGRAM = join(ROOT, 'dist/src/node/mount-main.js');
const BUCKET_BYTES = 2 ** 30;
const CALL_MS = 120_000;
const UNMOUNT_MS = 120_000;

/** Mount tests need root and the device; elsewhere they are skipped. */
export const canMount: boolean = process.getuid?.() === 0 && existsSync('/dev/fuse');

export interface VolumeOptions {
  scheme?: string;
  disks?: number;
  cacheBytes?: number;
  bucketBytes?: number;
  /** Where HOME is made, instead of beside the disks. */
  home?: string;
  /** Existing folders for disks, instead of new ones. */
  diskFolders?: string[];
  /** HOME and disks have a volume already. */
  isMade?: boolean;
  /** Makes every disk a file system in memory of this size. */
  diskMib?: number;
  /** Puts HOME on a file system in memory of this size. */
  homeMib?: number;
}

export interface MountOptions {
  mode?: 'weak' | 'strong';
  readOnly?: boolean;
  /** How long a change may wait for its commit. */
  deadlineMs?: number;
  /** Of supervisor and daemons, beside what this process has. */
  env?: NodeJS.ProcessEnv;
}

/**
 * A volume in a temporary folder, with everything a test does to it. dispose() and any end of the
 * test's process, by a kill too, leave no mount, no process and no file.
 */
export class TestVolume {
  readonly folder: string;
  readonly mountPoint: string;
  disks: string[];
  home: string;
  readonly #cacheBytes: number;
  readonly #bucketBytes: number;
  #supervisor: ChildProcess | undefined;
  /** Every process that ever served this volume. */
  readonly #pids = new Set<number>();
  #homes = 0;
  /** Cleans up when this process ends, even by a kill. */
  readonly #reaper: ChildProcess;

  private constructor(options: VolumeOptions) {
    if (!existsSync(MOUNT_PROGRAM)) throw new Error(`Cannot mount: build ${MOUNT_PROGRAM} first`);
    this.folder = mkdtempSync(join(process.env.DFS_TEST_FOLDER ?? tmpdir(), 'dfs-volume-'));
    this.mountPoint = this.subfolder('mnt');
    this.#bucketBytes = options.bucketBytes ?? BUCKET_BYTES;
    this.disks =
      options.diskFolders ??
      Array.from({ length: options.disks ?? 3 }, (_, index) => this.subfolder(`disk${index + 1}`));
    this.home = options.home ?? join(this.folder, 'home');
    this.#cacheBytes = options.cacheBytes ?? 2 ** 30;
    this.#reaper = spawn('python3', [REAPER, this.folder], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
  }

  static async create(options: VolumeOptions = {}): Promise<TestVolume> {
    const volume = new TestVolume(options);
    try {
      if (options.diskMib !== undefined) mountMemory(volume.disks, options.diskMib);
      if (options.homeMib !== undefined) mountMemory([volume.subfolder('home')], options.homeMib);
      if (options.isMade === true) return volume;
      await initVolume({
        home: volume.home,
        disks: volume.disks,
        scheme: options.scheme ?? 'replica:2',
        bucketBytes: volume.#bucketBytes,
        cacheBytes: volume.#cacheBytes,
      });
    } catch (error) {
      await volume.dispose();
      throw error;
    }
    return volume;
  }

  /** A new folder beside HOME. */
  subfolder(name: string): string {
    const path = join(this.folder, name);
    mkdirSync(path);
    return path;
  }

  async mount(options: MountOptions = {}): Promise<void> {
    const log = openSync(homePaths(this.home).log, 'a');
    const argument = JSON.stringify({
      home: this.home,
      mountPoint: this.mountPoint,
      mode: options.mode ?? 'weak',
      readOnly: options.readOnly ?? false,
      deadlineMs: options.deadlineMs,
      verbose: true,
    });
    const child = fork(MOUNT_PROGRAM, [argument], {
      detached: true,
      execArgv: [],
      env: { ...process.env, ...options.env },
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    this.#supervisor = child;
    this.#pids.add(child.pid ?? 0);
    const answer = await new Promise<MountAnswer>((done, fail) => {
      child.once('message', (message) => done(message as MountAnswer));
      child.once('exit', (code) =>
        fail(new Error(`Cannot mount: ended with ${code}: ${this.log}`)),
      );
    });
    if (child.connected) child.disconnect();
    child.unref();
    if ('error' in answer) throw new Error(`Cannot mount: ${answer.error.message}`);
    this.#pids.add(this.daemonPid ?? 0);
  }

  /** The end of the daemon's log. */
  get log(): string {
    const { log } = homePaths(this.home);
    return existsSync(log) ? readFileSync(log, 'utf8').slice(-4000) : '';
  }

  get supervisorPid(): number {
    return this.#supervisor?.pid ?? 0;
  }

  /** The process that serves now; undefined between two of them. */
  get daemonPid(): number | undefined {
    const pid = childrenOf(this.supervisorPid)[0];
    if (pid !== undefined) this.#pids.add(pid);
    return pid;
  }

  /** kill -9 of the daemon: the pid of the one that replaces it, which may not serve yet. */
  async killDaemon(): Promise<number> {
    let old: number | undefined;
    await until('a daemon runs', () => {
      old = this.daemonPid;
      return old !== undefined;
    });
    kill9(old);
    let next: number | undefined;
    await until('the daemon is replaced', () => {
      next = this.daemonPid;
      return next !== undefined && next !== old;
    });
    return next ?? 0;
  }

  /**
   * Resolves when a daemon answers. The supervisor gives up on daemons that die again and again
   * before that.
   */
  async serving(): Promise<void> {
    await until('the daemon serves', async () => {
      try {
        await this.call('GET', '/status');
        return true;
      } catch {
        return false;
      }
    });
  }

  /** kill -9 of supervisor and daemon, which leaves a dead mount point; it goes, too. */
  async killAll(): Promise<void> {
    this.#killProcesses();
    await until('all processes of the volume are gone', () =>
      [...this.#pids].every((pid) => !this.#isOurs(pid)),
    );
    unmount(this.mountPoint, { lazy: true });
    await this.#homeFree();
  }

  #killProcesses(): void {
    // A stopped supervisor starts no daemon between the look at its children and its end.
    if (this.#isOurs(this.supervisorPid)) process.kill(this.supervisorPid, 'SIGSTOP');
    for (const pid of childrenOf(this.supervisorPid)) this.#pids.add(pid);
    for (const pid of this.#pids) if (this.#isOurs(pid)) kill9(pid);
  }

  /** The numbers of processes are used again: only what has our folder in its arguments is ours. */
  #isOurs(pid: number): boolean {
    if (!isAlive(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(this.folder);
    } catch {
      return false;
    }
  }

  /** Unmounts, which commits; waits until HOME can be used again. */
  async unmount(): Promise<void> {
    await until('the mount is not busy', () => this.#unmountOnce(), UNMOUNT_MS);
    await this.#homeFree();
  }

  /** On another thread: what the kernel still writes is served by the daemon, or by nobody. */
  async #unmountOnce(): Promise<boolean> {
    try {
      await unmountFileSystemAsync(this.mountPoint, { lazy: false });
      return true;
    } catch (error) {
      if (String(error).includes('EBUSY')) return false;
      throw error;
    }
  }

  async #homeFree(): Promise<void> {
    await until(
      'HOME is free',
      () => {
        try {
          closeSync(lockHome(this.home));
          return true;
        } catch {
          return false;
        }
      },
      UNMOUNT_MS,
    );
  }

  /** A call of the control API: the last line of the answer; `onLine` gets every one. */
  async call(method: string, path: string, onLine?: (line: Line) => void): Promise<Line> {
    const { socket } = homePaths(this.home);
    return await new Promise<Line>((done, fail) => {
      const call = request({ socketPath: socket, method, path, timeout: CALL_MS }, (response) => {
        let text = '';
        let last: Line = {};
        const take = (): void => {
          for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
            last = JSON.parse(text.slice(0, end)) as Line;
            text = text.slice(end + 1);
            onLine?.(last);
          }
        };
        response.on('data', (data: Buffer) => {
          text += data.toString();
          take();
        });
        response.on('error', fail);
        response.on('end', () => {
          if (text !== '') last = JSON.parse(text) as Line;
          if (last.error !== undefined) fail(new Error(JSON.stringify(last.error)));
          else done(last);
        });
      });
      call.on('timeout', () => call.destroy(new Error(`Cannot wait any longer for ${path}`)));
      call.on('error', fail);
      call.end();
    });
  }

  /** Commits; the epoch that has everything up to now. */
  async commit(onLine?: (line: Line) => void): Promise<number> {
    const { done } = await this.call('POST', '/commit', onLine);
    const epoch = (done as { epoch?: unknown } | undefined)?.epoch;
    if (typeof epoch !== 'number') throw new Error('Cannot commit: the answer ended early');
    return epoch;
  }

  /** Builds a new HOME from disks, all by default, and goes on with it. Not while mounted. */
  async recover(disks: string[] = this.disks): Promise<RecoverReport> {
    const home = join(this.folder, `home${++this.#homes}`);
    const log = (): void => undefined;
    const onProgress = (): void => undefined;
    const report = await recoverVolume({
      home,
      disks,
      cacheBytes: this.#cacheBytes,
      log,
      onProgress,
    });
    rmSync(this.home, { recursive: true, force: true });
    this.home = home;
    return report;
  }

  async dispose(): Promise<void> {
    const cleaned = new Promise((done) => this.#reaper.once('exit', done));
    this.#reaper.stdin?.end();
    await cleaned;
  }
}

function mountMemory(folders: string[], sizeMib: number): void {
  const data = `size=${sizeMib}m`;
  for (const target of folders) {
    mountFileSystem({ source: 'tmpfs', target, type: 'tmpfs', flags: 0, data });
  }
}
