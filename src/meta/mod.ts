/**
 * Metadata: a deterministic state machine on SQLite that changes only through operations, its
 * journal of what is not committed yet, and the log and snapshots of it on every disk, from which
 * all of it can be built anew.
 */
export type { ChunkRow, DeadChunk } from './chunk-table.ts';
export type { Head } from './committed.ts';
export { CommittedMeta, operationsOf } from './committed.ts';
export { StateReader } from './compare-states.ts';
export { openDatabase } from './database.ts';
export type { DiskIdentity } from './disk-identity-format.ts';
export { decodeDiskIdentity, readDiskIdentity } from './disk-identity-reader.ts';
export { encodeDiskIdentity, writeDiskIdentity } from './disk-identity-writer.ts';
export { DiskLog } from './disk-log.ts';
export type { LogDamage } from './disk-log-walk.ts';
export { entryBatches } from './entry-batches.ts';
export type { EpochRecordHeader } from './epoch-record-format.ts';
export { decodeEpochRecordHeader } from './epoch-record-reader.ts';
export { encodeEpochRecord } from './epoch-record-writer.ts';
export type { Erased } from './erased.ts';
export type { Extent } from './extent-table.ts';
export { INLINE_SCHEME } from './inline-chunks.ts';
export type { Inode } from './inode.ts';
export {
  blocksOf,
  folderOf,
  isFolder,
  isRegular,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_ISGID,
  S_ISUID,
} from './inode.ts';
export { CAPABILITY_XATTR } from './journal-index.ts';
export { journalBytes } from './journal-rows.ts';
export type { OpRequest } from './live.ts';
export { LiveMeta } from './live.ts';
export type { AttrPatch, ExtentRange, FileExtents, MetaOp, Time } from './ops.ts';
export { encodeOp } from './ops-codec.ts';
export { listSnapshots, removeSnapshots } from './snapshot-files.ts';
export { readSnapshot, readSnapshotHeader } from './snapshot-reader.ts';
export { packSnapshot, publishSnapshot, writeSnapshot } from './snapshot-writer.ts';
