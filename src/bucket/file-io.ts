import type { FileHandle } from 'node:fs/promises';
import { dontNeed, punchHole } from '../base/os/mod.ts';

/** The system calls on bucket files that change them; tests pass their own to let them fail. */
export interface BucketIo {
  /** Writes all of `buffers` at `offset`. */
  write(handle: FileHandle, buffers: Buffer[], offset: number): Promise<void>;
  /** fdatasync of a file. */
  sync(handle: FileHandle): Promise<void>;
  /** Hints that a range may go to the device and out of memory; see {@link dontNeed}. */
  dontNeed?(handle: FileHandle, offset: number, bytes: number): Promise<void>;
  /** Gives the range's blocks back; it reads as zeros. */
  punch(handle: FileHandle, offset: number, bytes: number): void;
}

/** The system's own. */
export const systemIo: BucketIo = {
  async write(handle, buffers, offset) {
    let rest = buffers;
    let at = offset;
    while (rest.length > 0) {
      const { bytesWritten } = await handle.writev(rest, at);
      at += bytesWritten;
      rest = dropBytes(rest, bytesWritten);
    }
  },
  sync: (handle) => handle.datasync(),
  dontNeed: (handle, offset, bytes) => dontNeed(handle.fd, offset, bytes),
  punch: (handle, offset, bytes) => punchHole(handle.fd, offset, bytes),
};

/** Reads up to `bytes` at `offset`; fewer only at the end of the file. */
export async function readAt(handle: FileHandle, offset: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(bytes);
  let filled = 0;
  while (filled < bytes) {
    const { bytesRead } = await handle.read(buffer, filled, bytes - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled === bytes ? buffer : buffer.subarray(0, filled);
}

function dropBytes(buffers: Buffer[], bytes: number): Buffer[] {
  let left = bytes;
  for (const [index, buffer] of buffers.entries()) {
    if (left < buffer.length) return [buffer.subarray(left), ...buffers.slice(index + 1)];
    left -= buffer.length;
  }
  return [];
}
