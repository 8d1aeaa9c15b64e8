import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { DiskChange, StatusReport } from '../../src/node/mod.ts';
import { until } from '../harness/processes.ts';
import { dfsctl, type Ended, facts, must, Scene } from './run.ts';

const MIB = 2 ** 20;
/** A drain waits for a walk over all chunks, and moves what is on the disk. */
const DRAINED_MS = 180_000;

async function sceneOf(scheme = 'replica:2'): Promise<Scene> {
  const scene = new Scene();
  onTestFinished(() => scene.clean());
  await scene.init(scheme);
  return scene;
}

function status(scene: Scene): Promise<StatusReport> {
  return facts<StatusReport>('status', scene.home);
}

async function diskOf(scene: Scene, id: number): Promise<StatusReport['disks'][number]> {
  const found = (await status(scene)).disks.find((disk) => disk.id === id);
  if (found === undefined) throw new Error(`Cannot find disk ${id} in the status`);
  return found;
}

/** Writes a file through the mount, from another process: its hash. */
async function write(scene: Scene, name: string, bytes = 2 * MIB): Promise<string> {
  const content = randomBytes(bytes);
  const source = scene.path('source');
  writeFileSync(source, content);
  await must(['cp', source, join(scene.mount, name)]);
  return createHash('sha256').update(content).digest('hex');
}

async function expectContent(scene: Scene, hashes: Record<string, string>): Promise<void> {
  await facts('cache', 'drop', scene.mount);
  for (const [name, hash] of Object.entries(hashes)) {
    const text = await must(['sha256sum', join(scene.mount, name)]);
    expect([name, text.slice(0, 64)]).toEqual([name, hash]);
  }
}

/** One clear line, nothing on stdout. */
function expectRefusal(
  { status: code, stdout, stderr }: Ended,
  expected: number,
  text: RegExp,
): void {
  expect(stderr).toMatch(text);
  expect(stderr).toMatch(/^dfsctl: Cannot [^\n]+\n$/);
  expect({ code, stdout }).toEqual({ code: expected, stdout: '' });
}

test('a disk is added to a mounted volume after a preview, and takes pieces', async () => {
  const scene = await sceneOf();
  await scene.mounted();
  const hashes = { before: await write(scene, 'before') };
  await facts('commit', scene.mount);
  mkdirSync(scene.path('d4'));
  const args = ['diskmap', 'add', scene.mount, scene.path('d4'), '--at', '1.1.1.2'];
  const preview = await facts<DiskChange>(...args, '--weight', '6000', '--dry-run');
  expect(preview).toMatchObject({ disk: 4, isDone: false, location: '1.1.1.2.1.0', weight: 6000 });
  expect(preview.plan?.shareToMove).toBeGreaterThan(0);
  expect(preview.plan?.bytesToMove).toBeGreaterThan(0);
  expect([preview.plan?.before.disks, preview.plan?.after.disks]).toEqual([3, 4]);
  expect(readdirSync(scene.path('d4'))).toEqual([]);
  expect((await status(scene)).mapVersion).toBe(1);

  const done = await facts<DiskChange>(...args, '--weight', '6000', '--yes');
  expect(done).toMatchObject({ disk: 4, isDone: true, mapVersion: 2, state: 'in' });
  for (let at = 0; at < 6; at++)
    Object.assign(hashes, { [`f${at}`]: await write(scene, `f${at}`) });
  await facts('commit', scene.mount);
  expect(await diskOf(scene, 4)).toMatchObject({ state: 'up', mapState: 'in' });
  expect((await diskOf(scene, 4)).pieces).toBeGreaterThan(0);
  await expectContent(scene, hashes);
  await facts('umount', scene.mount);
  await scene.mounted();
  expect(await diskOf(scene, 4)).toMatchObject({ state: 'up', path: scene.path('d4') });
  await expectContent(scene, hashes);
  expectRefusal(await dfsctl(...args, '--yes'), 1, /is disk 4 already/);
});

test('disks of a volume that is not mounted are added, failed, put in again and removed', async () => {
  const scene = await sceneOf();
  mkdirSync(scene.path('d4'));
  await facts('diskmap', 'add', scene.home, scene.path('d4'), '--yes');
  expect(await diskOf(scene, 4)).toMatchObject({ state: 'up', mapState: 'in' });
  await facts('diskmap', 'fail', scene.home, '2');
  expect(await diskOf(scene, 2)).toMatchObject({ mapState: 'failed', failedByHand: true });
  expect((await status(scene)).problems.join()).toContain('disk 2 is failed by hand');
  expect((await dfsctl('status', scene.home)).stdout).toMatch(/2 {2}up, failed/);
  await facts('diskmap', 'fail', scene.home, '2', '--cancel');
  expect(await diskOf(scene, 2)).toMatchObject({ mapState: 'in', failedByHand: false });
  await facts('diskmap', 'remove', scene.home, '4', '--expert');
  expect(await diskOf(scene, 4)).toMatchObject({ mapState: 'draining' });
  await facts('diskmap', 'remove', scene.home, '4', '--cancel');
  expect(await diskOf(scene, 4)).toMatchObject({ mapState: 'in' });
  await facts('diskmap', 'remove', scene.home, '4', '--expert');

  // Nothing is on it, so it is out soon after the next mount, and its folder is forgotten.
  await scene.mounted();
  const ids = async (): Promise<number[]> => (await status(scene)).disks.map(({ id }) => id);
  await until('disk 4 is out', async () => !(await ids()).includes(4));
  await facts('umount', scene.mount);
  expect(await ids()).toEqual([1, 2, 3]);
  expectRefusal(
    await dfsctl('diskmap', 'add', scene.home, scene.path('d4'), '--yes'),
    1,
    /was disk 4, which was removed/,
  );
  rmSync(scene.path('d4', 'dfs'), { recursive: true });
  const again = await facts<DiskChange>('diskmap', 'add', scene.home, scene.path('d4'), '--yes');
  expect(again.disk).toBe(5);
});

test('a disk whose folder is gone under load is served without, and used when it is back', async () => {
  const scene = await sceneOf();
  await scene.mounted();
  const hashes: Record<string, string> = { a: await write(scene, 'a') };
  await facts('commit', scene.mount);
  const load = (async () => {
    for (let at = 0; at < 8; at++) hashes[`load${at}`] = await write(scene, `load${at}`);
  })();
  renameSync(scene.disks[2] ?? '', scene.path('away'));
  await until('disk 3 is down', async () => (await diskOf(scene, 3)).state === 'down');
  await load;
  await facts('commit', scene.mount);
  const down = await diskOf(scene, 3);
  expect(down.failsAtMs).toBe((down.downSinceMs ?? 0) + 900_000);
  expect((await status(scene)).problems.join()).toMatch(/disk 3 is down: .* it is failed at/);
  await expectContent(scene, hashes);
  await facts('config', scene.mount, 'rebuildAfterMs=1');
  await until('disk 3 is failed', async () => (await diskOf(scene, 3)).mapState === 'failed');

  renameSync(scene.path('away'), scene.disks[2] ?? '');
  await until('disk 3 is in again', async () => (await diskOf(scene, 3)).mapState === 'in');
  expect(await diskOf(scene, 3)).toMatchObject({ state: 'up' });
  hashes.b = await write(scene, 'b');
  await facts('commit', scene.mount);
  await expectContent(scene, hashes);
});

test('a file system that is unmounted and mounted again is a disk that returns', async () => {
  const scene = new Scene();
  onTestFinished(() => scene.clean());
  const disk = scene.disks[1] ?? '';
  const image = scene.path('image');
  await must(['truncate', '-s', '200M', image]);
  await must(['mkfs.ext4', '-q', image]);
  await must(['mount', '-o', 'loop', image, disk]);
  scene.owns(disk);
  await scene.init();
  await scene.mounted();
  const hashes: Record<string, string> = { a: await write(scene, 'a') };
  await facts('commit', scene.mount);
  await must(['umount', '-l', disk]);
  await until('disk 2 is down', async () => (await diskOf(scene, 2)).state === 'down');
  hashes.b = await write(scene, 'b');
  await facts('commit', scene.mount);
  await must(['mount', '-o', 'loop', image, disk]);
  await until('disk 2 is up', async () => (await diskOf(scene, 2)).state === 'up');
  hashes.c = await write(scene, 'c');
  await facts('commit', scene.mount);
  await expectContent(scene, hashes);
});

test('a disk that is somewhere else now is told by diskmap add', async () => {
  const scene = await sceneOf();
  await scene.mounted();
  const hashes = { a: await write(scene, 'a') };
  await facts('commit', scene.mount);
  renameSync(scene.disks[0] ?? '', scene.path('moved'));
  await until('disk 1 is down', async () => (await diskOf(scene, 1)).state === 'down');
  const found = await facts<DiskChange>(
    'diskmap',
    'add',
    scene.mount,
    scene.path('moved'),
    '--yes',
  );
  expect(found).toMatchObject({ disk: 1, isDone: true, path: scene.path('moved') });
  expect(await diskOf(scene, 1)).toMatchObject({ state: 'up', path: scene.path('moved') });
  await expectContent(scene, hashes);
  await facts('umount', scene.mount);
  expect(await diskOf(scene, 1)).toMatchObject({ state: 'up', path: scene.path('moved') });
});

test('what cannot be done is refused and changes nothing', async () => {
  const scene = await sceneOf();
  await scene.mounted();
  const { mount, home } = scene;
  const before = await status(scene);
  const other = await sceneOf();
  mkdirSync(scene.path('d1', 'inside'));
  const cases: [args: string[], code: number, text: RegExp][] = [
    [['add', mount, scene.path('nowhere'), '--yes'], 1, /no such folder/],
    [['add', mount, scene.path('d1', 'inside'), '--yes'], 1, /overlaps with/],
    [['add', mount, home, '--yes'], 1, /HOME/],
    [['add', mount, other.disks[0] ?? '', '--yes'], 1, /holds disk 1 of volume/],
    [['fail', mount, '9'], 1, /there is none; there are 1, 2, 3/],
    [['fail', mount, '1', '--cancel'], 1, /it is in/],
    [['remove', mount, '1', '--cancel'], 1, /not being removed/],
    [['remove', mount, '1'], 2, /adds --expert/],
  ];
  for (const [args, code, text] of cases) {
    expectRefusal(await dfsctl('diskmap', ...args), code, text);
  }
  expect((await status(scene)).mapVersion).toBe(before.mapVersion);
  const wide = await sceneOf('replica:3');
  const tooFew = await dfsctl('diskmap', 'remove', wide.home, '1', '--expert');
  expectRefusal(tooFew, 1, /replica:3 needs 3 disks, 2 would be left/);
});

test('a disk with pieces is drained, through a kill, and is out when nothing is left on it', async () => {
  const scene = await sceneOf();
  await scene.mounted();
  const hashes: Record<string, string> = {};
  for (let at = 0; at < 8; at++) hashes[`f${at}`] = await write(scene, `f${at}`);
  await facts('commit', scene.mount);
  expect((await diskOf(scene, 3)).pieces).toBeGreaterThan(0);
  await facts('diskmap', 'remove', scene.mount, '3', '--expert');
  for (const pid of scene.servers()) {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    if (words.includes('daemon-main')) process.kill(pid, 'SIGKILL');
  }
  const ids = async (): Promise<number[]> => (await status(scene)).disks.map(({ id }) => id);
  await until('disk 3 is out', async () => !(await ids()).includes(3), DRAINED_MS);
  rmSync(scene.disks[2] ?? '', { recursive: true });
  await expectContent(scene, hashes);
  const fsck = await facts<{ degradedChunks: number }>('fsck', scene.mount);
  expect(fsck.degradedChunks).toBe(0);
});

test('a disk that is gone for good is removed when the others have all of it', async () => {
  const scene = await sceneOf();
  await scene.mounted();
  const hashes: Record<string, string> = {};
  for (let at = 0; at < 6; at++) hashes[`f${at}`] = await write(scene, `f${at}`);
  await facts('commit', scene.mount);
  rmSync(scene.disks[0] ?? '', { recursive: true });
  await until('disk 1 is down', async () => (await diskOf(scene, 1)).state === 'down');
  await facts('diskmap', 'remove', scene.mount, '1', '--expert');
  const ids = async (): Promise<number[]> => (await status(scene)).disks.map(({ id }) => id);
  await until('disk 1 is out', async () => !(await ids()).includes(1), DRAINED_MS);
  await expectContent(scene, hashes);
  const fsck = await facts<{ degradedChunks: number }>('fsck', scene.mount);
  expect(fsck.degradedChunks).toBe(0);
});
