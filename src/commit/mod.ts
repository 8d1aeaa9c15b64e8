/**
 * The commit: a crash-consistent cut of the whole volume, its dirty ranges cut into chunks and
 * stored, and the epoch published on the disks. It asks the cache for the bytes of the cut through
 * an interface of its own. The committed side of the volume, with its disks, lives here as well.
 */

export type { ReadRange } from './capture-reader.ts';
export type { CommitBackend, EpochCut, SmallCommit } from './commit-backend.ts';
export type { CommitProgress } from './commit-progress.ts';
export type { CommitStatus, CommitTotals } from './committer.ts';
export { Committer } from './committer.ts';
export type { CapturedRange, CutSource, FrozenFile } from './cut-source.ts';
export { readIdentityOf, readMapOf } from './disk-notes.ts';
export { piecesOn, type Remains } from './disk-watch.ts';
export type { LeftOutEpoch } from './epoch-logs.ts';
export { epochFolder } from './epoch-pins.ts';
export type { FetchOrder } from './fetch-order.ts';
export type { GarbageFigures } from './garbage-count.ts';
export type { ChunkChanges } from './maintenance.ts';
export type { RehearsalProgress, RehearsalReport } from './rehearsal.ts';
export { rehearse } from './rehearsal.ts';
export { type RetainedEpochs, retainedEpochs } from './retained-snapshots.ts';
export type { DeadlineFigures } from './schedule.ts';
export type { Segment } from './segments.ts';
export { Volume } from './volume.ts';
export type { VolumeDisk } from './volume-disk.ts';
export { diskPaths, openReadOnlyLog } from './volume-disk.ts';
export { countingMap } from './volume-map.ts';
export type { VolumeHead } from './volume-options.ts';
