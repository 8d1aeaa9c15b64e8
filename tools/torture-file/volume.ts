import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DfsError } from '../../src/base/errors.ts';

const DFSCTL: string = fileURLToPath(new URL('../../../bin/dfsctl', import.meta.url));
const DISKS = ['a', 'b', 'c'];

/** Runs dfsctl on the side: its output; IO with its words when it fails. */
function dfsctl(...args: string[]): Promise<string> {
  const child = spawn(process.execPath, [DFSCTL, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => {
      if (status === 0) resolve(output);
      else reject(new DfsError('IO', `dfsctl ${args.join(' ')} failed: ${errors.trim()}`));
    });
  });
}

/** A volume over three folders that lives as long as a round of a torture. */
export class TortureVolume {
  readonly mountPoint: string;
  readonly home: string;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.home = join(folder, 'home');
    this.mountPoint = join(folder, 'mnt');
  }

  static async create(options: { dir: string; scheme: string }): Promise<TortureVolume> {
    const volume = new TortureVolume(mkdtempSync(join(options.dir, 'dfs-torture-')));
    const disks = DISKS.map((name) => join(volume.#folder, name));
    for (const folder of [volume.mountPoint, ...disks]) mkdirSync(folder);
    const flags = disks.flatMap((disk) => ['--disk', disk]);
    const sizes = ['--bucket-size', '1GiB', '--cache-size', '256MiB'];
    try {
      await dfsctl('init', volume.home, ...flags, ...sizes, '--scheme', options.scheme);
      await dfsctl('mount', volume.home, volume.mountPoint);
    } catch (error) {
      volume.remove();
      throw error;
    }
    return volume;
  }

  get control(): string {
    return join(this.home, 'control.sock');
  }

  /** kill -9 of the daemon, which its supervisor replaces; false when none was found. */
  killDaemon(): boolean {
    const found = spawnSync('pgrep', ['-f', `daemon-main.js .*"home":"${this.home}"`], {
      encoding: 'utf8',
    });
    const pid = Number(found.stdout.trim().split('\n')[0]);
    if (!(pid > 0)) return false;
    try {
      process.kill(pid, 'SIGKILL');
      return true;
    } catch {
      return false; // It died by itself.
    }
  }

  /** The end of the daemon's log. */
  log(): string {
    return readFileSync(join(this.home, 'daemon.log'), 'utf8').slice(-4000);
  }

  /** Commits and checks every piece of every chunk; throws when something is not right. */
  async check(): Promise<void> {
    await dfsctl('commit', this.mountPoint);
    await dfsctl('fsck', this.mountPoint);
  }

  /** Unmounts without a commit and removes everything; synchronous, for signals too. */
  remove(): void {
    spawnSync(process.execPath, [DFSCTL, 'umount', this.mountPoint, '--now']);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
