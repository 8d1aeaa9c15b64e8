import { closeSync, constants, openSync } from 'node:fs';
import { ioctlRaw, posix } from '../base/os/mod.ts';
import type { Backing } from '../vfs/mod.ts';

/** FUSE_DEV_IOC_BACKING_OPEN: struct fuse_backing_map { int fd; uint flags; ulong padding }. */
const BACKING_OPEN = 0x4010_e501;
/** FUSE_DEV_IOC_BACKING_CLOSE: the number. */
const BACKING_CLOSE = 0x4004_e502;

/**
 * Files that the kernel reads itself for opens answered with FOPEN_PASSTHROUGH (Linux 6.9). It lets
 * only CAP_SYS_ADMIN name some, and only on a file system that stands on no other one: who is
 * refused goes on without.
 */
export class BackingFiles implements Backing {
  readonly #fd: number;
  readonly #isNegotiated: () => boolean;
  #isRefused = false;
  readonly #map: Buffer = Buffer.alloc(16);
  readonly #id: Buffer = Buffer.alloc(4);

  constructor(fd: number, isNegotiated: () => boolean) {
    this.#fd = fd;
    this.#isNegotiated = isNegotiated;
  }

  /** Whether it is worth asking. */
  get isPossible(): boolean {
    return !this.#isRefused && this.#isNegotiated();
  }

  open(path: string): number | undefined {
    if (!this.isPossible) return undefined;
    // The kernel opens the file anew for each open of ours, so the path is all it needs of this.
    const file = openSync(path, posix.O_PATH | constants.O_RDONLY);
    try {
      this.#map.fill(0);
      this.#map.writeInt32LE(file, 0);
      const id = ioctlRaw(this.#fd, BACKING_OPEN, this.#map);
      if (id > 0) return id;
      this.#isRefused = true;
      return undefined;
    } finally {
      closeSync(file);
    }
  }

  close(id: number): void {
    this.#id.writeInt32LE(id, 0);
    ioctlRaw(this.#fd, BACKING_CLOSE, this.#id);
  }
}
