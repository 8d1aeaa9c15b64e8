/**
 * One disk: pieces in append-only bucket files that describe and verify themselves, and an index
 * in SQLite that only caches what the files say. A disk knows nothing of other disks; which pieces
 * it holds is decided above.
 */

export type { BucketDiskOptions } from './bucket-disk.ts';
export { BucketDisk } from './bucket-disk.ts';
export { BUCKET_MAX, recordBytes, VOLUME_TAG_BYTES } from './bucket-format.ts';
export type { ListedRow } from './bucket-index.ts';
export type { BucketDamage } from './bucket-recovery.ts';
export type { BucketIo } from './file-io.ts';
export { systemIo } from './file-io.ts';
export type { BucketPiece } from './piece-writes.ts';
export type { StoredPiece } from './read-record.ts';
export {
  type ListedSlot,
  readLooseSlot,
  type SlotAnswer,
  SlotFiles,
  type SlotFilesOptions,
} from './slot-files.ts';
export {
  compareBallots,
  NO_BALLOT,
  SLOT_PATH_BYTES_MAX,
  type SlotBallot,
  type SlotCopy,
  type SlotState,
  type SlotVersion,
} from './slot-format.ts';
export { slotFileName } from './slot-writer.ts';
export type { DiskUsage, PieceTotals } from './usage.ts';
export type { PieceCheck } from './verify-pieces.ts';
