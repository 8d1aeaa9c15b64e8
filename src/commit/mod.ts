/**
 * The commit: a crash-consistent cut of the whole volume, its dirty ranges cut into chunks and stored, and the epoch
 * published on the disks. It asks the cache for the bytes of the cut through an interface of its own.
 */
export type { CapturedRange, CutSource, FrozenFile } from './cut-source.ts';
