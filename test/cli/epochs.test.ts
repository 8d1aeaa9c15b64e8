import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { EpochsReport, StatusReport } from '../../src/node/mod.ts';
import { dfsctl, facts, isMounted, must, Scene } from './run.ts';

let scene: Scene;

beforeEach(() => {
  scene = new Scene();
});

afterEach(async () => {
  await scene.clean();
});

/** A folder of the scene to mount on. */
function folder(name: string): string {
  const path = scene.path(name);
  mkdirSync(path);
  scene.owns(path);
  return path;
}

/** Files and their hashes, by the kernel and other programs. */
async function hashesOf(mountPoint: string): Promise<string> {
  return must(['sh', '-c', `cd ${mountPoint} && find . -type f | sort | xargs -r sha256sum`]);
}

async function epochNow(): Promise<number> {
  await facts('commit', scene.mount);
  return (await facts<{ epoch: number }>('status', scene.home)).epoch;
}

async function changed(round: number): Promise<void> {
  const file = (name: string): string => join(scene.mount, name);
  await must(['dd', 'if=/dev/urandom', `of=${file('large')}`, 'bs=1M', 'count=9', 'status=none']);
  await must(['sh', '-c', `echo round ${round} > ${file(`small-${round}`)}`]);
  await must(['sh', '-c', `echo round ${round} > ${file('same name')}; rm -f ${file('small-1')}`]);
}

test('epochs are mounted as they were, several at once, beside the volume and without it', {
  timeout: 400_000,
}, async () => {
  await scene.init();
  await scene.mounted();
  const wanted = new Map<number, string>();
  for (let round = 1; round <= 3; round++) {
    await changed(round);
    wanted.set(await epochNow(), await hashesOf(scene.mount));
  }
  const [first = 0, second = 0, third = 0] = [...wanted.keys()];
  const [one, two] = [folder('one'), folder('two')];
  const mounted = await facts('mount', scene.home, one, '--epoch', `${first}`, '--read-only');
  expect(mounted).toMatchObject({
    home: scene.home,
    mountPoint: one,
    readOnly: true,
    epoch: first,
  });
  await facts('mount', scene.home, two, '--epoch', `${second}`, '-o', 'ro');
  await changed(4);
  const fourth = await epochNow();
  expect(await hashesOf(one)).toBe(wanted.get(first));
  expect(await hashesOf(two)).toBe(wanted.get(second));
  expect((await dfsctl('status', one)).stdout).toMatch(`epoch ${first},`);
  const listed = await facts<EpochsReport>('epochs', scene.mount);
  expect(listed).toMatchObject({ newest: fourth, windowStart: 0, disks: 3, unusable: [] });
  const folders = (): string[] => readdirSync(join(scene.home, 'epochs'));
  await facts('umount', one);
  await expect.poll(folders, { timeout: 30_000 }).toHaveLength(1);
  await facts('umount', scene.mount);
  // The volume itself is not mounted any more; its past still is, and can be.
  expect(await hashesOf(two)).toBe(wanted.get(second));
  await facts('mount', scene.home, one, '--epoch', `${third}`, '--read-only');
  expect(await hashesOf(one)).toBe(wanted.get(third));
  await scene.mounted();
  const words = await dfsctl('epochs', one);
  expect(words).toMatchObject({ status: 0, stderr: '' });
  expect(words.stdout).toMatch(`newest      epoch ${fourth}`);
  for (const mountPoint of [one, two, scene.mount]) await facts('umount', mountPoint);
  await expect.poll(folders, { timeout: 30_000 }).toEqual([]);
  await expect.poll(() => scene.servers(), { timeout: 30_000 }).toEqual([]);
});

test('what cannot be mounted of the past is one line, and leaves nothing', async () => {
  await scene.init();
  const old = folder('old');
  const lines: [string[], RegExp][] = [
    [['--epoch', '0'], /^dfsctl: Cannot mount epoch 0 of .*: .* add --read-only\n$/],
    [['--epoch', '7', '--read-only'], /^dfsctl: Cannot open epoch 7: there is none of this number/],
    [['--epoch', 'x', '--read-only'], /^dfsctl: Cannot use .*number of an epoch/],
  ];
  for (const [options, line] of lines) {
    const { status, stdout, stderr } = await dfsctl('mount', scene.home, old, ...options);
    expect(status).not.toBe(0);
    expect(stdout).toBe('');
    expect(stderr).toMatch(line);
    expect(stderr.split('\n')).toHaveLength(2);
  }
  expect(isMounted(old)).toBe(false);
  await expect.poll(() => scene.servers(), { timeout: 30_000 }).toEqual([]);
  const { home, disks } = scene;
  expect(readdirSync(join(home, 'epochs'))).toEqual([]);
  // A disk that is gone is said; without any there is nothing to list.
  rmSync(disks[2] ?? '', { recursive: true });
  const some = await dfsctl('epochs', home);
  expect(some.status).toBe(0);
  expect(some.stderr).toMatch(/^dfsctl: disk 3 was not asked: .* is not there\n$/);
  for (const disk of disks) rmSync(disk, { recursive: true, force: true });
  const none = await dfsctl('epochs', home);
  expect(none.status).toBe(1);
  expect(none.stderr).toMatch(/^dfsctl: Cannot list the epochs of .*: no disk can be used: /);
});

test('a mount of the past that was killed is cleaned up by the next snapshot', async () => {
  await scene.init();
  await scene.mounted();
  writeFileSync(scene.path('file'), 'x');
  await must(['cp', scene.path('file'), scene.mount]);
  const epoch = await epochNow();
  const before = new Set(scene.servers());
  const old = folder('old');
  await facts('mount', scene.home, old, '--epoch', `${epoch}`, '--read-only');
  for (const pid of scene.servers()) if (!before.has(pid)) process.kill(pid, 'SIGKILL');
  await expect.poll(() => scene.servers().length, { timeout: 30_000 }).toBe(before.size);
  expect(readdirSync(join(scene.home, 'epochs'))).toHaveLength(1);
  await facts('config', scene.mount, 'retentionMs=1000');
  await must(['cp', scene.path('file'), join(scene.mount, 'again')]);
  await epochNow();
  const left = (): string[] => readdirSync(join(scene.home, 'epochs'));
  await expect.poll(left, { timeout: 60_000 }).toEqual([]);
});

/** What the disks of the scene take. */
async function usedMib(): Promise<number> {
  const lines = (await must(['du', '-sm', ...scene.disks])).trim().split('\n');
  return lines.reduce((sum, line) => sum + Number.parseInt(line, 10), 0);
}

test('space comes back when files are deleted, but not while the past is mounted', async () => {
  await scene.init();
  // Nothing is retained for its age: snapshots come every second, garbage goes when it may.
  await facts('config', scene.home, 'retentionMs=1000', 'garbageGraceMs=0');
  await scene.mounted();
  const large = join(scene.mount, 'large');
  await must(['dd', 'if=/dev/urandom', `of=${large}`, 'bs=1M', 'count=20', 'status=none']);
  const epoch = await epochNow();
  const wanted = await hashesOf(scene.mount);
  const old = folder('old');
  await facts('mount', scene.home, old, '--epoch', `${epoch}`, '--read-only');
  await must(['rm', large]);
  await epochNow();
  // The epoch is in no snapshot any more, and before the window.
  const isRetained = async (): Promise<boolean> => {
    const { windowStart, snapshots } = await facts<EpochsReport>('epochs', scene.home);
    return windowStart <= epoch || snapshots.some((one) => one.epoch === epoch);
  };
  await expect.poll(isRetained, { timeout: 120_000, interval: 500 }).toBe(false);
  await facts('work', 'wait', scene.mount);
  expect(await usedMib()).toBeGreaterThanOrEqual(40);
  expect(await hashesOf(old)).toBe(wanted);
  await facts('umount', old);
  await expect.poll(usedMib, { timeout: 120_000, interval: 500 }).toBeLessThan(10);
  const { retained } = await facts<StatusReport>('status', scene.mount);
  expect(retained).toMatchObject({ garbageChunks: 0, retainedChunks: 0 });
}, 400_000);
