import { ftruncate } from 'node:fs';
import { promisify } from 'node:util';
import { blockFloor } from '../base/blocks.ts';
import type { CachedFile, Fill } from './cached-file.ts';
import type { Descriptors } from './descriptors.ts';

const truncate = promisify(ftruncate);

/**
 * Cuts long ends off cache files on another thread: a device frees about 3 GB a second. Until then
 * nobody touches the end of the file (invariant 6 of file-cache.ts), and no cut is made: of the
 * dirty bytes that are going no epoch has one, nor a file that still is as long.
 */
export class Shrinker {
  readonly #descriptors: Descriptors;
  readonly #running = new Set<Promise<void>>();

  constructor(descriptors: Descriptors) {
    this.#descriptors = descriptors;
  }

  /** Resolves when one that runs has ended; undefined when none does. */
  get running(): Promise<void> | undefined {
    const [first] = this.#running;
    return first;
  }

  /** Makes the cache file `size` bytes long; if that fails, who asks again finds out. */
  shrink(file: CachedFile, fd: number, size: number): Promise<void> {
    const fill: Fill = {
      start: blockFloor(size),
      end: Number.MAX_SAFE_INTEGER,
      done: Promise.resolve(),
    };
    fill.done = this.#descriptors
      .hold(fd, (held) => truncate(held, size))
      .catch(() => undefined)
      .finally(() => {
        file.fills.splice(file.fills.indexOf(fill), 1);
        this.#running.delete(fill.done);
      });
    file.fills.push(fill);
    this.#running.add(fill.done);
    return fill.done;
  }
}
