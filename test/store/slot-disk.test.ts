import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SlotFiles, slotFileName } from '../../src/bucket/mod.ts';
import { slotsWithDeadline } from '../../src/store/mod.ts';
import { DISK_ID, temporaryFolder, VOLUME_TAG } from '../bucket/fixture.ts';
import { MemorySlotDisk } from './memory-slot-disk.ts';
import { slotDiskContract } from './slot-disk-contract.ts';

async function harm(folder: string, path: string): Promise<void> {
  const file = join(folder, 'slots', slotFileName(path));
  const bytes = await readFile(file);
  bytes[165] = (bytes[165] ?? 0) ^ 4;
  await writeFile(file, bytes);
}

slotDiskContract('folder', async () => {
  const folder = await temporaryFolder();
  const disk = new SlotFiles({ folder, volumeTag: VOLUME_TAG, diskId: DISK_ID });
  return { disk, harm: (path) => harm(folder, path) };
});

slotDiskContract('memory disk', () => {
  const disk = new MemorySlotDisk();
  const harmed = (path: string): Promise<void> => Promise.resolve(disk.harm(path));
  return Promise.resolve({ disk: slotsWithDeadline(disk, 'disk 3', 60_000), harm: harmed });
});
