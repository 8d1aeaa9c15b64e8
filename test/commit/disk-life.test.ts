import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { DiskId } from '../../src/base/ids.ts';
import { DEFAULT_SETTINGS } from '../../src/base/settings.ts';
import { diskPaths } from '../../src/commit/mod.ts';
import { type DiskEntry, type DiskState, decodeDiskMap, findDisk } from '../../src/diskmap/mod.ts';
import { VolumeRig } from './fixture.ts';

const UUID = '00000000-0000-4000-8000-000000000004';

async function rigOf(options: { disks?: number; scheme?: string } = {}): Promise<VolumeRig> {
  const rig = await VolumeRig.create({ disks: 3, ...options });
  onTestFinished(() => rig.remove());
  rig.volume.configure({ ...DEFAULT_SETTINGS, rebuildAfterMs: 1e9 });
  return rig;
}

function stateOf(rig: VolumeRig, id: number): DiskState | undefined {
  return findDisk(rig.volume.map, id as DiskId)?.state;
}

function failure(rig: VolumeRig, id: number): string | undefined {
  return rig.volume.hardware.failure(id as DiskId);
}

function goAway(rig: VolumeRig, id: number): void {
  renameSync(rig.disks[id - 1] ?? '', `${rig.disks[id - 1]}-away`);
}

function comeBack(rig: VolumeRig, id: number): void {
  renameSync(`${rig.disks[id - 1]}-away`, rig.disks[id - 1] ?? '');
}

async function committed(rig: VolumeRig, ...names: string[]): Promise<void> {
  for (const name of names) await rig.file(name, Buffer.alloc(200_000, name));
  await rig.committer.commit();
}

/** The committed state from one disk alone, with a HOME that has nothing. */
async function namesOnDisk(rig: VolumeRig, id: number): Promise<string[]> {
  await rig.crash();
  for (const suffix of ['', '-wal', '-shm']) {
    rmSync(join(rig.home, `committed.sqlite${suffix}`), { force: true });
  }
  const others = rig.disks.map((_, at) => at + 1).filter((other) => other !== id);
  await rig.open({ without: others });
  return rig.committedNames();
}

async function diskWithPieces(rig: VolumeRig): Promise<DiskId> {
  for (const { entry, buckets } of rig.volume.disks) {
    if (((await buckets?.usage())?.pieces ?? 0) > 0) return entry.id;
  }
  throw new Error('Cannot find a disk with pieces: nothing was stored');
}

function newEntry(id: number, more: Partial<DiskEntry> = {}): DiskEntry {
  const place = { room: 1, row: 1, rack: 1, machine: 1, disk: id };
  return { id: id as DiskId, uuid: UUID, ...place, weight: 10, state: 'in', label: '', ...more };
}

test('a disk whose folder goes away is out of service, and back in it with all it missed', async () => {
  const rig = await rigOf();
  await committed(rig, 'a');
  await rig.volume.hardware.watch.look();
  goAway(rig, 3);
  await rig.volume.hardware.watch.look();
  expect(failure(rig, 3)).toMatch(/is gone/);
  expect(rig.volume.hardware.trouble(3 as DiskId).downSinceMs).toBeGreaterThan(0);
  await committed(rig, 'b', 'c');
  await rig.volume.changeMap({ ...rig.volume.map, version: rig.volume.map.version + 1 });
  await rig.volume.hardware.watch.look();
  expect(failure(rig, 3)).toMatch(/is gone/);

  comeBack(rig, 3);
  await rig.volume.hardware.watch.look();
  expect(failure(rig, 3)).toBeUndefined();
  expect(rig.volume.hardware.trouble(3 as DiskId)).toEqual({});
  const { map } = rig.volume;
  expect(decodeDiskMap(readFileSync(diskPaths(rig.disks[2] ?? '').diskmap))).toEqual(map);
  await committed(rig, 'd');
  for (const name of ['a', 'b', 'c', 'd']) {
    expect(await rig.content(name)).toEqual(Buffer.alloc(200_000, name));
  }
  expect(await namesOnDisk(rig, 3)).toEqual(['a', 'b', 'c', 'd']);
});

test('commits go on while a disk is brought in, and it has them all', async () => {
  const rig = await rigOf();
  await committed(rig, 'a');
  goAway(rig, 2);
  await rig.volume.hardware.watch.look();
  await committed(rig, 'b');
  comeBack(rig, 2);
  const looking = rig.volume.hardware.watch.look();
  const names = ['c', 'd', 'e', 'f'];
  for (const name of names) await committed(rig, name);
  await looking;
  expect(failure(rig, 2)).toBeUndefined();
  await committed(rig, 'g');
  expect(await namesOnDisk(rig, 2)).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g']);
});

test('a disk that was missing when the volume was opened comes into service', async () => {
  const rig = await rigOf();
  await committed(rig, 'a');
  await rig.crash();
  goAway(rig, 1);
  await rig.open();
  rig.volume.configure({ ...DEFAULT_SETTINGS, rebuildAfterMs: 1e9 });
  await committed(rig, 'b');
  comeBack(rig, 1);
  await rig.volume.hardware.watch.look();
  expect(failure(rig, 1)).toBeUndefined();
  expect(await namesOnDisk(rig, 1)).toEqual(['a', 'b']);
});

test("another volume's disk, or another disk, in the place of a disk is not used", async () => {
  const rig = await rigOf();
  const other = await rigOf();
  await rig.volume.hardware.watch.look();
  goAway(rig, 3);
  renameSync(other.disks[2] ?? '', rig.disks[2] ?? '');
  await rig.volume.hardware.watch.look();
  await rig.volume.hardware.watch.look();
  expect(failure(rig, 3)).toMatch(/is gone/);
  await committed(rig, 'a');
  renameSync(rig.disks[2] ?? '', `${rig.disks[2]}-other`);
  comeBack(rig, 3);
  await rig.volume.hardware.watch.look();
  expect(failure(rig, 3)).toBeUndefined();
});

test('a disk that cannot be written stays out of service', async () => {
  const rig = await rigOf();
  await rig.volume.hardware.watch.look();
  goAway(rig, 3);
  await rig.volume.hardware.watch.look();
  comeBack(rig, 3);
  const inTheWay = join(diskPaths(rig.disks[2] ?? '').root, 'probe.tmp');
  mkdirSync(inTheWay);
  await rig.volume.hardware.watch.look();
  expect(failure(rig, 3)).toMatch(/is gone/);
  rmSync(inTheWay, { recursive: true });
  await rig.volume.hardware.watch.look();
  expect(failure(rig, 3)).toBeUndefined();
});

test('a disk that is away for long is failed, and in again when it returns', async () => {
  const rig = await rigOf();
  await committed(rig, 'a');
  await rig.volume.hardware.watch.look();
  goAway(rig, 3);
  await rig.volume.hardware.watch.look();
  expect(stateOf(rig, 3)).toBe('in');
  rig.volume.configure({ ...DEFAULT_SETTINGS, rebuildAfterMs: 1 });
  await rig.volume.hardware.watch.look();
  expect(stateOf(rig, 3)).toBe('failed');
  comeBack(rig, 3);
  await rig.volume.hardware.watch.look();
  expect([stateOf(rig, 3), failure(rig, 3)]).toEqual(['in', undefined]);
  await rig.reopen();
  expect(stateOf(rig, 3)).toBe('in');
});

test('a restart does not begin the grace anew', async () => {
  const rig = await rigOf();
  await rig.volume.hardware.watch.look();
  goAway(rig, 3);
  await rig.volume.hardware.watch.look();
  const { downSinceMs } = rig.volume.hardware.trouble(3 as DiskId);
  expect(downSinceMs).toBeGreaterThan(0);
  await rig.reopen();
  expect(rig.volume.hardware.trouble(3 as DiskId)).toEqual({ downSinceMs });
  // A file that is damaged does no other harm.
  await rig.crash();
  const path = join(rig.home, 'disks');
  writeFileSync(path, readFileSync(path, 'utf8').replace('"downSinceMs":', '"downSinceMs":1'));
  await rig.open();
  expect(rig.volume.hardware.trouble(3 as DiskId)).toEqual({});
});

test('a disk that was failed by hand does not come back by itself', async () => {
  const rig = await rigOf();
  await committed(rig, 'a');
  await rig.volume.hardware.noteTrouble(2 as DiskId, { failedByHand: true });
  await rig.volume.hardware.setState(2 as DiskId, 'failed');
  await rig.volume.hardware.watch.look();
  expect([stateOf(rig, 2), failure(rig, 2)]).toEqual(['failed', undefined]);
  await rig.reopen();
  await rig.volume.hardware.watch.look();
  expect(stateOf(rig, 2)).toBe('failed');
});

test('a new disk gets metadata, map and pieces, and is there after a restart', async () => {
  const rig = await rigOf();
  await committed(rig, 'a');
  const path = `${rig.disks[0]}-new`;
  mkdirSync(path);
  const map = await rig.volume.hardware.add(newEntry(4, { weight: 60_000 }), path);
  rig.disks.push(path);
  expect(map.disks.map(({ id }) => id)).toEqual([1, 2, 3, 4]);
  expect(decodeDiskMap(readFileSync(diskPaths(path).diskmap))).toEqual(map);
  await committed(rig, 'b', 'c', 'd', 'e');
  const { buckets } = rig.volume.disks[3] ?? {};
  expect((await buckets?.usage())?.pieces).toBeGreaterThan(0);
  await rig.reopen();
  expect(rig.volume.map).toEqual(map);
  expect(await namesOnDisk(rig, 4)).toEqual(['a', 'b', 'c', 'd', 'e']);
});

test('a disk that cannot be added leaves nothing in its folder and nothing in the map', async () => {
  const rig = await rigOf();
  const before = rig.volume.map;
  const path = `${rig.disks[0]}-new`;
  mkdirSync(path);
  for (const id of [1, 2, 3]) {
    const { diskmap } = diskPaths(rig.disks[id - 1] ?? '');
    rmSync(diskmap);
    mkdirSync(join(diskmap, 'in the way'), { recursive: true });
  }
  await expect(rig.volume.hardware.add(newEntry(4), path)).rejects.toMatchObject({
    code: 'UNAVAILABLE',
  });
  expect(existsSync(diskPaths(path).root)).toBe(false);
  expect(rig.volume.map.disks).toEqual(before.disks);
  expect(rig.volume.disks.map(({ entry }) => entry.id)).toEqual([1, 2, 3]);
  await committed(rig, 'a');
  expect(await rig.content('a')).toEqual(Buffer.alloc(200_000, 'a'));
});

test('a draining disk is removed when nothing is left on it, and not before', async () => {
  const rig = await rigOf();
  await committed(rig, 'a', 'b', 'c');
  const id = await diskWithPieces(rig);
  await rig.volume.slots.current.put('leases/a', Buffer.from('held'), undefined);
  await rig.volume.hardware.setState(id, 'draining');
  await rig.volume.hardware.watch.look();
  expect(stateOf(rig, id)).toBe('draining');
  rig.volume.hardware.useProof(() => Promise.resolve({ pieces: 0, onlyCopies: 1 }));
  await rig.volume.hardware.watch.look();
  rig.volume.hardware.useProof(() => Promise.resolve(undefined));
  await rig.volume.hardware.watch.look();
  expect(stateOf(rig, id)).toBe('draining');
  await rig.reopen();
  expect(stateOf(rig, id)).toBe('draining');
  rig.volume.hardware.useProof(() => Promise.resolve({ pieces: 0, onlyCopies: 0 }));
  await rig.volume.hardware.watch.look();
  expect(stateOf(rig, id)).toBe('removed');
  expect(rig.volume.disks.map(({ entry }) => entry.id)).not.toContain(id);
  // Slots had left it before.
  expect((await rig.volume.slots.current.list()).map(({ copies }) => copies)).toEqual([
    rig.volume.disks.map(({ entry }) => entry.id),
  ]);
  await committed(rig, 'd');
  await rig.reopen();
  expect(rig.committedNames()).toEqual(['a', 'b', 'c', 'd']);
});

test('the last disks that have the metadata do not leave', async () => {
  const rig = await rigOf({ disks: 2 });
  await rig.volume.hardware.setState(2 as DiskId, 'draining');
  rig.volume.hardware.useProof(() => Promise.resolve({ pieces: 0, onlyCopies: 0 }));
  await rig.volume.hardware.watch.look();
  expect(stateOf(rig, 2)).toBe('draining');
});
