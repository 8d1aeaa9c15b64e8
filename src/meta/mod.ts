/**
 * Metadata: a deterministic state machine on SQLite that changes only through operations, its journal of what is not
 * committed yet, and the log and snapshots of it on every disk, from which all of it can be built anew.
 */
export type { Extent } from './extent-table.ts';
export type { Inode } from './inode.ts';
export {
  blocksOf,
  isFolder,
  isRegular,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_ISGID,
  S_ISUID,
} from './inode.ts';
export type { FileExtents, OpRequest } from './live.ts';
export { LiveMeta } from './live.ts';
export type { AttrPatch, ExtentRange, MetaOp, Time } from './ops.ts';
