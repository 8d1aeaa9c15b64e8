import type { DiskId } from '../base/ids.ts';
import { DISK_FULL_SHARE, DISK_NEARLY_FULL_SHARE, MIB } from '../base/limits.ts';
import type { DiskMap } from '../diskmap/mod.ts';
import type { DiskSpace, PieceUsage } from './piece-disk.ts';

/** What the map says that a disk holds. */
export interface DiskLimit {
  readonly weight: number;
  readonly bucketBytes: number;
}

/** How much of what a disk may take it has. */
export interface DiskFill {
  /** 1 is full: of the share of its file system that may be used, or of what the map gives it. */
  readonly share: number;
  /** From here it is little, and time to do something. */
  readonly isNearlyFull: boolean;
  /** Why it is full, or will be, for people. */
  readonly reason: string;
  /** What its file system may still take, from whomever. */
  readonly fileSystemLeftBytes: number;
  /** What it may still take by the map. */
  readonly limitLeftBytes: number;
}

/** Of all disks of a map. */
export function diskLimits({ disks, bucketBytes }: DiskMap): Map<DiskId, DiskLimit> {
  return new Map(disks.map(({ id, weight }) => [id, { weight, bucketBytes }]));
}

/**
 * How full a disk is. By its file system, which has to keep room for metadata; and by its weight, if
 * that is less than what its size gives: then it has been given a part of the disk only.
 */
export function fillOf(disk: {
  usage: PieceUsage;
  space: DiskSpace;
  limit: DiskLimit | undefined;
}): DiskFill {
  const { usage, space, limit } = disk;
  const { totalBytes, freeBytes } = space;
  const takenShare = totalBytes > 0 ? (totalBytes - freeBytes) / totalBytes : 1;
  const limitBytes = limitOf(limit, totalBytes);
  const bySystem = takenShare / DISK_FULL_SHARE;
  const byLimit = usage.bytes / limitBytes;
  const share = Math.max(bySystem, byLimit);
  const percent = Math.floor(takenShare * 100);
  const mayPercent = Math.round(DISK_FULL_SHARE * 100);
  const size = Math.floor(limitBytes / MIB);
  return {
    share,
    isNearlyFull: share >= DISK_NEARLY_FULL_SHARE / DISK_FULL_SHARE,
    reason:
      bySystem >= byLimit
        ? `its file system is ${percent}% full, pieces are taken up to ${mayPercent}%`
        : `its pieces take ${Math.floor(usage.bytes / MIB)} MiB, by its weight it holds ${size}`,
    fileSystemLeftBytes: Math.max(0, freeBytes - totalBytes * (1 - DISK_FULL_SHARE)),
    limitLeftBytes: Math.max(0, limitBytes - usage.bytes),
  };
}

/** A weight that its size gives is rounded, and does not limit it. */
function limitOf(limit: DiskLimit | undefined, totalBytes: number): number {
  if (limit === undefined) return Number.POSITIVE_INFINITY;
  const { weight, bucketBytes } = limit;
  const isPart = totalBytes >= (weight + 2) * bucketBytes;
  return isPart ? weight * bucketBytes : Number.POSITIVE_INFINITY;
}
