import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { ChunkId, DiskId } from '../../src/base/ids.ts';
import { silentLog } from '../../src/base/log.ts';
import { BucketDisk } from '../../src/bucket/mod.ts';
import { hashChunk, type Scheme } from '../../src/chunk/mod.ts';
import { createPlacer, type DiskEntry, type Placer } from '../../src/diskmap/mod.ts';
import { ChunkStore, type PieceDisk } from '../../src/store/mod.ts';
import { temporaryFolder, VOLUME_TAG } from '../bucket/fixture.ts';

/** A map of `count` equal disks of one machine, with ids from 1. */
export function placerOf(count: number): Placer {
  const disks = Array.from({ length: count }, (_, at): DiskEntry => {
    const uuid = `00000000-0000-4000-8000-${String(at + 1).padStart(12, '0')}`;
    const place = { room: 1, row: 1, rack: 1, machine: 1, disk: at + 1 };
    return { id: (at + 1) as DiskId, uuid, ...place, weight: 8, state: 'in', label: '' };
  });
  const volumeUuid = '00000000-0000-4000-8000-00000000abcd';
  return createPlacer({ version: 1, volumeUuid, scheme: 'auto', bucketBytes: 2 ** 30, disks });
}

/** A store that the end of the test closes. */
export function storeOf(
  disks: readonly (PieceDisk | undefined)[],
  mapped = disks.length,
  now?: () => number,
): ChunkStore {
  const byId = new Map(disks.map((disk, at) => [(at + 1) as DiskId, disk]));
  const clock = now === undefined ? {} : { now };
  const store = new ChunkStore({
    placer: placerOf(mapped),
    disks: byId,
    log: silentLog,
    ...clock,
  });
  onTestFinished(() => store.close());
  return store;
}

/** `count` folders for disks. */
export async function diskFolders(count: number): Promise<string[]> {
  const root = await temporaryFolder();
  return Array.from({ length: count }, (_, at) => join(root, `disk-${at + 1}`, 'dfs'));
}

/** Opens the disks in folders; ids from 1. */
export function openDisks(folders: readonly string[]): Promise<BucketDisk[]> {
  return Promise.all(
    folders.map((folder, at) =>
      BucketDisk.open({ folder, volumeTag: VOLUME_TAG, diskId: (at + 1) as DiskId, create: true }),
    ),
  );
}

/** A chunk whose content follows from `seed`. */
export function chunkOf(
  seed: number,
  chunkBytes: number,
  scheme: Scheme,
): { id: ChunkId; content: Buffer; scheme: Scheme; chunkBytes: number } {
  const content = Buffer.alloc(chunkBytes, `${seed} is the seed of this chunk. `);
  return { id: hashChunk(content), content, scheme, chunkBytes };
}
