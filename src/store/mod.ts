/**
 * Chunks over several disks: scatters the pieces of a chunk to where the map says, gathers them
 * from wherever they are, and knows which disks can be used. It sees disks through one small
 * interface, so that a disk may be a folder here or a machine elsewhere.
 */
export type { DiskHealth } from './chunk-store.ts';
export { ChunkStore, type ChunkStoreOptions } from './chunk-store.ts';
export { withDeadline } from './deadline-disk.ts';
export { type DiskFill, type DiskLimit, diskLimits } from './disk-fill.ts';
export type { DiskStatus } from './disk-set.ts';
export type { ChunkToRead, PieceHealth, ReadCounters, TroubledPiece } from './gather.ts';
export type { ChunkReport, PieceReport } from './inspect.ts';
export type {
  DiskSpace,
  ListedPiece,
  PieceCheck,
  PieceDisk,
  PieceRead,
  PieceToStore,
  PieceUsage,
} from './piece-disk.ts';
export { PutSession } from './put-session.ts';
export type { IsNeeded, PieceToRemove } from './removals.ts';
export type { ChunkToStore } from './scatter.ts';
export { type HasSlots, type SlotDisk, type SlotProposal, slotsWithDeadline } from './slot-disk.ts';
export type { SlotMoves } from './slot-rebalance.ts';
export {
  type Slot,
  type SlotEntry,
  type SlotOutcome,
  Slots,
  type SlotsOptions,
} from './slots.ts';
