import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { DiskId } from '../../src/base/ids.ts';
import { diskPaths } from '../../src/commit/mod.ts';
import {
  createDiskMap,
  type DiskMap,
  type DiskState,
  decodeDiskMap,
  encodeDiskMap,
  findDisk,
  withDisk,
} from '../../src/diskmap/mod.ts';
import { homePaths } from '../../src/home/mod.ts';
import { VolumeRig } from './fixture.ts';

async function rigOf(): Promise<VolumeRig> {
  const rig = await VolumeRig.create({ disks: 3 });
  onTestFinished(() => rig.remove());
  return rig;
}

function mapPath(rig: VolumeRig, id: number): string {
  return diskPaths(rig.disks[id - 1] ?? '').diskmap;
}

function mapOn(rig: VolumeRig, id: number): DiskMap {
  return decodeDiskMap(readFileSync(mapPath(rig, id)));
}

function homeMap(rig: VolumeRig): DiskMap {
  return decodeDiskMap(readFileSync(homePaths(rig.home).diskmap));
}

/** Nothing can take the place of a folder with something in it. */
function refuseMap(rig: VolumeRig, id: number): void {
  rmSync(mapPath(rig, id));
  mkdirSync(join(mapPath(rig, id), 'in the way'), { recursive: true });
}

function stateOf(map: DiskMap, id: number): DiskState | undefined {
  return findDisk(map, id as DiskId)?.state;
}

function changed(map: DiskMap, id: number, state: DiskState): DiskMap {
  const disk = findDisk(map, id as DiskId);
  if (disk === undefined) throw new Error(`Cannot change disk ${id}: it is not in the map`);
  return withDisk(map, { ...disk, state });
}

/** Stores something: which disks have pieces of it. */
async function disksWithPieces(rig: VolumeRig, name: string): Promise<number[]> {
  const usage = async (): Promise<number[]> =>
    Promise.all(rig.volume.disks.map(async ({ buckets }) => (await buckets?.usage())?.pieces ?? 0));
  const before = await usage();
  await rig.file(name, Buffer.alloc(200_000, name));
  await rig.committer.commit();
  const after = await usage();
  return rig.volume.disks.flatMap(({ entry }, at) =>
    (after[at] ?? 0) > (before[at] ?? 0) ? [entry.id] : [],
  );
}

test('a change is on every disk and in HOME, and is used at once and after a restart', async () => {
  const rig = await rigOf();
  const map = await rig.volume.changeMap(changed(rig.volume.map, 2, 'draining'));
  expect([map.version, stateOf(map, 2)]).toEqual([2, 'draining']);
  expect([mapOn(rig, 1), mapOn(rig, 2), mapOn(rig, 3), homeMap(rig)]).toEqual([map, map, map, map]);
  expect(rig.volume.map).toEqual(map);
  expect(await disksWithPieces(rig, 'a')).toEqual([1, 3]);
  await rig.reopen();
  expect(rig.volume.map).toEqual(map);
  expect(await disksWithPieces(rig, 'b')).toEqual([1, 3]);
});

test('a change made from an older map is BUSY', async () => {
  const rig = await rigOf();
  const { map } = rig.volume;
  const both = [changed(map, 1, 'failed'), changed(map, 2, 'failed')];
  const results = await Promise.allSettled(both.map((next) => rig.volume.changeMap(next)));
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  await expect(rig.volume.changeMap(changed(map, 2, 'failed'))).rejects.toMatchObject({
    code: 'BUSY',
  });
  expect([stateOf(rig.volume.map, 1), stateOf(rig.volume.map, 2)]).toEqual(['failed', 'in']);
});

test('one disk of three that does not take the map is no obstacle, and gets it later', async () => {
  const rig = await rigOf();
  refuseMap(rig, 3);
  const map = await rig.volume.changeMap(changed(rig.volume.map, 2, 'draining'));
  expect([mapOn(rig, 1), mapOn(rig, 2)]).toEqual([map, map]);
  rmSync(mapPath(rig, 3), { recursive: true });
  await rig.reopen();
  expect(mapOn(rig, 3)).toEqual(map);
});

test('a change that most disks do not take changes nothing, now and after a restart', async () => {
  const rig = await rigOf();
  const before = rig.volume.map;
  refuseMap(rig, 2);
  refuseMap(rig, 3);
  await expect(rig.volume.changeMap(changed(before, 1, 'failed'))).rejects.toMatchObject({
    code: 'UNAVAILABLE',
  });
  expect(rig.volume.map.disks).toEqual(before.disks);
  // Disk 1 had taken it.
  expect(mapOn(rig, 1).disks).toEqual(before.disks);
  for (const id of [2, 3]) rmSync(mapPath(rig, id), { recursive: true });
  await rig.reopen();
  expect(rig.volume.map.disks).toEqual(before.disks);
  expect(mapOn(rig, 3)).toEqual(rig.volume.map);
  const map = await rig.volume.changeMap(changed(rig.volume.map, 3, 'failed'));
  expect([stateOf(map, 1), stateOf(map, 3)]).toEqual(['in', 'failed']);
});

test.each([1, 2])('a crash when %i of three disks had the change leaves it made', async (count) => {
  const rig = await rigOf();
  const next = createDiskMap({ ...changed(rig.volume.map, 2, 'failed'), createdAt: Date.now() });
  await rig.crash();
  for (let id = 1; id <= count; id++) writeFileSync(mapPath(rig, id), encodeDiskMap(next));
  await rig.open();
  expect(rig.volume.map).toEqual(next);
  expect([mapOn(rig, 1), mapOn(rig, 2), mapOn(rig, 3), homeMap(rig)]).toEqual(
    Array.from({ length: 4 }, () => next),
  );
});

test('a disk with a change that was cut off, and was away since, does not bring it back', async () => {
  const rig = await rigOf();
  const cutOff = createDiskMap({ ...changed(rig.volume.map, 2, 'failed'), createdAt: 1e13 });
  await rig.crash();
  writeFileSync(mapPath(rig, 1), encodeDiskMap(cutOff));
  await rig.open({ without: [1] });
  const map = await rig.volume.changeMap(changed(rig.volume.map, 3, 'draining'));
  expect(map.version).toBe(cutOff.version);
  await rig.reopen();
  expect(rig.volume.map.disks).toEqual(map.disks);
  expect(rig.volume.map.version).toBe(map.version + 1);
  expect(mapOn(rig, 1)).toEqual(rig.volume.map);
});

test('a disk that missed several versions gets the newest', async () => {
  const rig = await rigOf();
  await rig.reopen({ without: [3] });
  await rig.volume.changeMap(changed(rig.volume.map, 3, 'failed'));
  const map = await rig.volume.changeMap(changed(rig.volume.map, 2, 'draining'));
  expect(mapOn(rig, 3).version).toBe(1);
  await rig.reopen();
  expect(rig.volume.map).toEqual(map);
  expect(mapOn(rig, 3)).toEqual(map);
});

test('a disk that is removed is not opened, and its id stays taken', async () => {
  const rig = await rigOf();
  await rig.volume.changeMap(changed(rig.volume.map, 3, 'removed'));
  expect(rig.volume.disks.map(({ entry }) => entry.id)).toEqual([1, 2]);
  expect(await disksWithPieces(rig, 'a')).toEqual([1, 2]);
  await rig.reopen();
  expect(rig.volume.disks.map(({ entry }) => entry.id)).toEqual([1, 2]);
  expect(stateOf(rig.volume.map, 3)).toBe('removed');
  expect(await rig.content('a')).toEqual(Buffer.alloc(200_000, 'a'));
});
