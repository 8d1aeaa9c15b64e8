import koffi from 'koffi';

import type { NegativeErrno } from '../errno.ts';
import { EINTR } from '../errno.ts';
import { DfsError } from '../errors.ts';
import { messageHeader } from './message-header.ts';

type Sync = (...args: never[]) => number;
interface AsyncCallable {
  async(...args: unknown[]): void;
}

/**
 * The calls of the C library that Node does not offer. Each returns -1 and sets errno when it
 * fails.
 */
export interface Libc {
  mount: (
    source: string,
    target: string,
    type: string,
    flags: number,
    data: string | null,
  ) => number;
  umount2: ((target: string, flags: number) => number) & AsyncCallable;
  ppoll: (set: Buffer, count: number, timeout: Buffer | null, mask: null) => number;
  poll: ((set: Buffer, count: number, timeoutMs: number) => number) & AsyncCallable;
  read: (fd: number, into: Buffer, bytes: number) => number;
  write: (fd: number, from: Buffer, bytes: number) => number;
  preadv2: (fd: number, vectors: Buffer, count: number, offset: number, flags: number) => number;
  ioctl: (fd: number, request: number, argument: Buffer | null) => number;
  fcntl: (fd: number, command: number, argument: number) => number;
  fallocate: (fd: number, mode: number, offset: number, bytes: number) => number;
  lseek: (fd: number, offset: number, whence: number) => number;
  flock: (fd: number, operation: number) => number;
  syncfs: ((fd: number) => number) & AsyncCallable;
  posix_fadvise: ((fd: number, offset: number, bytes: number, advice: number) => number) &
    AsyncCallable;
  getxattr: (path: string, name: string, into: Buffer, bytes: number) => number;
  setxattr: ((path: string, name: string, value: Buffer, bytes: number, flags: number) => number) &
    AsyncCallable;
  removexattr: (path: string, name: string) => number;
  socketpair: (domain: number, type: number, protocol: number, pair: Buffer) => number;
  /** `message` as messageHeader() has it. */
  recvmsg: (fd: number, message: object, flags: number) => number;
}

let bound: Libc | undefined;

/**
 * The C library of this process, loaded on first use. Off_t is 64 bits wide in every declaration.
 */
export function libc(): Libc {
  bound ??= bind();
  return bound;
}

function bind(): Libc {
  const library = koffi.load('libc.so.6');
  const declare = <F extends Sync>(prototype: string): F => library.func(prototype) as unknown as F;
  const message = koffi.pointer(messageHeader());
  return {
    mount: declare('int mount(const char*, const char*, const char*, unsigned long, const char*)'),
    umount2: declare('int umount2(const char*, int)'),
    ppoll: declare('int ppoll(void*, unsigned long, void*, void*)'),
    poll: declare('int poll(void*, unsigned long, int)'),
    read: declare('intptr_t read(int, void*, size_t)'),
    write: declare('intptr_t write(int, void*, size_t)'),
    preadv2: declare('intptr_t preadv2(int, void*, int, int64_t, int)'),
    ioctl: declare('int ioctl(int, unsigned long, void*)'),
    fcntl: declare('int fcntl(int, int, long)'),
    fallocate: declare('int fallocate64(int, int, int64_t, int64_t)'),
    lseek: declare('int64_t lseek64(int, int64_t, int)'),
    flock: declare('int flock(int, int)'),
    syncfs: declare('int syncfs(int)'),
    posix_fadvise: declare('int posix_fadvise64(int, int64_t, int64_t, int)'),
    getxattr: declare('intptr_t getxattr(const char*, const char*, void*, size_t)'),
    setxattr: declare('int setxattr(const char*, const char*, void*, size_t, int)'),
    removexattr: declare('int removexattr(const char*, const char*)'),
    socketpair: declare('int socketpair(int, int, int, void*)'),
    recvmsg: library.func('recvmsg', 'intptr_t', ['int', message, 'int']),
  };
}

/** The errno of this thread's last failed call; ask for it before any other call. */
export function lastErrno(): number {
  return koffi.errno();
}

/** The name of an errno as errno.h has it, or its number. */
export function errnoName(errno: number): string {
  for (const [name, value] of Object.entries(koffi.os.errno)) if (value === errno) return name;
  return `errno ${errno}`;
}

/** The error for a failed call: IO, with the call named and details.errno. */
export function callError(action: string, call: string, errno: number): DfsError {
  return new DfsError('IO', `Cannot ${action}: ${call} failed with ${errnoName(errno)}`, {
    details: { call, errno },
  });
}

/** Runs `call` until a signal no longer interrupts it: its result, or the negative errno. */
export function retryInterrupted(call: () => number): number | NegativeErrno {
  for (;;) {
    const result = call();
    if (result >= 0) return result;
    const errno = lastErrno();
    if (errno !== EINTR) return -errno;
  }
}

/** Runs `call` on a worker thread: its result, or the negative errno. */
export function callAsync(
  call: AsyncCallable,
  ...args: unknown[]
): Promise<number | NegativeErrno> {
  return new Promise((resolve, reject) => {
    call.async(...args, (error: Error | null, result: number) => {
      // koffi carries the worker's errno over to this callback.
      if (error !== null) reject(error);
      else resolve(result < 0 ? -lastErrno() : result);
    });
  });
}
