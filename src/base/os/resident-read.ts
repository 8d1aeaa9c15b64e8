import koffi from 'koffi';
import type { NegativeErrno } from '../errno.ts';
import { EINVAL, ENOSYS, EOPNOTSUPP } from '../errno.ts';
import { RWF_NOWAIT } from './constants.ts';
import { lastErrno, libc } from './libc.ts';

const TWO_32 = 0x1_0000_0000;

/**
 * Reads of files that never wait for a device: preadv2 with RWF_NOWAIT. Keeps its own memory, so
 * that a read allocates little.
 */
export class ResidentReader {
  /** struct iovec. */
  readonly #vector: Buffer = Buffer.alloc(16);
  readonly #preadv2 = libc().preadv2;
  #isSupported = true;
  /** The memory read into last, and where it is: to ask takes as long as to read. */
  #memory: ArrayBufferLike | undefined;
  #address = 0;

  /** False when a file system was met that cannot tell: then the caller reads as it likes. */
  get isSupported(): boolean {
    return this.#isSupported;
  }

  /**
   * Reads into `into` what the kernel has in memory of the file from `offset` on: the count of bytes,
   * which may be too small for other reasons, too, or a negative errno (-EAGAIN: nothing of it). The
   * kernel has then begun to read the rest.
   */
  read(fd: number, into: Buffer, offset: number): number | NegativeErrno {
    if (into.buffer !== this.#memory) {
      this.#memory = into.buffer;
      this.#address = Number(koffi.address(Buffer.from(into.buffer)));
    }
    const address = this.#address + into.byteOffset;
    this.#vector.writeUInt32LE(address % TWO_32, 0);
    this.#vector.writeUInt32LE(Math.floor(address / TWO_32), 4);
    this.#vector.writeUInt32LE(into.length, 8);
    const count = this.#preadv2(fd, this.#vector, 1, offset, RWF_NOWAIT);
    if (count >= 0) return count;
    const errno = lastErrno();
    if (errno === EOPNOTSUPP || errno === ENOSYS || errno === EINVAL) this.#isSupported = false;
    return -errno;
  }
}
