/**
 * What Node does not offer of Linux, and the only code that calls the C library: mounting, waiting
 * for a descriptor, being handed one, raw reads and writes, reads that do not wait, ioctl, holes in
 * files, locks, leases, extended attributes, syncing a file system, and the list of mounts.
 */
import * as posix from './constants.ts';

export { holdCpuLatency, releaseCpuLatency } from './cpu-latency.ts';
export { CpuWait } from './cpu-wait.ts';
export {
  dontNeed,
  ioctlRaw,
  lockExclusive,
  readRaw,
  setSignalOwner,
  setStatusFlags,
  statusFlags,
  syncFileSystem,
  writeRaw,
} from './descriptor.ts';
export { hasOtherOpens, hasWriters } from './lease.ts';
export { errnoName } from './libc.ts';
export type { MountRequest } from './mount.ts';
export { mountFileSystem, unmountFileSystem, unmountFileSystemAsync } from './mount.ts';
export { MountWatch } from './mount-watch.ts';
export type { MountEntry } from './mountinfo.ts';
export { findMount, parseMountinfo, readMountinfo } from './mountinfo.ts';
export { receiveDescriptor, socketPair } from './passed-descriptor.ts';
export { PollWaiter } from './poll.ts';
export { ResidentReader } from './resident-read.ts';
export { allocate, punchHole, seekData, seekHole } from './sparse.ts';
export { getXattr, removeXattr, setXattr } from './xattr.ts';
export { posix };
