import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { MIB } from '../../src/base/limits.ts';
import { silentLog } from '../../src/base/log.ts';
import { slotFileName } from '../../src/bucket/mod.ts';
import { diskPaths } from '../../src/commit/mod.ts';
import { homePaths } from '../../src/home/mod.ts';
import { openOffline } from '../../src/node/offline.ts';
import { recoverVolume } from '../../src/node/recover.ts';
import { VolumeRig } from './fixture.ts';

async function rigOf(): Promise<VolumeRig> {
  const rig = await VolumeRig.create();
  onTestFinished(() => rig.remove());
  return rig;
}

function bytesOf(seed: number, lengthBytes: number): Buffer {
  return createHash('shake256', { outputLength: lengthBytes }).update(`${seed}`).digest();
}

const ONE = bytesOf(1, 300_000);
const TWO = bytesOf(2, 300_000);

/** Removes HOME's metadata and cache: what comes back comes from the disks. */
function loseHome(rig: VolumeRig): void {
  const { meta, committed, cache } = homePaths(rig.home);
  for (const path of [meta, committed]) {
    for (const suffix of ['', '-wal', '-shm', '-ops0', '-ops1']) {
      rmSync(path + suffix, { force: true });
    }
  }
  for (const name of readdirSync(cache)) rmSync(join(cache, name), { recursive: true });
}

/** The last log file of each disk, and how long it is. */
function logs(rig: VolumeRig): { path: string; bytes: number }[] {
  return rig.disks.map((disk) => {
    const { meta } = diskPaths(disk);
    const names = readdirSync(meta).filter((name) => name.startsWith('log-'));
    const path = join(meta, names.sort().at(-1) ?? 'none');
    return { path, bytes: readFileSync(path).length };
  });
}

/** Harms every piece with the first bytes of this content. */
function harmPieces(rig: VolumeRig, content: Buffer): void {
  for (const disk of rig.disks) {
    const folder = join(diskPaths(disk).root, 'buckets');
    for (const name of readdirSync(folder)) {
      const bytes = readFileSync(join(folder, name));
      const at = bytes.indexOf(content.subarray(0, 1000));
      if (at < 0) continue;
      bytes[at + 500] = (bytes[at + 500] ?? 0) ^ 1;
      writeFileSync(join(folder, name), bytes);
    }
  }
}

function notes(rig: VolumeRig): (Buffer | undefined)[] {
  return rig.disks.map((disk) => {
    const path = join(diskPaths(disk).root, 'slots', slotFileName('system/head'));
    try {
      return readFileSync(path);
    } catch {
      return undefined;
    }
  });
}

/** A volume of two epochs, closed in order, whose disks then lost the record of the second. */
async function withoutSecondEpoch(): Promise<VolumeRig> {
  const rig = await rigOf();
  await rig.file('a', ONE);
  await rig.committer.commit();
  await rig.close();
  const before = logs(rig);
  await rig.open();
  await rig.file('b', TWO);
  expect(await rig.committer.commit()).toBe(2);
  await rig.close();
  for (const { path, bytes } of before) truncateSync(path, bytes);
  loseHome(rig);
  return rig;
}

test('a committed epoch that the disks do not have any more is missed, not passed over', async () => {
  const rig = await withoutSecondEpoch();
  await expect(rig.open()).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringMatching(
      /^Cannot open the volume: epoch 2 of .* was committed.*lead to epoch 1 only; bring .* recover/,
    ) as string,
  });
});

test('recover takes the older epoch, says so, and what comes then is no surprise', async () => {
  const rig = await withoutSecondEpoch();
  const home = `${rig.home}-new`;
  const request = { home, disks: rig.disks, cacheBytes: 64 * MIB, log: silentLog };
  const report = await recoverVolume({ ...request, onProgress: () => undefined });
  expect(report.epoch).toBe(1);
  expect(report.older).toMatch(/epoch 2 of .* was committed/);
  const offline = await openOffline(home, silentLog);
  expect((await offline.status()).problems).toEqual([]);
  await offline.close();
  rmSync(rig.home, { recursive: true });
  const again = Object.assign(rig, { home });
  await again.open();
  expect(again.committedNames()).toEqual(['a']);
  await again.file('c', TWO);
  // The number of the lost epoch is not used for another one.
  expect(await again.committer.commit()).toBe(3);
  await again.close();
  loseHome(again);
  await again.open();
  expect(again.committedNames()).toEqual(['a', 'c']);
});

test('a volume that is looked at only opens, and its status says what is missing', async () => {
  const rig = await withoutSecondEpoch();
  // A HOME of the first epoch, beside disks that know of the second.
  const home = `${rig.home}-new`;
  const request = { home, disks: rig.disks, cacheBytes: 64 * MIB, log: silentLog };
  const kept = notes(rig);
  await recoverVolume({ ...request, onProgress: () => undefined });
  for (const [at, note] of kept.entries()) {
    const folder = join(diskPaths(rig.disks[at] ?? '').root, 'slots');
    writeFileSync(join(folder, slotFileName('system/head')), note ?? '');
  }
  const offline = await openOffline(home, silentLog);
  const { health, problems } = await offline.status();
  await offline.close();
  expect(health).toBe('degraded');
  expect(problems).toContainEqual(expect.stringMatching(/epoch 2 of .* was committed/));
});

test('a noted epoch counts although its chunks are lost: only they are', async () => {
  const rig = await rigOf();
  await rig.file('a', ONE);
  await rig.committer.commit();
  await rig.file('b', TWO);
  await rig.committer.commit();
  await rig.close();
  harmPieces(rig, TWO);
  loseHome(rig);
  await rig.open();
  expect(rig.volume.head.epoch).toBe(2);
  expect(rig.committedNames()).toEqual(['a', 'b']);
  expect(await rig.content('a')).toEqual(ONE);
  await expect(rig.content('b')).rejects.toThrow();
});

test('disks hear of the newest epoch when commits rest, and at the end', async () => {
  const rig = await rigOf();
  const { volume } = rig;
  const looked = async (): Promise<(Buffer | undefined)[]> => {
    // What Volume does every few seconds.
    await volume.slots.look();
    return notes(rig);
  };
  const ino = await rig.file('a', ONE);
  await rig.committer.commit();
  expect(await looked()).toEqual([undefined, undefined, undefined]);
  const first = await looked();
  expect(first).not.toContain(undefined);
  for (let round = 0; round < 3; round++) {
    await rig.write(ino, 0, bytesOf(10 + round, 4096));
    await rig.committer.commit();
    expect(await looked()).toEqual(first);
  }
  const second = await looked();
  expect(second.every((note, at) => note !== undefined && !note.equals(first[at] ?? note))).toBe(
    true,
  );
  expect(await looked()).toEqual(second);
  await rig.write(ino, 0, bytesOf(20, 4096));
  await rig.committer.commit();
  await rig.crash();
  expect(notes(rig)).toEqual(second);
  await rig.open();
  await rig.close();
  expect(notes(rig)).not.toEqual(second);
});

test('slots of a volume survive its end, the loss of HOME and of a disk, and a new map', async () => {
  const rig = await rigOf();
  const put = await rig.volume.slots.current.put('leases/a', Buffer.from('held'), undefined);
  expect(put.isDone).toBe(true);
  await rig.crash();
  loseHome(rig);
  await rig.open({ without: [2] });
  const found = await rig.volume.slots.current.get('leases/a');
  expect(found?.content.toString()).toBe('held');
  const { map } = rig.volume;
  await rig.volume.slots.look();
  expect(rig.volume.slots.current.isSettled).toBe(true);
  const disks = map.disks.map((disk) =>
    disk.id === 2 ? { ...disk, state: 'failed' as const } : disk,
  );
  await rig.volume.changeMap({ ...map, version: map.version + 1, disks });
  expect(rig.volume.slots.current.isSettled).toBe(false);
  await rig.volume.slots.look();
  expect(rig.volume.slots.current.isSettled).toBe(true);
  expect((await rig.volume.slots.current.list()).map(({ copies }) => copies)).toEqual([[1, 3]]);
  await rig.crash();
  await rig.open();
  expect((await rig.volume.slots.current.get('leases/a'))?.version).toEqual(found?.version);
});
