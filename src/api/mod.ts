/**
 * The package's API: a volume in this process, without a mount, with the calls of node:fs/promises
 * and those that say how durable things are. The wiring is the daemon's; the caller takes the place
 * of the kernel.
 */
export { DfsError, type ErrorCode } from '../base/errors.ts';
export type { Log, LogLevel } from '../base/log.ts';
export type { Receipt, StatusReport } from '../node/mod.ts';
export type { StatFs } from './attribute-calls.ts';
export type { CommitReceipt } from './commits.ts';
export type { Content } from './content.ts';
export type { FileHandle } from './file-handle.ts';
export type { ReaddirOptions } from './name-calls.ts';
export { type OpenVolumeOptions, openVolume } from './open-volume.ts';
export type { Owner, Path } from './session.ts';
export type { Dirent, Stats } from './stats.ts';
export type { TimeLike } from './times.ts';
export type { FileOptions, Volume } from './volume.ts';
