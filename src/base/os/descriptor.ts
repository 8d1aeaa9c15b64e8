import type { NegativeErrno } from '../errno.ts';
import { EAGAIN } from '../errno.ts';
import { F_GETFL, F_SETFL, F_SETOWN, LOCK_EX, LOCK_NB, POSIX_FADV_DONTNEED } from './constants.ts';
import { callAsync, callError, lastErrno, libc, retryInterrupted } from './libc.ts';

/**
 * read(2) into the start of `into`: the count of bytes or a negative errno. Never retries, never
 * throws.
 */
export function readRaw(fd: number, into: Buffer): number | NegativeErrno {
  const count = libc().read(fd, into, into.length);
  return count >= 0 ? count : -lastErrno();
}

/**
 * write(2) of the first `bytes` of `from`: the count of bytes or a negative errno. Never retries,
 * never throws.
 */
export function writeRaw(fd: number, from: Buffer, bytes: number): number | NegativeErrno {
  const count = libc().write(fd, from, bytes);
  return count >= 0 ? count : -lastErrno();
}

/** ioctl(2) with a buffer that the call may fill: its result or a negative errno. */
export function ioctlRaw(
  fd: number,
  request: number,
  argument: Buffer | null,
): number | NegativeErrno {
  return retryInterrupted(() => libc().ioctl(fd, request, argument));
}

/** The open file's status flags (F_GETFL). */
export function statusFlags(fd: number): number {
  const flags = retryInterrupted(() => libc().fcntl(fd, F_GETFL, 0));
  if (flags < 0) throw callError(`read the flags of descriptor ${fd}`, 'fcntl', -flags);
  return flags;
}

/** Sets the open file's status flags; every process that shares the open file sees them. */
export function setStatusFlags(fd: number, flags: number): void {
  const result = retryInterrupted(() => libc().fcntl(fd, F_SETFL, flags));
  if (result < 0) throw callError(`set the flags of descriptor ${fd}`, 'fcntl', -result);
}

/** Makes `pid` the process that gets SIGIO for the open file while O_ASYNC is set on it. */
export function setSignalOwner(fd: number, pid: number): void {
  const result = retryInterrupted(() => libc().fcntl(fd, F_SETOWN, pid));
  if (result < 0) throw callError(`own the signals of descriptor ${fd}`, 'fcntl', -result);
}

/**
 * Takes the exclusive lock of an open file: false when another open file holds it. Closing the file
 * drops it.
 */
export function lockExclusive(fd: number): boolean {
  const result = retryInterrupted(() => libc().flock(fd, LOCK_EX | LOCK_NB));
  if (result === -EAGAIN) return false;
  if (result < 0) throw callError(`lock descriptor ${fd}`, 'flock', -result);
  return true;
}

/**
 * Tells the kernel, on a worker thread, that nobody will soon read the bytes of a file in [offset,
 * offset + bytes): it begins to write those to the device that are not there, and forgets the others.
 * A hint, after which nothing is durable; what goes wrong, a later sync reports.
 */
export async function dontNeed(fd: number, offset: number, bytes: number): Promise<void> {
  await callAsync(libc().posix_fadvise, fd, offset, bytes, POSIX_FADV_DONTNEED);
}

/** Writes everything of the file system that holds `fd` to its device, on a worker thread. */
export async function syncFileSystem(fd: number): Promise<void> {
  const result = await callAsync(libc().syncfs, fd);
  if (result < 0) throw callError(`sync the file system of descriptor ${fd}`, 'syncfs', -result);
}
