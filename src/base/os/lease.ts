import { F_RDLCK, F_SETLEASE, F_SETSIG, F_UNLCK, F_WRLCK, SIGURG } from './constants.ts';
import { libc } from './libc.ts';

/**
 * Whether anything but `fd` has its file open or mapped, in any process: the kernel grants a write
 * lease only to who is alone with a file. Also true where it cannot tell: a file system without
 * leases, a file of somebody else. O_PATH descriptors do not count.
 */
export function hasOtherOpens(fd: number): boolean {
  return !isGranted(fd, F_WRLCK);
}

/** As {@link hasOtherOpens}, only for writing; `fd` itself must be open for reading only. */
export function hasWriters(fd: number): boolean {
  return !isGranted(fd, F_RDLCK);
}

/** Takes a lease and gives it back at once. */
function isGranted(fd: number, lease: number): boolean {
  const { fcntl } = libc();
  // Who opens the file in between waits for the end of the lease, and we get a signal: by default
  // SIGIO, which ends a process that does not handle it.
  fcntl(fd, F_SETSIG, SIGURG);
  if (fcntl(fd, F_SETLEASE, lease) < 0) return false;
  fcntl(fd, F_SETLEASE, F_UNLCK);
  return true;
}
