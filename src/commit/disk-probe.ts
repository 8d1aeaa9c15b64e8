import { randomBytes } from 'node:crypto';
import { open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DfsError } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import { ioError } from '../base/publish.ts';
import { checkIdentity, diskPaths } from './volume-disk.ts';

const PROBE_NAME = 'probe.tmp';
const PROBE_BYTES = 4096;

/**
 * Resolves when the folder at `path` is the disk, and a file that was written and synced there is
 * read back; else rejects with what is wrong.
 */
export async function probeDisk(options: {
  path: string;
  volumeUuid: string;
  diskId: DiskId;
}): Promise<void> {
  const { path, volumeUuid, diskId } = options;
  await checkIdentity(path, volumeUuid, diskId);
  const probe = join(diskPaths(path).root, PROBE_NAME);
  const bytes = randomBytes(PROBE_BYTES);
  try {
    const file = await open(probe, 'w+');
    try {
      await file.writeFile(bytes);
      await file.sync();
      const { buffer } = await file.read(Buffer.alloc(PROBE_BYTES), 0, PROBE_BYTES, 0);
      if (!buffer.equals(bytes)) {
        throw new DfsError(
          'CORRUPT',
          `Cannot use disk ${diskId}: it reads other bytes than written`,
        );
      }
    } finally {
      await file.close();
    }
    await rm(probe);
  } catch (error) {
    throw ioError(`Cannot use disk ${diskId}: ${probe} cannot be written and read back`, error);
  }
}

/** Which file the identity of the disk at `path` is; undefined when there is none. */
export async function identityFile(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await stat(diskPaths(path).identity);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
