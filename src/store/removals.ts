import type { DiskId } from '../base/ids.ts';
import type { PieceKey } from '../chunk/mod.ts';
import type { DiskSet } from './disk-set.ts';
import type { PieceDisk } from './piece-disk.ts';
import type { PutGate } from './put-gate.ts';

// The one place that removes pieces.
//
// Invariants.
// 1. Nothing is removed while something is put: a put may take a piece that is there for its own.
// 2. Whether a piece is needed is asked when no put runs, right before it is removed. So whoever puts
//    pieces makes them needed first.

/** A piece to be removed from a disk, or from every disk that has it. */
export interface PieceToRemove extends PieceKey {
  readonly diskId?: DiskId;
}

/** Whether something refers to a piece. */
export type IsNeeded = (piece: PieceToRemove) => boolean;

/** Puts wait for so many at most. */
const REMOVED_AT_ONCE = 256;

/** What removals work on. */
export interface RemovalParts {
  readonly disks: DiskSet;
  readonly gate: PutGate;
  readonly isNeeded: IsNeeded;
  /** Finds out how full a disk is. */
  readonly measure: (disk: PieceDisk) => Promise<unknown>;
}

/** Removes the pieces that are not needed, from disks that can be asked; how many there were. */
export async function removePieces(
  parts: RemovalParts,
  pieces: Iterable<PieceToRemove>,
): Promise<number> {
  let removed = 0;
  let batch: PieceToRemove[] = [];
  const remove = async (): Promise<void> => {
    const some = batch;
    batch = [];
    removed += await parts.gate.alone(() => removeBatch(parts, some));
  };
  for (const piece of pieces) {
    batch.push(piece);
    if (batch.length === REMOVED_AT_ONCE) await remove();
  }
  if (batch.length > 0) await remove();
  return removed;
}

async function removeBatch(
  { disks, isNeeded, measure }: RemovalParts,
  pieces: readonly PieceToRemove[],
): Promise<number> {
  const unneeded = pieces.filter((piece) => !isNeeded(piece));
  const counts = disks.all().map(async ({ diskId }) => {
    const here = unneeded.filter((piece) => (piece.diskId ?? diskId) === diskId);
    const disk = disks.readable(diskId);
    if (disk === undefined || here.length === 0) return 0;
    const removed = await removeFrom(disks, disk, here);
    // Who waits for room tries again at once.
    if (removed > 0 && disks.isFull(diskId)) await measured(disks, disk, measure);
    return removed;
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

async function removeFrom(
  disks: DiskSet,
  disk: PieceDisk,
  pieces: readonly PieceKey[],
): Promise<number> {
  try {
    const removed = await disk.remove(pieces);
    if (removed > 0) disks.spaceFreed(disk);
    return removed;
  } catch (error) {
    disks.writeFailed(disk, error);
    return 0;
  }
}

async function measured(
  disks: DiskSet,
  disk: PieceDisk,
  measure: RemovalParts['measure'],
): Promise<void> {
  try {
    await measure(disk);
  } catch (error) {
    disks.failed(disk, error);
  }
}
