import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { DfsError } from '../../src/base/errors.ts';
import { GIB } from '../../src/base/limits.ts';
import { findMount } from '../../src/base/os/mod.ts';
import { unmount } from '../../src/fuse/mod.ts';
import { homePaths } from '../../src/home/mod.ts';
import {
  initVolume,
  type RecoverReport,
  recoverVolume,
  type StatusReport,
  type WorkFacts,
} from '../../src/node/mod.ts';
import { withDaemon } from '../dfsctl/client.ts';
import { startMount } from '../dfsctl/mount-process.ts';
import { unmountVolume } from '../dfsctl/unmount-volume.ts';

const DISKS = 3;
const BUCKET_BYTES: number = GIB;
const CACHE_BYTES: number = 4 * GIB;

/**
 * The volume that is measured and the native folder beside it, in one new folder on one device.
 * destroy() is synchronous and right however far things have come: at the end, on a failure and on
 * Ctrl-C alike.
 */
export class BenchVolume {
  readonly folder: string;
  readonly mountPoint: string;
  readonly native: string;
  readonly disks: string[];
  readonly home: string;
  #diskCount = DISKS;
  #destroyed = false;
  #mounted = false;

  constructor(parent: string) {
    this.folder = mkdtempSync(join(parent, 'dfs-bench-'));
    this.mountPoint = this.#subfolder('mnt');
    this.native = this.#subfolder('native');
    this.disks = Array.from({ length: DISKS }, (_, index) => this.#subfolder(`disk${index + 1}`));
    this.home = join(this.folder, 'home');
    const device = (path: string): number => statSync(path).dev;
    if (device(this.native) !== device(this.disks[0] ?? '')) {
      throw new DfsError('INVARIANT', 'the native folder and the disks are on different devices');
    }
  }

  #subfolder(name: string): string {
    const path = join(this.folder, name);
    mkdirSync(path);
    return path;
  }

  async init(scheme: string): Promise<void> {
    const sizes = { bucketBytes: BUCKET_BYTES, cacheBytes: CACHE_BYTES };
    await initVolume({ home: this.home, disks: this.disks, scheme, ...sizes });
  }

  async mount(): Promise<void> {
    const { home, mountPoint } = this;
    const running = await startMount({ home, mountPoint, readOnly: false, verbose: false });
    running.letGo();
    this.#mounted = true;
  }

  get isMounted(): boolean {
    return this.#mounted;
  }

  /** Commits and ends the mount. */
  async unmount(): Promise<void> {
    await unmountVolume({ home: this.home, mountPoint: this.mountPoint, now: false });
    this.#mounted = false;
  }

  /** Waits until everything is on the disks: no load pays for the one before it. */
  async commit(): Promise<void> {
    await withDaemon(this.home, async (client) => {
      await client.post('/commit');
    });
  }

  /** How background work is. */
  async work(): Promise<WorkFacts> {
    return await withDaemon(this.home, (client) => client.get<WorkFacts>('/work'));
  }

  /** Resolves when background work has nothing left to do. */
  async workDone(): Promise<WorkFacts> {
    return await withDaemon(this.home, (client) => client.post<WorkFacts>('/work?order=wait'));
  }

  /** A folder for another disk. */
  newDisk(): string {
    return this.#subfolder(`disk${++this.#diskCount}`);
  }

  async addDisk(path: string): Promise<void> {
    const call = `/diskmap/add?path=${encodeURIComponent(path)}`;
    await withDaemon(this.home, (client) => client.post(call));
  }

  /** A disk that was added is gone from one moment to the next, and its loss is noted. */
  async loseDisk(path: string): Promise<void> {
    const { disks } = await withDaemon(this.home, (client) => client.get<StatusReport>('/status'));
    const id = disks.find((disk) => disk.path === path)?.id;
    renameSync(path, `${path}-gone`);
    await withDaemon(this.home, (client) => client.post(`/diskmap/fail?disk=${id}`));
  }

  /** Whether a commit runs. */
  async isCommitting(): Promise<boolean> {
    const status = await withDaemon(this.home, (client) => client.get('/status'));
    return (status as { commitRunning?: unknown }).commitRunning !== undefined;
  }

  /** What the daemon counts, as JSON. */
  async stats(): Promise<unknown> {
    return await withDaemon(this.home, (client) => client.get('/stats'));
  }

  /**
   * While nothing is mounted and everything is committed: all that is cached is clean, and goes.
   */
  emptyCache(): void {
    const { cache } = homePaths(this.home);
    for (const name of readdirSync(cache)) {
      for (const file of readdirSync(join(cache, name))) rmSync(join(cache, name, file));
    }
  }

  /** Builds another HOME from the disks alone, and removes it again. Not while mounted. */
  async recover(): Promise<RecoverReport> {
    const home = join(this.folder, 'recovered');
    try {
      return await recoverVolume({
        home,
        disks: this.disks,
        cacheBytes: CACHE_BYTES,
        log: () => undefined,
        onProgress: () => undefined,
      });
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  }

  /** The end of the daemon's log, for messages. */
  get log(): string {
    try {
      return readFileSync(homePaths(this.home).log, 'utf8').slice(-2000);
    } catch {
      return '';
    }
  }

  /**
   * Ends every process that has to do with this volume, takes the mount away, removes all files.
   */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    // The supervisor starts a daemon that dies anew: it must be gone before the daemon is.
    for (const kind of ['mount-main', 'daemon-main', '']) {
      for (const pid of this.#processes(kind)) killNow(pid);
    }
    if (findMount(this.mountPoint) !== undefined) unmount(this.mountPoint, { lazy: true });
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  /** Processes with this bench's folder, whose name nobody else has, in their arguments. */
  #processes(kind: string): number[] {
    const name = basename(this.folder);
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => {
        if (!Number.isInteger(pid) || pid === process.pid) return false;
        const line = argumentsOf(pid);
        return line.includes(name) && line.includes(kind);
      });
  }
}

function argumentsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
