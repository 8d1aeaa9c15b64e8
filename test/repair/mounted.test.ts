import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createDiskMap, decodeDiskMap, encodeDiskMap } from '../../src/diskmap/mod.ts';
import type { FsckReport, SchemeReport, StatusReport, WorkFacts } from '../../src/node/mod.ts';
import { dfsctl, facts, must, Scene } from '../cli/run.ts';
import { until } from '../harness/processes.ts';
import { canMount } from '../harness/volume.ts';

/** Many calls of dfsctl, each a process of its own, on a machine that may be busy. */
vi.setConfig({ testTimeout: 400_000 });

let scene: Scene;

beforeEach(() => {
  scene = new Scene();
});

afterEach(() => scene.clean());

const wait = (): Promise<WorkFacts> => facts<WorkFacts>('work', 'wait', scene.mount);
const status = (): Promise<StatusReport> => facts<StatusReport>('status', scene.mount);
const fsck = (): Promise<FsckReport> => facts<FsckReport>('fsck', scene.mount);

async function fill(name: string, mebibytes: number): Promise<string> {
  const path = join(scene.mount, name);
  await must(['dd', 'if=/dev/urandom', `of=${path}`, 'bs=1M', `count=${mebibytes}`]);
  return must(['sha256sum', path]);
}

/** A map in which disk `id` is failed is the newest, of HOME and all disks. */
function failDisk(id: number): void {
  const path = join(scene.home, 'diskmap');
  const map = decodeDiskMap(readFileSync(path));
  const disks = map.disks.map((disk) =>
    disk.id === id ? { ...disk, state: 'failed' as const } : disk,
  );
  const next = encodeDiskMap(createDiskMap({ ...map, version: map.version + 1, disks }));
  writeFileSync(path, next);
}

/** Flips a bit in the middle of each bucket file of a disk. */
function flip(disk: string): number {
  const folder = join(disk, 'dfs/buckets');
  const files = readdirSync(folder).filter((name) => readFileSync(join(folder, name)).length > 1e6);
  for (const name of files) {
    const bytes = readFileSync(join(folder, name));
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 4;
    writeFileSync(join(folder, name), bytes, { flag: 'r+' });
  }
  return files.length;
}

test.skipIf(!canMount)(
  'what a failed disk had is built anew, and the volume survives the next',
  async () => {
    await scene.init('replica:2');
    await scene.mounted();
    const sum = await fill('file', 40);
    await facts('commit', scene.mount);
    await wait();
    expect(await status()).toMatchObject({ health: 'healthy', problems: [] });
    await facts('umount', scene.mount);
    failDisk(2);
    renameSync(scene.disks[1] ?? '', scene.path('gone'));
    await scene.mounted();
    const work = await wait();
    expect(work).toMatchObject({ state: 'idle', problem: '' });
    expect(work.lastWalk).toMatchObject({ degraded: 0, misplaced: 0, lost: 0, isCurrent: true });
    expect(work.totals.bytes.rebuild).toBeGreaterThan(20e6);
    expect(await fsck()).toMatchObject({ degradedChunks: 0, lost: [], inconsistencies: [] });
    await facts('umount', scene.mount);
    // Now the first one goes as well, and HOME: all is on the third.
    rmSync(scene.home, { recursive: true });
    rmSync(scene.disks[0] ?? '', { recursive: true });
    await facts('recover', scene.home, ...scene.diskOptions(3), '--cache-size=256MiB');
    await scene.mounted();
    expect(await must(['sha256sum', join(scene.mount, 'file')])).toBe(sum);
  },
);

test.skipIf(!canMount)('a scrub finds what rotted at rest, and it is repaired', async () => {
  await scene.init('ec:2+1');
  await scene.mounted();
  const sum = await fill('file', 40);
  await facts('umount', scene.mount);
  const flips = flip(scene.disks[0] ?? '');
  expect(flips).toBeGreaterThan(0);
  await scene.mounted();
  await wait();
  const work = await facts<WorkFacts>('scrub', 'start', scene.mount, '--wait');
  expect(work.scrub).toMatchObject({ lastBad: flips });
  expect(await fsck()).toMatchObject({ degradedChunks: 0, lost: [] });
  expect(await status()).toMatchObject({ health: 'healthy' });
  await facts('cache', 'drop', scene.mount);
  expect(await must(['sha256sum', join(scene.mount, 'file')])).toBe(sum);
});

test.skipIf(!canMount)(
  'pause holds until resume, also over a mount; a limit is shown',
  async () => {
    await scene.init('replica:2');
    await scene.mounted();
    await fill('file', 9);
    await facts('work', 'limit', '50MB', scene.mount);
    await facts('work', 'pause', scene.mount);
    await facts('umount', scene.mount);
    failDisk(2);
    await scene.mounted();
    const shown = await facts<WorkFacts>('work', 'show', scene.mount);
    expect(shown).toMatchObject({ state: 'paused', pausedBy: 'user', limit: 50e6 });
    const refused = await dfsctl('work', 'wait', scene.mount);
    expect(refused).toMatchObject({ status: 1 });
    expect(refused.stderr).toContain('it is paused'.slice(6));
    expect(await status()).toMatchObject({ health: 'degraded', problems: ['disk 2 is failed'] });
    await facts('work', 'resume', scene.mount);
    expect((await wait()).lastWalk).toMatchObject({ degraded: 0, misplaced: 0 });
    expect((await dfsctl('work', 'show', scene.mount)).stdout).toContain('nothing to do');
  },
);

test.skipIf(!canMount)('verbs of background work refuse what cannot be', async () => {
  await scene.init('replica:2');
  for (const verb of [
    ['work', 'show'],
    ['work', 'wait'],
    ['scrub', 'start'],
  ]) {
    const refused = await dfsctl(...verb, scene.home);
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toMatch(/^dfsctl: Cannot .*it is not mounted/);
  }
  await scene.mounted('--read-only');
  const refused = await dfsctl('work', 'pause', scene.mount);
  expect(refused).toMatchObject({ status: 1, stdout: '' });
  expect(refused.stderr).toContain('read-only');
  expect((await dfsctl('work', 'limit', 'fast', scene.mount)).status).toBe(2);
  expect((await status()).health).toBe('unchecked');
});

/** Kilobytes that the buckets of all disks take, holes not counted. */
async function diskKib(): Promise<number> {
  const folders = scene.disks.map((disk) => join(disk, 'dfs/buckets'));
  const lines = (await must(['du', '-sk', ...folders])).trim().split('\n');
  return lines.reduce((sum, line) => sum + Number.parseInt(line, 10), 0);
}

/** kill -9 of the daemon; another one takes over. */
function killDaemon(): void {
  const isDaemon = (pid: number): boolean =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('daemon-main.js');
  for (const pid of scene.servers().filter(isDaemon)) process.kill(pid, 'SIGKILL');
}

/** Waits for the work through daemons that die. */
async function waitThrough(kills: number): Promise<void> {
  for (let kill = 0; kill < kills; kill++) {
    await until('something is being done', async () => {
      const { state, bytes } = await facts<WorkFacts>('work', 'show', scene.mount);
      return state === 'idle' || (state === 'working' && bytes > 0);
    });
    killDaemon();
  }
  await facts('work', 'limit', 'none', scene.mount);
  await wait();
}

test.skipIf(!canMount)(
  'another scheme and back, through daemons that die: all is read, the space is that of the scheme',
  async () => {
    await scene.init('replica:2');
    await scene.mounted();
    const sum = await fill('file', 40);
    await facts('commit', scene.mount);
    const before = await diskKib();
    const refused = await dfsctl('scheme', 'set', 'ec:4+2', scene.mount);
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toContain('it needs 6 disks, 3 were given');
    await facts('work', 'limit', '15MB', scene.mount);
    await facts('scheme', 'set', 'ec:2+1', scene.mount);
    await waitThrough(1);
    expect(await fsck()).toMatchObject({ degradedChunks: 0, lost: [], inconsistencies: [] });
    const { stored } = await facts<SchemeReport>('scheme', 'show', scene.mount);
    expect(stored.map(({ scheme }) => scheme)).toEqual(['ec:2+1']);
    expect(await diskKib()).toBeLessThan(before * 0.85);
    await facts('scheme', 'set', 'replica:2', scene.mount);
    await wait();
    expect(await fsck()).toMatchObject({ degradedChunks: 0, lost: [], inconsistencies: [] });
    expect(await diskKib()).toBeLessThan(before * 1.05);
    await facts('cache', 'drop', scene.mount);
    expect(await must(['sha256sum', join(scene.mount, 'file')])).toBe(sum);
  },
);

test.skipIf(!canMount)('space of what was deleted comes back on the disks', async () => {
  await scene.init('replica:2');
  await scene.mounted();
  await facts('config', scene.mount, 'retentionMs=1s', 'garbageGraceMs=1s');
  const sum = await fill('kept', 10);
  await facts('commit', scene.mount);
  const kept = await diskKib();
  await fill('gone', 30);
  await facts('commit', scene.mount);
  expect(await diskKib()).toBeGreaterThan(kept + 50_000);
  rmSync(join(scene.mount, 'gone'));
  await facts('commit', scene.mount);
  await until('the space is back', async () => (await diskKib()) < kept + 1000);
  const work = await wait();
  expect(work.totals.bytes.garbage).toBeGreaterThan(50e6);
  expect(await fsck()).toMatchObject({ degradedChunks: 0, lost: [], inconsistencies: [] });
  await facts('cache', 'drop', scene.mount);
  expect(await must(['sha256sum', join(scene.mount, 'kept')])).toBe(sum);
});

test.skipIf(!canMount)('fsck --repair mends pieces and counts', async () => {
  await scene.init('replica:2');
  await scene.mounted();
  await fill('file', 12);
  await facts('umount', scene.mount);
  const flips = flip(scene.disks[1] ?? '');
  const database = new Database(join(scene.home, 'committed.sqlite'));
  database.exec('update chunk set refs = refs + 5');
  database.close();
  expect((await dfsctl('fsck', scene.home, '--repair')).stderr).toContain('it is not mounted');
  await scene.mounted();
  const report = await facts<FsckReport>('fsck', scene.mount, '--repair');
  expect(report.pieces.bad).toBe(flips);
  expect(report.inconsistencies).toEqual([]);
  expect(report.repaired).toMatchObject({ references: 3, degradedChunks: 0, lostChunks: 0 });
  expect(report.repaired?.bytes).toBeGreaterThan(0);
  const after = await fsck();
  expect(after).toMatchObject({ degradedChunks: 0, lost: [], inconsistencies: [] });
  expect(after.pieces.bad).toBe(0);
});

test.skipIf(!canMount)(
  'a disk is added and another fails, through daemons that die in the middle of it',
  async () => {
    await scene.init('replica:2');
    await scene.mounted();
    const sum = await fill('file', 60);
    await facts('commit', scene.mount);
    await facts('work', 'limit', '10MB', scene.mount);
    mkdirSync(scene.path('d4'));
    await facts('diskmap', 'add', scene.home, scene.path('d4'), '--yes');
    await waitThrough(2);
    expect(await fsck()).toMatchObject({ degradedChunks: 0, lost: [], inconsistencies: [] });
    const { disks } = await status();
    expect(disks.find(({ id }) => id === 4)?.pieces).toBeGreaterThan(0);
    await facts('work', 'limit', '10MB', scene.mount);
    renameSync(scene.disks[0] ?? '', scene.path('gone'));
    await facts('diskmap', 'fail', scene.home, '1');
    await waitThrough(2);
    const work = await wait();
    expect(work.lastWalk).toMatchObject({ degraded: 0, misplaced: 0, lost: 0, isCurrent: true });
    expect(await fsck()).toMatchObject({ degradedChunks: 0, lost: [], inconsistencies: [] });
    await facts('cache', 'drop', scene.mount);
    expect(await must(['sha256sum', join(scene.mount, 'file')])).toBe(sum);
  },
);
