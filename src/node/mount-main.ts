/**
 * The supervisor of one mount: locks HOME, mounts, and keeps a daemon serving until the mount is
 * gone.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createLog } from '../base/log.ts';
import { type MountFlags, mountDevice, runSupervisor } from '../fuse/mod.ts';
import {
  forgetMount,
  homePaths,
  lockHome,
  type PackedError,
  packError,
  readConfig,
  unpackError,
} from '../home/mod.ts';

/** What a mount is asked to be; the first argument of this program and of the daemon, as JSON. */
export interface MountRequest {
  /** Absolute paths. */
  home: string;
  mountPoint: string;
  /** As in the config when absent. */
  mode?: 'weak' | 'strong';
  /** As {@link Config.commitDeadlineMs}, for this mount. */
  deadlineMs?: number;
  readOnly: boolean;
  /** The retained epoch to be shown; `home` is a folder for this mount alone, and goes with it. */
  epoch?: number;
  flags?: Partial<MountFlags>;
  verbose: boolean;
}

/** What the parent process hears over IPC: once, when the mount serves or cannot be made. */
export type MountAnswer = { ready: true } | { error: ReturnType<typeof packError> };

/** Calls that wait for devices at the same time, at most: of a disk its pieces, syncs and log. */
const WAITS_OF_HOME = 12;
const WAITS_A_DISK = 14;
const THREADS_MAX = 256;
/**
 * For each of the daemon's threads. Of V8's young generation: what lives long is not in JavaScript.
 */
const YOUNG_SPACE_MIB = 4;
/** Garbage is collected when the heap is so much larger than what lived on the last time. */
const HEAP_GROWTH_PERCENT = 30;

const request = JSON.parse(process.argv[2] ?? '{}') as MountRequest;
const paths = homePaths(request.home);
const log = createLog((line) => void writeSync(2, line));
let answered = false;

function answer(message: MountAnswer): void {
  if (answered) return;
  answered = true;
  if (process.send === undefined) return;
  // The parent may be gone already: then nobody waits for the answer.
  process.send(message, () => process.channel && process.disconnect());
}

/**
 * Threads for waiting on devices, enough for HOME when all disks hang, and few malloc arenas: one
 * for each thread would keep what all once needed.
 */
async function daemonEnvironment(): Promise<NodeJS.ProcessEnv> {
  const disks = (await readConfig(request.home))?.disks.length ?? 0;
  const threads = Math.min(THREADS_MAX, WAITS_OF_HOME + WAITS_A_DISK * disks);
  const { UV_THREADPOOL_SIZE = `${threads}`, MALLOC_ARENA_MAX = '2' } = process.env;
  return { ...process.env, UV_THREADPOOL_SIZE, MALLOC_ARENA_MAX };
}

/** Who looks whether HOME is in use, which makes its lock anew, must not find it half gone. */
function removeHome(home: string): void {
  if (!existsSync(home)) return;
  const doomed = `${home}.old`;
  renameSync(home, doomed);
  rmSync(doomed, { recursive: true, force: true });
}

async function main(): Promise<number> {
  const lock = lockHome(request.home);
  forgetMount(paths);
  const fd = await mountDevice({
    mountPoint: request.mountPoint,
    source: request.home,
    flags: { ...request.flags, readOnly: request.readOnly },
  });
  return runSupervisor({
    fd,
    mountPoint: request.mountPoint,
    command: process.execPath,
    args: [
      `--max-semi-space-size=${YOUNG_SPACE_MIB}`,
      `--heap-growing-percent=${HEAP_GROWTH_PERCENT}`,
      fileURLToPath(new URL('./daemon-main.js', import.meta.url)),
      process.argv[2] ?? '{}',
    ],
    env: await daemonEnvironment(),
    extraFds: [lock],
    log,
    onReady: () => answer({ ready: true }),
  });
}

try {
  const status = await main();
  try {
    const failure = readFileSync(paths.failure, 'utf8');
    answer({ error: packError(unpackError(JSON.parse(failure) as PackedError)) });
  } catch {
    answer({
      error: {
        code: 'IO',
        message: `Cannot mount ${request.mountPoint}: the daemon did not start; see ${paths.log}`,
        details: {},
      },
    });
  }
  process.exitCode = status;
} catch (error) {
  answer({ error: packError(error) });
  process.exitCode = 1;
} finally {
  if (request.epoch !== undefined) removeHome(request.home);
}
