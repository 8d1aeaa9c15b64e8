import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DfsError, messageOf } from '../../src/base/errors.ts';
import { homePaths, unpackError } from '../../src/home/mod.ts';
import type { MountAnswer, MountRequest } from '../../src/node/mod.ts';

const MOUNT_MAIN: string = fileURLToPath(new URL('../../src/node/mount-main.js', import.meta.url));
/** Opening a volume may have to scan whole disks, when their indexes were lost. */
const START_MAX_MS: number = 60 * 60_000;

/** The supervisor of a mount that serves. */
export interface MountProcess {
  /** Lets it live on when this process ends. */
  letGo(): void;
  kill(signal: NodeJS.Signals): void;
  /** Its exit status, when the mount has ended. */
  ended: Promise<number>;
}

/** Starts the supervisor and its daemon; resolves when the mount serves, else throws. */
export async function startMount(request: MountRequest): Promise<MountProcess> {
  const { log } = homePaths(request.home);
  const logFd = openSync(log, 'a', 0o600);
  let child: ChildProcess;
  try {
    // A process group of its own: Ctrl-C at the terminal is for us, not for the file system.
    child = fork(MOUNT_MAIN, [JSON.stringify(request)], {
      detached: true,
      stdio: ['ignore', logFd, logFd, 'ipc'],
      cwd: '/',
      execArgv: [],
    });
  } finally {
    closeSync(logFd);
  }
  const ended = new Promise<number>((resolve) => {
    child.once('exit', (code) => resolve(code ?? 1));
  });
  const answer = await firstAnswer(child, { ended, request });
  if ('error' in answer) throw unpackError(answer.error);
  return {
    ended,
    kill: (signal) => void child.kill(signal),
    letGo: () => {
      if (child.connected) child.disconnect();
      child.unref();
    },
  };
}

async function firstAnswer(
  child: ChildProcess,
  options: { ended: Promise<number>; request: MountRequest },
): Promise<MountAnswer> {
  const { ended, request } = options;
  const { log } = homePaths(request.home);
  const failed = (state: string): DfsError =>
    new DfsError('IO', `Cannot mount ${request.home}: ${state}; see ${log}`);
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => void child.kill('SIGTERM');
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    return await new Promise<MountAnswer>((resolve, reject) => {
      child.once('message', (message) => resolve(message as MountAnswer));
      child.once('error', (error) => reject(failed(messageOf(error))));
      // What it sent before it ended arrives first.
      void ended.then(() => setImmediate(() => reject(failed('its daemon has ended'))));
      timer = setTimeout(() => {
        stop();
        reject(
          new DfsError('TIMEOUT', `Cannot mount ${request.home}: it takes too long; see ${log}`),
        );
      }, START_MAX_MS);
    });
  } finally {
    clearTimeout(timer);
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}
