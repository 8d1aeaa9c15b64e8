import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';

import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { unmount } from './mount-device.ts';

export interface SupervisorOptions {
  /** /dev/fuse, mounted; the daemon gets it as descriptor 3. */
  fd: number;
  mountPoint: string;
  command: string;
  args: string[];
  env?: NodeJS.ProcessEnv;
  /** Further descriptors of the daemon, from 4 on. */
  extraFds?: number[];
  log: Log;
  /** Called each time a daemon says that it serves; `start` counts from 1. */
  onReady?: (start: number) => void;
  /** Daemons in a row that may end before they are ready. Default 5. */
  attempts?: number;
}

/** What a daemon sends over its IPC channel when it serves. */
export const READY_MESSAGE = 'ready';
/** A daemon that served for so long was healthy: the next one starts at once. */
const HEALTHY_MS = 10_000;
const BACKOFF_FIRST_MS = 50;
const BACKOFF_MAX_MS = 1000;
/**
 * Daemons in a row that may end soon after they were ready: a request that kills its server would
 * go on for ever.
 */
const SHORT_LIVES_MAX = 100;
const ATTEMPTS = 5;

interface Life {
  code: number | null;
  signal: NodeJS.Signals | null;
  wasReady: boolean;
  healthy: boolean;
}

/**
 * Keeps /dev/fuse open and a daemon serving it. A daemon that dies, by kill -9 too, is replaced;
 * the kernel then sends what it had not answered again, so programs see a pause. Resolves to the
 * exit status for the supervising process: 0 after the daemon ended with 0, 1 after it gave up,
 * when the mount has been detached.
 *
 * SIGTERM and SIGINT go to the daemon, which is then not replaced. If this process dies itself, by
 * kill -9, the daemon sees its IPC channel disconnect and goes on serving: it has the descriptor
 * too. Only the safety net is gone.
 */
export function runSupervisor(options: SupervisorOptions): Promise<number> {
  return new Supervisor(options).run();
}

class Supervisor {
  readonly #options: SupervisorOptions;
  #child: ChildProcess | undefined;
  #stopping = false;
  #wakeFromBackoff: (() => void) | undefined;
  #starts = 0;
  #unready = 0;
  #shortLives = 0;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  async run(): Promise<number> {
    const onTerm = (): void => this.#stop('SIGTERM');
    const onInt = (): void => this.#stop('SIGINT');
    process.on('SIGTERM', onTerm);
    process.on('SIGINT', onInt);
    try {
      return await this.#superviseUntilEnd();
    } finally {
      process.off('SIGTERM', onTerm);
      process.off('SIGINT', onInt);
    }
  }

  async #superviseUntilEnd(): Promise<number> {
    const { log } = this.#options;
    for (;;) {
      const life = await this.#live();
      if (life.code === 0) return 0;
      const { code, signal, wasReady } = life;
      log('error', 'supervisor.daemon-died', { code, signal, wasReady, start: this.#starts });
      const reason = this.#reasonToGiveUp(life);
      if (reason !== undefined) return this.#giveUp(reason);
      await this.#backOff();
    }
  }

  /** Starts a daemon and resolves when it has ended. */
  #live(): Promise<Life> {
    const { fd, extraFds = [], command, args, env, onReady, log } = this.#options;
    this.#starts++;
    return new Promise((resolve) => {
      let readyAt: number | undefined;
      const end = (code: number | null, signal: NodeJS.Signals | null): void => {
        this.#child = undefined;
        const healthy = readyAt !== undefined && performance.now() - readyAt >= HEALTHY_MS;
        resolve({ code, signal, wasReady: readyAt !== undefined, healthy });
      };
      const child = spawn(command, args, {
        stdio: ['ignore', 'inherit', 'inherit', fd, ...extraFds, 'ipc'],
        ...(env === undefined ? {} : { env }),
      });
      this.#child = child;
      child.on('message', (message) => {
        if (message !== READY_MESSAGE || readyAt !== undefined) return;
        readyAt = performance.now();
        this.#unready = 0;
        onReady?.(this.#starts);
      });
      child.on('error', (error) => {
        log('error', 'supervisor.start-failed', { command, message: messageOf(error) });
        // A process that never was has no exit.
        if (child.pid === undefined) end(1, null);
      });
      child.on('exit', end);
    });
  }

  #reasonToGiveUp(life: Life): string | undefined {
    if (this.#stopping) return 'the daemon did not end cleanly when it was told to stop';
    // SIGKILL comes from outside, so it says nothing about the next daemon.
    const excused = life.healthy || life.signal === 'SIGKILL';
    this.#shortLives = excused ? 0 : this.#shortLives + 1;
    if (life.wasReady) {
      return this.#shortLives < SHORT_LIVES_MAX
        ? undefined
        : `the daemon died ${SHORT_LIVES_MAX} times in a row`;
    }
    this.#unready++;
    // What keeps the very first daemon from starting is said by its exit status, and does not go
    // away by itself.
    if (this.#starts === 1 && life.code !== null) return 'the daemon could not start';
    const attempts = this.#options.attempts ?? ATTEMPTS;
    return this.#unready < attempts
      ? undefined
      : `the daemon failed to start ${attempts} times in a row`;
  }

  #giveUp(reason: string): number {
    const { mountPoint, log } = this.#options;
    log('error', 'supervisor.gave-up', { reason, mountPoint });
    try {
      unmount(mountPoint, { lazy: true });
    } catch (error) {
      log('error', 'supervisor.unmount-failed', { mountPoint, message: messageOf(error) });
    }
    return 1;
  }

  /** The first replacement starts at once; while daemons die young the pauses double. */
  #backOff(): Promise<void> {
    const failures = Math.max(this.#unready, this.#shortLives);
    if (failures <= 1) return Promise.resolve();
    const pauseMs = Math.min(BACKOFF_FIRST_MS * 2 ** (failures - 2), BACKOFF_MAX_MS);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, pauseMs);
      this.#wakeFromBackoff = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #stop(signal: NodeJS.Signals): void {
    this.#stopping = true;
    this.#child?.kill(signal);
    this.#wakeFromBackoff?.();
  }
}
