import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { onTestFinished } from 'vitest';
import { slotFileName } from '../../src/bucket/mod.ts';
import type { openDiskThread } from '../../src/node/disk-thread.ts';
import { DISK_ID, temporaryFolder, VOLUME_TAG } from '../bucket/fixture.ts';
import { slotDiskContract } from '../store/slot-disk-contract.ts';

/** Threads run what is compiled. */
const PROGRAM = resolve(import.meta.dirname, '../../dist/src/node/disk-thread.js');

slotDiskContract('disk on its thread', async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'buckets'));
  const compiled = (await import(PROGRAM)) as { openDiskThread: typeof openDiskThread };
  const disk = await compiled.openDiskThread({ folder, volumeTag: VOLUME_TAG, diskId: DISK_ID });
  onTestFinished(() => disk.close());
  const harm = async (path: string): Promise<void> => {
    const file = join(folder, 'slots', slotFileName(path));
    const bytes = await readFile(file);
    bytes[165] = (bytes[165] ?? 0) ^ 4;
    await writeFile(file, bytes);
  };
  return { disk: disk.slots, harm };
});
