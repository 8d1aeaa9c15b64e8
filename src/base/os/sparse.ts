import { ENXIO } from '../errno.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, SEEK_DATA, SEEK_HOLE } from './constants.ts';
import { callError, libc, retryInterrupted } from './libc.ts';

/** Frees the bytes of a file from `offset` on and makes them read as zeros; its size stays. */
export function punchHole(fd: number, offset: number, bytes: number): void {
  const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  const result = retryInterrupted(() => libc().fallocate(fd, mode, offset, bytes));
  if (result < 0)
    throw callError(`punch a hole of ${bytes} bytes at ${offset}`, 'fallocate', -result);
}

/** Reserves bytes of a file from `offset` on, growing it when needed. */
export function allocate(fd: number, offset: number, bytes: number): void {
  const result = retryInterrupted(() => libc().fallocate(fd, 0, offset, bytes));
  if (result < 0) throw callError(`allocate ${bytes} bytes at ${offset}`, 'fallocate', -result);
}

/**
 * Where the first data at or behind `offset` starts, or -1 when there is none. Moves the file
 * position.
 */
export function seekData(fd: number, offset: number): number {
  return seek(fd, offset, SEEK_DATA);
}

/**
 * Where the first hole at or behind `offset` starts (the end counts as one), or -1 when `offset` is
 * behind the end.
 */
export function seekHole(fd: number, offset: number): number {
  return seek(fd, offset, SEEK_HOLE);
}

function seek(fd: number, offset: number, whence: number): number {
  const result = retryInterrupted(() => libc().lseek(fd, offset, whence));
  if (result === -ENXIO) return -1;
  if (result < 0) throw callError(`seek to ${offset}`, 'lseek', -result);
  return result;
}
