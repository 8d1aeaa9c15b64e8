import { closeSync, openSync } from 'node:fs';
import { POLLPRI } from './constants.ts';
import { findMount } from './mountinfo.ts';
import { PollWaiter } from './poll.ts';

/**
 * The options of one mount as they are now. `mount -o remount` tells the process that serves the
 * mount nothing; but the kernel's list of mounts can be asked whether it has changed, which takes a
 * microsecond (proc(5) on mountinfo).
 */
export class MountWatch {
  readonly #mountPoint: string;
  readonly #fd: number;
  readonly #waiter: PollWaiter;
  #options: readonly string[] = [];

  constructor(mountPoint: string) {
    this.#mountPoint = mountPoint;
    this.#fd = openSync('/proc/self/mountinfo', 'r');
    this.#waiter = new PollWaiter(this.#fd, POLLPRI);
    this.#read();
  }

  /** What stands in /proc/mounts; of a mount that is gone, what stood there last. */
  get options(): readonly string[] {
    if (this.#waiter.wait(0)) this.#read();
    return this.#options;
  }

  #read(): void {
    this.#options = findMount(this.#mountPoint)?.options ?? this.#options;
  }

  close(): void {
    closeSync(this.#fd);
  }
}
