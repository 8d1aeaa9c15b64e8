import { copyFile, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import type { DiskId } from '../../src/base/ids.ts';
import { type BucketPiece, systemIo } from '../../src/bucket/mod.ts';
import { encodePieces, hashChunk, parseScheme } from '../../src/chunk/mod.ts';
import {
  bucketPath,
  DISK_ID,
  openDisk,
  removeIndex,
  replica,
  temporaryFolder,
  VOLUME_TAG,
} from './fixture.ts';

type Disk = Awaited<ReturnType<typeof openDisk>>;

async function expectPieces(disk: Disk, pieces: readonly BucketPiece[]): Promise<void> {
  for (const piece of pieces) {
    const { payload, chunkBytes, scheme } = piece;
    const stored = await disk.read(piece);
    expect(stored?.payload.equals(payload)).toBe(true);
    expect(stored).toMatchObject({ chunkBytes, scheme });
  }
}

const somePieces = (): BucketPiece[] => {
  const sizes = [4, 63, 64, 65, 4096, 70_000, 300_000, 5000, 128, 1_000_001];
  return sizes.map((bytes, at) => replica(at, bytes, 1 + (at % 3)));
};

test('read() returns what append() wrote, before and after the disk is opened again', async () => {
  const folder = await temporaryFolder();
  const pieces = somePieces();
  const scheme = parseScheme('ec:3+2');
  const content = replica(99, 100_001).payload;
  for (const [pieceIndex, payload] of (await encodePieces(scheme, content)).entries()) {
    const chunkId = hashChunk(content);
    pieces.push({ bucket: 7, chunkId, pieceIndex, scheme, chunkBytes: content.length, payload });
  }
  const disk = await openDisk(folder);
  await disk.append(pieces);
  await expectPieces(disk, pieces);
  await disk.sync();
  const usage = await disk.usage();
  await disk.close();
  const again = await openDisk(folder, { create: false });
  await expectPieces(again, pieces);
  expect(again.damage).toEqual([]);
  expect(again.syncCount).toBe(0);
  expect(await again.usage()).toEqual(usage);
  expect(usage.pieces).toBe(pieces.length);
  expect((await again.list(undefined, 1000)).length).toBe(pieces.length);
});

test('append() writes a piece once, and again when its record no longer verifies', async () => {
  const folder = await temporaryFolder();
  const disk = await openDisk(folder);
  const piece = replica(1, 5000);
  await disk.append([piece, piece]);
  await disk.append([piece]);
  const { size } = await stat(bucketPath(folder));
  expect(size).toBe(64 + 5184);
  const bytes = await readFile(bucketPath(folder));
  bytes[1000] = (bytes[1000] ?? 0) ^ 1;
  await writeFile(bucketPath(folder), bytes);
  await expect(disk.read(piece)).rejects.toMatchObject({ code: 'CORRUPT' });
  await disk.markBad(piece);
  expect([await disk.badCount(), await disk.has(piece)]).toEqual([1, false]);
  await disk.append([piece]);
  await expectPieces(disk, [piece]);
  expect([await disk.badCount(), await disk.has(piece)]).toEqual([0, true]);
  expect(await disk.usage()).toMatchObject({ pieces: 1, bytes: 5184 });
});

/** Version 1 had pieces without their schemes. */
function writeIndexOfVersion1(path: string): void {
  const database = new Database(path);
  database.exec(`CREATE TABLE identity (volume_tag BLOB NOT NULL, disk_id INTEGER NOT NULL) STRICT;
    CREATE TABLE buckets (bucket INTEGER PRIMARY KEY, synced INTEGER NOT NULL) STRICT;
    CREATE TABLE pieces (chunk BLOB NOT NULL, piece INTEGER NOT NULL, bucket INTEGER NOT NULL,
      offset INTEGER NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (chunk, piece)) STRICT;
    CREATE TABLE bad (chunk BLOB NOT NULL, piece INTEGER NOT NULL, PRIMARY KEY (chunk, piece));
    PRAGMA user_version = 1;`);
  database.prepare('INSERT INTO identity VALUES (?, ?)').run(VOLUME_TAG, DISK_ID);
  database.close();
}

test('a disk whose index is gone, garbage or cut off answers as before', async () => {
  const folder = await temporaryFolder();
  const pieces = somePieces();
  const disk = await openDisk(folder);
  await disk.append(pieces);
  await disk.sync();
  await disk.remove([pieces[4] ?? replica(0, 9)]);
  const left = pieces.filter((_, at) => at !== 4);
  const usage = await disk.usage();
  await disk.close();
  const path = join(folder, 'index.sqlite');
  const whole = await readFile(path);
  const harms: Record<string, () => Promise<void>> = {
    gone: () => removeIndex(folder),
    empty: () => writeFile(path, ''),
    garbage: () => writeFile(path, Buffer.alloc(20_000, 0xa5)),
    'cut off': () => truncate(path, whole.length - 4096),
    'a damaged page': () => writeFile(path, Buffer.from(whole).fill(0x5a, 4096)),
    'of version 1': () => removeIndex(folder).then(() => writeIndexOfVersion1(path)),
  };
  for (const [name, harm] of Object.entries(harms)) {
    await writeFile(path, whole);
    await harm();
    for (const readOnly of [true, false]) {
      const again = await openDisk(folder, { readOnly });
      await expectPieces(again, left);
      expect(await again.read(pieces[4] ?? replica(0, 9))).toBe(undefined);
      expect([name, await again.usage()]).toEqual([name, usage]);
      await again.close();
    }
  }
});

test('a disk with an old index finds what was appended and removed since', async () => {
  const folder = await temporaryFolder();
  const pieces = somePieces();
  const first = await openDisk(folder);
  await first.append(pieces.slice(0, 5));
  await first.sync();
  await first.close();
  const old = await readFile(join(folder, 'index.sqlite'));
  const second = await openDisk(folder);
  await second.append(pieces.slice(5));
  const [removed] = pieces.splice(2, 1);
  await second.remove([removed ?? replica(0, 9)]);
  await second.sync();
  await second.close();
  await writeFile(join(folder, 'index.sqlite'), old);
  const third = await openDisk(folder);
  await expectPieces(third, pieces);
  expect(await third.read(removed ?? replica(0, 9))).toBe(undefined);
  expect((await third.usage()).pieces).toBe(pieces.length);
});

test('open() finds what was appended and never synced, and cuts a torn tail', async () => {
  const folder = await temporaryFolder();
  const pieces = [replica(1, 900), replica(2, 900), replica(3, 900)];
  const disk = await openDisk(folder);
  await disk.append(pieces.slice(0, 1));
  await disk.sync();
  await disk.append(pieces.slice(1));
  await disk.close();
  const { size } = await stat(bucketPath(folder));
  await truncate(bucketPath(folder), size - 200);
  const again = await openDisk(folder);
  await expectPieces(again, pieces.slice(0, 2));
  expect(await again.read(pieces[2] ?? replica(0, 9))).toBe(undefined);
  expect((await stat(bucketPath(folder))).size).toBe(64 + 2 * 1088);
  expect(again.damage).toMatchObject([{ bucket: 1, offset: 64 + 2 * 1088, kind: 'torn tail' }]);
  expect(again.syncCount).toBeGreaterThan(0);
  await again.append(pieces);
  await expectPieces(again, pieces);
});

test('open() does not believe the memory of what a sync before it could not write', async () => {
  const folder = await temporaryFolder();
  const pieces = [replica(1, 9000), replica(2, 9000)];
  let fails = false;
  const sync: typeof systemIo.sync = (handle) =>
    fails ? Promise.reject(new Error('EIO: i/o error, fdatasync')) : handle.datasync();
  const disk = await openDisk(folder, { io: { ...systemIo, sync } });
  await disk.append(pieces.slice(0, 1));
  await disk.sync();
  const { size } = await stat(bucketPath(folder));
  await disk.append(pieces.slice(1));
  fails = true;
  await expect(disk.sync()).rejects.toMatchObject({ code: 'IO' });
  await disk.close();
  // The kernel has the second piece in memory only: once that is dropped, it is not there.
  const calls: string[] = [];
  const again = await openDisk(folder, {
    io: {
      ...systemIo,
      sync: (handle) => {
        calls.push('sync');
        return handle.datasync();
      },
      dontNeed: async (handle, offset) => {
        calls.push('drop');
        expect(offset).toBeLessThanOrEqual(size);
        const { size: now } = await handle.stat();
        await handle.write(Buffer.alloc(now - size), 0, now - size, size);
      },
    },
  });
  expect(calls.slice(0, 2)).toEqual(['sync', 'drop']);
  const [kept, lost] = pieces;
  if (!kept || !lost) throw new Error('two pieces');
  await expectPieces(again, [kept]);
  expect(await again.has(lost)).toBe(false);
});

test('open() steps over damage that has a good record behind it', async () => {
  const folder = await temporaryFolder();
  const pieces = [replica(1, 900), replica(2, 900), replica(3, 900)];
  const disk = await openDisk(folder);
  await disk.append(pieces);
  await disk.close();
  const bytes = await readFile(bucketPath(folder));
  bytes.fill(0xee, 64 + 1088, 64 + 1088 + 500);
  await writeFile(bucketPath(folder), bytes);
  await removeIndex(folder);
  const again = await openDisk(folder);
  expect(again.damage).toEqual([{ bucket: 1, offset: 64 + 1088, bytes: 1088, kind: 'records' }]);
  await expectPieces(
    again,
    [pieces[0], pieces[2]].flatMap((piece) => piece ?? []),
  );
});

test('open() drops the rows of records that the file lost', async () => {
  const folder = await temporaryFolder();
  const pieces = [replica(1, 900), replica(2, 900), replica(3, 900, 2)];
  const disk = await openDisk(folder);
  await disk.append(pieces);
  await disk.sync();
  await disk.close();
  await truncate(bucketPath(folder), 64 + 1088 + 100);
  await writeFile(bucketPath(folder, 2), '');
  const again = await openDisk(folder);
  expect(again.damage.map(({ kind }) => kind)).toContain('lost tail');
  expect((await again.usage()).pieces).toBe(1);
  await again.append(pieces);
  await expectPieces(again, pieces);
});

test('open() refuses files of another volume or disk and changes nothing', async () => {
  const [ours, theirs] = [await temporaryFolder(), await temporaryFolder()];
  const disk = await openDisk(ours);
  await disk.append([replica(1, 100, 1)]);
  await disk.close();
  const volumeTag = Buffer.alloc(8, 9);
  const other = await openDisk(theirs, { volumeTag });
  await other.append([replica(2, 100, 2)]);
  await other.close();
  await copyFile(bucketPath(theirs, 2), bucketPath(ours, 2));
  const before = await readFile(join(ours, 'index.sqlite'));
  const foreign = { code: 'FOREIGN' };
  await expect(openDisk(ours)).rejects.toMatchObject(foreign);
  await expect(openDisk(theirs)).rejects.toMatchObject(foreign);
  const diskId = 4 as DiskId;
  await expect(openDisk(theirs, { volumeTag, diskId })).rejects.toMatchObject(foreign);
  expect((await readFile(join(ours, 'index.sqlite'))).equals(before)).toBe(true);
});

test('open() says when the folder is missing or another one has it open', async () => {
  const folder = await temporaryFolder();
  const missing = openDisk(join(folder, 'gone'), { create: false });
  await expect(missing).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const disk = await openDisk(folder);
  await expect(openDisk(folder)).rejects.toMatchObject({ code: 'BUSY' });
  await disk.close();
  await expect(disk.read(replica(1, 9))).rejects.toMatchObject({ code: 'CLOSED' });
});

test('a disk open read-only changes nothing', async () => {
  const folder = await temporaryFolder();
  const disk = await openDisk(folder);
  const piece = replica(1, 900);
  await disk.append([piece]);
  await disk.close();
  await removeIndex(folder);
  await truncate(bucketPath(folder), 64 + 1088);
  const reader = await openDisk(folder, { readOnly: true, create: false });
  await expectPieces(reader, [piece]);
  await expect(reader.append([piece])).rejects.toMatchObject({ code: 'BAD_ARGUMENT' });
  await expect(reader.sync()).rejects.toMatchObject({ code: 'BAD_ARGUMENT' });
  expect(await readdir(folder)).toEqual(['buckets']);
});

test('remove() gives the space back', async () => {
  const folder = await temporaryFolder();
  const disk = await openDisk(folder);
  const pieces = [replica(1, 1_000_000), replica(2, 1_000_000)];
  await disk.append(pieces);
  await disk.sync();
  const before = await stat(bucketPath(folder));
  expect(await disk.remove([pieces[0] ?? replica(0, 9)])).toBe(1);
  expect(await disk.remove([pieces[0] ?? replica(0, 9)])).toBe(0);
  await disk.sync();
  const after = await stat(bucketPath(folder));
  expect(after.size).toBe(before.size);
  expect(before.blocks - after.blocks).toBeGreaterThan((950_000 / 512) | 0);
  expect((await disk.usage()).pieces).toBe(1);
  await disk.close();
  await removeIndex(folder);
  const again = await openDisk(folder);
  expect(again.damage).toEqual([]);
  await expectPieces(again, pieces.slice(1));
});

test('sync() syncs each written file once, and the folder when it got a file', async () => {
  const disk = await openDisk(await temporaryFolder());
  await disk.append([replica(1, 100, 1), replica(2, 100, 2), replica(3, 100, 2)]);
  await disk.sync();
  expect(disk.syncCount).toBe(3);
  await disk.append([replica(4, 100, 2)]);
  await Promise.all([disk.sync(), disk.sync()]);
  expect(disk.syncCount).toBe(4);
});

test('a failed sync takes the disk out of service for good', async () => {
  let broken = false;
  const sync: typeof systemIo.sync = (handle) =>
    broken ? Promise.reject(new Error('EIO: i/o error, fdatasync')) : handle.datasync();
  const disk = await openDisk(await temporaryFolder(), { io: { ...systemIo, sync } });
  await disk.append([replica(1, 100)]);
  broken = true;
  await expect(disk.sync()).rejects.toMatchObject({ code: 'IO' });
  broken = false;
  const unavailable = { code: 'UNAVAILABLE' };
  await expect(disk.sync()).rejects.toMatchObject(unavailable);
  await expect(disk.append([replica(2, 100)])).rejects.toMatchObject(unavailable);
  await expect(disk.read(replica(1, 100))).rejects.toMatchObject(unavailable);
});

test('an append that runs out of space leaves the bucket as it was', async () => {
  let full = false;
  const write: typeof systemIo.write = async (handle, buffers, offset) => {
    if (!full) return systemIo.write(handle, buffers, offset);
    await systemIo.write(handle, buffers.slice(0, 1), offset);
    throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  };
  const folder = await temporaryFolder();
  const disk = await openDisk(folder, { io: { ...systemIo, write } });
  await disk.append([replica(1, 100)]);
  const { size } = await stat(bucketPath(folder));
  full = true;
  const failed = { code: 'NO_SPACE', message: expect.stringContaining(folder) as string };
  await expect(disk.append([replica(2, 100)])).rejects.toMatchObject(failed);
  expect((await stat(bucketPath(folder))).size).toBe(size);
  expect(await disk.has(replica(2, 100))).toBe(false);
  full = false;
  await disk.append([replica(2, 100)]);
  await expectPieces(disk, [replica(1, 100), replica(2, 100)]);
});

test('many buckets share a bounded number of open files', async () => {
  const disk = await openDisk(await temporaryFolder());
  const pieces = Array.from({ length: 150 }, (_, at) => replica(at, 100, at));
  await disk.append(pieces);
  expect(disk.openFileCount).toBeLessThanOrEqual(64);
  await disk.sync();
  expect(disk.syncCount).toBeGreaterThanOrEqual(151);
  await Promise.all(pieces.map((piece) => expectPieces(disk, [piece])));
  expect(disk.openFileCount).toBeLessThanOrEqual(64);
});
