import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync } from 'node:fs';
import { EBUSY } from '../base/errno.ts';
import { DfsError, messageOf } from '../base/errors.ts';
import { receiveDescriptor, socketPair } from '../base/os/mod.ts';

/** Of libfuse: installed setuid root, it mounts and unmounts for those who may not. */
const PROGRAM = 'fusermount3';
/** The descriptor on which it hands us /dev/fuse, and the variable that tells it so. */
const SOCKET_FD = 3;
const SOCKET_VARIABLE = '_FUSE_COMMFD';
/** Messages of the C library in English, to tell them apart. */
const ENVIRONMENT: NodeJS.ProcessEnv = { ...process.env, LC_ALL: 'C' };

interface Ended {
  status: number | null;
  stderr: string;
}

/**
 * Mounts as a user other than root: the descriptor of /dev/fuse. `options` go to mount's `-o`;
 * commas and backslashes inside of one are escaped by the caller.
 */
export async function mountByHelper(mountPoint: string, options: string[]): Promise<number> {
  const action = `mount on ${mountPoint}`;
  const [ours, theirs] = socketPair();
  try {
    const child = spawn(PROGRAM, ['-o', options.join(','), '--', mountPoint], {
      env: { ...ENVIRONMENT, [SOCKET_VARIABLE]: String(SOCKET_FD) },
      stdio: ['ignore', 'ignore', 'pipe', theirs],
    });
    // What it has sent waits in the socket; if it sent nothing, the other end is closed by now.
    const ended = await endOf(child, action).finally(() => closeSync(theirs));
    if (ended.status !== 0) throw refused(action, ended);
    const fd = receiveDescriptor(ours);
    if (fd !== undefined) return fd;
    throw new DfsError('IO', `Cannot ${action}: ${PROGRAM} handed over no descriptor`);
  } finally {
    closeSync(ours);
  }
}

/** Unmounts as a user other than root. Throws as unmount() of mount-device.ts. */
export function unmountByHelper(mountPoint: string, options: { lazy: boolean }): void {
  const action = `unmount "${mountPoint}"`;
  const { status, stderr, error } = spawnSync(PROGRAM, unmountWords(mountPoint, options), {
    env: ENVIRONMENT,
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  if (error !== undefined) throw cannotRun(action, error);
  if (status !== 0) throw refused(action, { status, stderr });
}

/** The same without blocking this process, which may have to serve the mount meanwhile. */
export async function unmountByHelperAsync(
  mountPoint: string,
  options: { lazy: boolean },
): Promise<void> {
  const action = `unmount "${mountPoint}"`;
  const child = spawn(PROGRAM, unmountWords(mountPoint, options), {
    env: ENVIRONMENT,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = await endOf(child, action);
  if (ended.status !== 0) throw refused(action, ended);
}

function unmountWords(mountPoint: string, { lazy }: { lazy: boolean }): string[] {
  return ['-u', ...(lazy ? ['-z'] : []), '--', mountPoint];
}

function endOf(child: ChildProcess, action: string): Promise<Ended> {
  let stderr = '';
  child.stderr?.on('data', (text: Buffer) => {
    stderr += text.toString();
  });
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(cannotRun(action, error)));
    child.once('close', (status) => resolve({ status, stderr }));
  });
}

function cannotRun(action: string, cause: Error): DfsError {
  const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
  const state = isMissing ? 'is not there' : `cannot be run (${messageOf(cause)})`;
  const hint = `without root that takes ${PROGRAM}, which ${state}`;
  return new DfsError('UNAVAILABLE', `Cannot ${action}: ${hint}; install the package fuse3`, {
    cause,
  });
}

/** What it says on stderr is one line after its name. */
function refused(action: string, { status, stderr }: Ended): DfsError {
  const said = stderr.trim().replace(/\s*\n\s*/g, '; ');
  const state = said === '' ? `${PROGRAM} ended with ${status}` : said;
  const isBusy = stderr.includes('Device or resource busy');
  return new DfsError('IO', `Cannot ${action}: ${state}`, {
    details: isBusy ? { errno: EBUSY } : {},
  });
}
