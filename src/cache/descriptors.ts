import { closeSync, constants, openSync } from 'node:fs';
import { LRUCache } from 'lru-cache';

const OPEN_MAX = 512;

/** Descriptors of cache files, opened when needed; the least recently used ones are closed. */
export class Descriptors {
  readonly #open = new LRUCache<string, number>({
    max: OPEN_MAX,
    dispose: (fd) => {
      closeSync(fd);
    },
  });

  /** The descriptor of `path`, or undefined when there is no such file. */
  existing(path: string): number | undefined {
    const known = this.#open.get(path);
    if (known !== undefined) return known;
    try {
      return this.#keep(path, openSync(path, constants.O_RDWR));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** The descriptor of `path`, which is made when missing. */
  created(path: string): { fd: number; isNew: boolean } {
    const known = this.existing(path);
    if (known !== undefined) return { fd: known, isNew: false };
    const flags = constants.O_RDWR | constants.O_CREAT;
    return { fd: this.#keep(path, openSync(path, flags, 0o600)), isNew: true };
  }

  /** `path` is about to name another file, or none. */
  forget(path: string): void {
    this.#open.delete(path);
  }

  close(): void {
    this.#open.clear();
  }

  #keep(path: string, fd: number): number {
    this.#open.set(path, fd);
    return fd;
  }
}
