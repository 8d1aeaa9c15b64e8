import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { MIB } from '../../src/base/limits.ts';
import { silentLog } from '../../src/base/log.ts';
import { diskPaths, readIdentityOf, readMapOf } from '../../src/commit/mod.ts';
import { recoverVolume } from '../../src/node/recover.ts';
import { VolumeRig } from './fixture.ts';

const CONTENT = Buffer.alloc(300_000, 'content of a file ');

/** A volume of two disks with a file, whose disks know what they should. */
async function rigOf(): Promise<VolumeRig> {
  const rig = await VolumeRig.create({ disks: 2 });
  onTestFinished(() => rig.remove());
  await rig.file('a', CONTENT);
  await rig.committer.commit();
  await rig.volume.slots.look();
  return rig;
}

function harm(path: string): void {
  const bytes = readFileSync(path);
  bytes[30] = (bytes[30] ?? 0) ^ 2;
  writeFileSync(path, bytes);
}

test('a disk whose identity is damaged or gone is in use, and gets it back', async () => {
  const rig = await rigOf();
  const [first, second] = rig.disks.map(diskPaths);
  if (first === undefined || second === undefined) throw new Error('there are disks');
  const identities = [readFileSync(first.identity), readFileSync(second.identity)];
  await rig.crash();
  harm(first.identity);
  rmSync(second.identity);
  await rig.open();
  expect(rig.volume.disks.map(({ problem }) => problem)).toEqual([undefined, undefined]);
  expect(await rig.content('a')).toEqual(CONTENT);
  expect([readFileSync(first.identity), readFileSync(second.identity)]).toEqual(identities);
});

test('a disk that loses its identity while it is in use is opened anew, once', async () => {
  const rig = await rigOf();
  const [first] = rig.disks.map(diskPaths);
  if (first === undefined) throw new Error('there is a disk');
  const { hardware } = rig.volume;
  await hardware.watch.look();
  const identity = readFileSync(first.identity);
  rmSync(first.identity);
  // Out of service, and back in it.
  for (let look = 0; look < 3; look++) await hardware.watch.look();
  expect(readFileSync(first.identity)).toEqual(identity);
  const [disk] = rig.volume.disks;
  await hardware.watch.look();
  expect(rig.volume.disks[0]).toBe(disk);
  expect(rig.volume.disks.map(({ entry }) => hardware.failure(entry.id))).toEqual([
    undefined,
    undefined,
  ]);
});

test('one disk is enough to recover from, although its identity and its map are damaged', async () => {
  const rig = await rigOf();
  await rig.crash();
  const [disk] = rig.disks;
  if (disk === undefined) throw new Error('there is a disk');
  const { identity, diskmap } = diskPaths(disk);
  harm(identity);
  harm(diskmap);
  const report = await recoverVolume({
    home: `${rig.home}-new`,
    disks: [disk],
    cacheBytes: 64 * MIB,
    log: silentLog,
    onProgress: () => undefined,
  });
  expect(report).toMatchObject({ epoch: 1, volumeUuid: rig.uuid, lost: [], unusable: [] });
  expect(report.older).toBeUndefined();
});

test('disks are told of a new map, and a file with an older one comes before none', async () => {
  const rig = await rigOf();
  const [disk] = rig.disks;
  if (disk === undefined) throw new Error('there is a disk');
  const files = diskPaths(disk);
  const { map } = rig.volume;
  const next = { ...map, version: map.version + 1 };
  await rig.volume.changeMap(next);
  harm(files.diskmap);
  expect((await readMapOf(files)).version).toBe(map.version);
  await rig.volume.slots.look();
  expect(await readMapOf(files)).toEqual(rig.volume.map);
});

test('a disk whose slots are gone as well is damaged, and one without either is none', async () => {
  const rig = await rigOf();
  await rig.crash();
  const [first, second] = rig.disks.map(diskPaths);
  if (first === undefined || second === undefined) throw new Error('there are disks');
  const { diskId } = (await readIdentityOf(first)) ?? {};
  expect(diskId).toBe(1);
  harm(first.identity);
  expect((await readIdentityOf(first))?.diskId).toBe(1);
  rmSync(`${first.root}/slots`, { recursive: true });
  await expect(readIdentityOf(first)).rejects.toMatchObject({ code: 'CORRUPT' });
  rmSync(first.identity);
  expect(await readIdentityOf(first)).toBeUndefined();
});
