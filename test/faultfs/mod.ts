/**
 * The rig: a file system on our own driver that stands under the disks, the cache and the metadata
 * of a volume, fails as it is told, and can tell what a power cut at any operation of its past
 * would have left.
 */
export type { CrashStateOptions } from './client.ts';
export { FaultFs } from './client.ts';
export type { CutPolicy, NameModel } from './cut.ts';
export type { FaultKind, FaultOperation, FaultRule } from './faults.ts';
export type { LoggedOperation, Mark } from './operation-log.ts';
