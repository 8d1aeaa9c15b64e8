import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const DFSCTL: string = fileURLToPath(new URL('../../bin/dfsctl', import.meta.url));
const CALL_MAX_MS = 60_000;

/** How a program ended, and all that it said. */
export interface Ended {
  status: number | string;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end, at most a minute; it, and never this process, may touch a mount. */
export function run(
  command: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Ended> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended: Ended = { status: '', stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (ended.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (ended.stderr += text));
  const timer = setTimeout(() => child.kill('SIGKILL'), CALL_MAX_MS);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ ...ended, status: code ?? String(signal) });
    });
  });
}

/** {@link run} for what must go well: its stdout. */
export async function must(command: string[]): Promise<string> {
  const { status, stdout, stderr } = await run(command);
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}: ${stderr}`);
  return stdout;
}

/** Runs bin/dfsctl. */
export function dfsctl(...args: string[]): Promise<Ended> {
  return run([process.execPath, DFSCTL, ...args]);
}

/** Runs bin/dfsctl with --json, which must go well: the document it prints. */
export async function facts<T = Record<string, unknown>>(...args: string[]): Promise<T> {
  const { status, stdout, stderr } = await dfsctl(...args, '--json');
  if (status !== 0) throw new Error(`dfsctl ${args.join(' ')} ended with ${status}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

/** A temporary folder with three disk folders and a mountpoint, and what has to be cleaned up. */
export class Scene {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'dfs-cli-'));
  readonly home: string = this.path('home');
  readonly mount: string = this.path('mnt');
  readonly disks: string[] = ['d1', 'd2', 'd3'].map((name) => this.path(name));
  readonly #mounts: string[] = [];

  constructor() {
    for (const folder of [...this.disks, this.mount]) mkdirSync(folder);
  }

  path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  /** --disk once for each of the numbers, from 1. */
  diskOptions(...numbers: number[]): string[] {
    return numbers.flatMap((number) => ['--disk', this.disks[number - 1] ?? '']);
  }

  /** Makes a volume over the three disks. */
  async init(scheme = 'replica:2'): Promise<void> {
    const sizes = ['--bucket-size', '64MiB', '--cache-size', '256MiB'];
    await facts('init', this.home, ...this.diskOptions(1, 2, 3), '--scheme', scheme, ...sizes);
  }

  /** Mounts the volume at the mountpoint. */
  async mounted(...options: string[]): Promise<void> {
    await facts('mount', this.home, this.mount, ...options);
  }

  /** Notes a mount of the test's own, to be taken away at the end. */
  owns(mountPoint: string): void {
    this.#mounts.push(mountPoint);
  }

  /** The processes that serve a HOME in this scene. */
  servers(): number[] {
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => pid > 0 && this.#isServer(pid));
  }

  #isServer(pid: number): boolean {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const isMain = words.some((word) => /(mount|daemon)-main\.js$/.test(word));
      return isMain && words.some((word) => word.includes(`"${this.folder}/`));
    } catch {
      return false;
    }
  }

  /** Leaves no mount, process or folder behind. */
  async clean(): Promise<void> {
    for (const mountPoint of [...this.#mounts, this.mount]) {
      if (isMounted(mountPoint)) await run(['umount', '--lazy', mountPoint]);
    }
    const pids = this.servers();
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself.
      }
    }
    for (const pid of pids) await untilEnded(pid);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Whether something is mounted at the path; asks the list of mounts, not the path. */
export function isMounted(path: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .some((line) => line.split(' ')[4] === path);
}

async function untilEnded(pid: number): Promise<void> {
  while (existsSync(`/proc/${pid}`)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
