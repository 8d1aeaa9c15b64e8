import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BucketDisk } from '../../src/bucket/mod.ts';
import { withDeadline } from '../../src/store/mod.ts';
import { bucketPath, DISK_ID, temporaryFolder, VOLUME_TAG } from '../bucket/fixture.ts';
import { MemoryDisk } from './memory-disk.ts';
import { testPieceDisk } from './piece-disk-contract.ts';

testPieceDisk(
  'BucketDisk',
  async () =>
    BucketDisk.open({
      folder: await temporaryFolder(),
      volumeTag: VOLUME_TAG,
      diskId: DISK_ID,
      create: true,
    }),
  async (disk, { bucket, payload }) => {
    const path = bucketPath(disk.folder, bucket);
    const bytes = await readFile(path);
    const at = bytes.indexOf(payload);
    bytes[at] = (bytes[at] ?? 0) ^ 4;
    await writeFile(path, bytes, { flag: 'r+' });
  },
);

/** Threads run what is built. */
const THREAD = pathToFileURL(resolve(import.meta.dirname, '../../dist/src/node/disk-thread.js'));
const threadFolders = new WeakMap<object, string>();
testPieceDisk(
  'a disk on a thread of its own',
  async () => {
    const folder = await temporaryFolder();
    const owner = { folder, volumeTag: VOLUME_TAG, diskId: DISK_ID };
    await (await BucketDisk.open({ ...owner, create: true })).close();
    const program = (await import(THREAD.href)) as typeof import('../../src/node/disk-thread.ts');
    const disk = await program.openDiskThread(owner);
    threadFolders.set(disk, folder);
    return disk;
  },
  async (disk, { bucket, payload }) => {
    const path = bucketPath(threadFolders.get(disk) ?? '', bucket);
    const bytes = await readFile(path);
    const at = bytes.indexOf(payload);
    bytes[at] = (bytes[at] ?? 0) ^ 4;
    await writeFile(path, bytes, { flag: 'r+' });
  },
);

testPieceDisk(
  'MemoryDisk',
  () => Promise.resolve(new MemoryDisk()),
  (disk, piece) => Promise.resolve(disk.flip(piece)),
);

const wrapped = new WeakMap<object, MemoryDisk>();
testPieceDisk(
  'a disk with a deadline',
  () => {
    const disk = new MemoryDisk();
    const limited = withDeadline(disk, 'disk 1', 60_000);
    wrapped.set(limited, disk);
    return Promise.resolve(limited);
  },
  (limited, piece) => Promise.resolve(wrapped.get(limited)?.flip(piece)),
);
