import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { DiskId } from '../../src/base/ids.ts';
import { BucketDisk, type BucketDiskOptions, type BucketPiece } from '../../src/bucket/mod.ts';
import { hashChunk, type Scheme } from '../../src/chunk/mod.ts';

export const VOLUME_TAG: Buffer = Buffer.from('0102030405060708', 'hex');
export const DISK_ID: DiskId = 3 as DiskId;

/** An empty folder that the end of the test removes. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dfs-bucket-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A disk in `folder` that the end of the test closes. */
export async function openDisk(
  folder: string,
  options: Partial<BucketDiskOptions> = {},
): Promise<BucketDisk> {
  const defaults = { folder, volumeTag: VOLUME_TAG, diskId: DISK_ID, create: true };
  const disk = await BucketDisk.open({ ...defaults, ...options });
  onTestFinished(() => disk.close());
  return disk;
}

/** A replica of a chunk whose content follows from `seed`. */
export function replica(seed: number, bytes: number, bucket = 1): BucketPiece {
  const payload = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at++) payload[at] = (seed * 31 + at * 7 + (at >> 8)) & 0xff;
  payload.writeUInt32LE(seed, 0);
  const scheme: Scheme = { kind: 'replica', copies: 2 };
  const chunkId = hashChunk(payload);
  return { bucket, chunkId, pieceIndex: 0, scheme, chunkBytes: bytes, payload };
}

/** Path of a bucket file. */
export function bucketPath(folder: string, bucket = 1): string {
  return join(folder, 'buckets', String(bucket).padStart(5, '0'));
}

/** Removes the index, so that the next open has only the bucket files. */
export async function removeIndex(folder: string): Promise<void> {
  for (const suffix of ['', '-wal'])
    await rm(join(folder, `index.sqlite${suffix}`), { force: true });
}
