import koffi from 'koffi';
import type { NegativeErrno } from '../errno.ts';
import { EINVAL, ENOSYS, EOPNOTSUPP } from '../errno.ts';
import { RWF_NOWAIT } from './constants.ts';
import { lastErrno, libc } from './libc.ts';

/**
 * Reads of files that never wait for a device: preadv2 with RWF_NOWAIT. Keeps its own memory, so
 * that a read allocates little.
 */
export class ResidentReader {
  /** struct iovec. */
  readonly #vector: Buffer = Buffer.alloc(16);
  readonly #preadv2 = libc().preadv2;
  #isSupported = true;

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
    this.#vector.writeBigUInt64LE(koffi.address(into), 0);
    this.#vector.writeBigUInt64LE(BigInt(into.length), 8);
    const count = this.#preadv2(fd, this.#vector, 1, offset, RWF_NOWAIT);
    if (count >= 0) return count;
    const errno = lastErrno();
    if (errno === EOPNOTSUPP || errno === ENOSYS || errno === EINVAL) this.#isSupported = false;
    return -errno;
  }
}
