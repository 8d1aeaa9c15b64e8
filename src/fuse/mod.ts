/**
 * The Linux FUSE protocol and nothing else: mounts a device, reads requests from it, hands them to
 * a file system behind the Vfs interface, and answers. A supervisor keeps the mount alive when the
 * serving process dies.
 */
export type { OperationCount } from './counters.ts';
export type { LoopEnd } from './device-loop.ts';
export type { FuseServerOptions } from './fuse-server.ts';
export { FuseServer } from './fuse-server.ts';
export type { MountOptions } from './mount-device.ts';
export {
  MOUNT_TYPE,
  mountDevice,
  mountFuse,
  openDevice,
  unmount,
  unmountOwn,
} from './mount-device.ts';
export type { MountFlags } from './mount-options.ts';
export { parseMountOptions } from './mount-options.ts';
export type { Notifier } from './notifier.ts';
export type { NegotiatedInit } from './session.ts';
export type { SupervisorOptions } from './supervisor.ts';
export { runSupervisor } from './supervisor.ts';
export type { CacheSeconds } from './wire.ts';
