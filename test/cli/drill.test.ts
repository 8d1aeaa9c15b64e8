import { cpSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RecoverReport } from '../../src/node/mod.ts';
import type { DrillFacts } from '../../tools/dfsctl/drill.ts';
import { dfsctl, facts, must, run, Scene } from './run.ts';
import { snapshotOf } from './snapshot-of.ts';

const FILES = 12;
const EACH_TEST_MS = 900_000;

let scene: Scene;

beforeEach(async () => {
  scene = new Scene();
  await scene.init();
  await scene.mounted();
}, EACH_TEST_MS);

afterEach(() => scene.clean());

/** Files of some hundred kilobytes, in folders. */
async function fill(): Promise<void> {
  await must(['mkdir', '-p', join(scene.mount, 'a', 'b')]);
  for (let index = 0; index < FILES; index++) {
    const path = join(scene.mount, 'a', 'b', `file ${index}`);
    await must(['dd', 'if=/dev/urandom', `of=${path}`, 'bs=1K', 'count=200']);
  }
}

/** Ends everything that serves the volume, as a power cut does. */
async function killServers(): Promise<void> {
  for (const pid of scene.servers()) process.kill(pid, 'SIGKILL');
  while (scene.servers().length > 0) await new Promise((resolve) => setImmediate(resolve));
  await run(['umount', '--lazy', scene.mount]);
}

/** What is on the disks, but for slots: the volume itself notes there what it has committed. */
function onDisks(): [string, string][] {
  return Object.entries(snapshotOf(...scene.disks)).filter(([path]) => !path.includes('/slots'));
}

async function failing(...args: string[]): Promise<{ drill: DrillFacts; status: unknown }> {
  const { status, stdout } = await dfsctl('drill', ...args, '--json');
  return { drill: JSON.parse(stdout) as DrillFacts, status };
}

const NOTHING = { chunks: 0, bytes: 0, files: 0, paths: [] };

test(
  'a drill of a mounted volume says what only HOME has, and changes nothing on its disks',
  async () => {
    await fill();
    await must(['ln', join(scene.mount, 'a', 'b', 'file 0'), join(scene.mount, 'linked')]);
    const changed = join(scene.mount, 'a', 'b', 'file 1');
    // A commit may come by itself before the daemon is killed.
    for (;;) {
      await facts('commit', scene.mount);
      await must(['dd', 'if=/dev/urandom', `of=${changed}`, 'bs=1K', 'count=100']);
      await killServers();
      const { home } = await facts<DrillFacts>('drill', scene.home);
      if (home.files === 0) {
        await scene.mounted();
        continue;
      }
      expect(home).toMatchObject({ files: 1, paths: ['/a/b/file 1'] });
      expect(home.bytes).toBeGreaterThanOrEqual(100 * 1024);
      break;
    }
    await scene.mounted('--read-only');
    const { home } = await facts<DrillFacts>('drill', scene.mount);
    expect(home.paths).toEqual(['/a/b/file 1']);
    expect(home.bytes).toBeGreaterThanOrEqual(100 * 1024);
    await facts('umount', scene.mount);
    await scene.mounted();
    await facts('commit', scene.mount);
    const disks = onDisks();
    const drill = await facts<DrillFacts>('drill', scene.mount);
    expect(onDisks()).toEqual(disks);
    expect(drill.home).toMatchObject({ files: 0, bytes: 0, operations: 0, paths: [] });
    expect(drill).toMatchObject({ lost: NOTHING, degradedChunks: 0, chunks: FILES, problems: [] });
    expect(drill.disks.map(({ loss }) => loss)).toEqual([NOTHING, NOTHING, NOTHING]);
    expect(drill.rehearsal).toMatchObject({ epoch: drill.epoch, differences: [], inodes: 15 });
    expect(readdirSync(scene.home).filter((name) => name.startsWith('drill'))).toEqual([]);
  },
  EACH_TEST_MS,
);

test(
  'what a drill says of the loss of a disk is what a recovery without it finds',
  async () => {
    await fill();
    await facts('umount', scene.mount);
    const [d1 = '', d2 = '', d3 = ''] = scene.disks;
    renameSync(join(d2, 'dfs'), scene.path('away'));
    const drill = await facts<DrillFacts>('drill', scene.home);
    expect(drill.lost).toEqual(NOTHING);
    expect(drill.degradedChunks).toBeGreaterThan(0);
    expect(drill.disks[1]?.problem).toContain('is not there');
    const found: number[] = [];
    for (const [lost, left] of [
      [1, d3],
      [3, d1],
    ] as const) {
      const copy = scene.path(`copy of ${left.slice(-2)}`);
      cpSync(left, copy, { recursive: true });
      const home = scene.path(`without ${lost}`);
      const { stdout } = await dfsctl('recover', home, '--disk', copy, '--json');
      const recovered = JSON.parse(stdout) as RecoverReport;
      const loss = drill.disks.find(({ id }) => id === lost)?.loss;
      expect(loss?.chunks).toBe(recovered.lostChunks);
      expect(loss?.bytes).toBe(recovered.lostBytes);
      const paths = recovered.lost.flatMap((chunk) => chunk.paths);
      expect(loss?.files).toBe(paths.length);
      expect(paths).toEqual(expect.arrayContaining(loss?.paths ?? []));
      found.push(recovered.lostChunks);
    }
    expect(Math.max(...found)).toBeGreaterThan(0);
  },
  EACH_TEST_MS,
);

test(
  'the last disk with the metadata is everything, and no chunk that is lost goes unsaid',
  async () => {
    await fill();
    await facts('umount', scene.mount);
    for (const disk of scene.disks.slice(1)) rmSync(join(disk, 'dfs'), { recursive: true });
    const { drill, status } = await failing(scene.home);
    expect(drill.disks.map(({ hasOnlyMetadata }) => hasOnlyMetadata)).toEqual([true, false, false]);
    expect(status).toBe(drill.lost.chunks > 0 ? 1 : 0);
    const { stdout } = await dfsctl('drill', scene.home);
    expect(stdout).toMatch(/disk 1: EVERYTHING/);
  },
  EACH_TEST_MS,
);

test(
  'a recovery that would fail, or come to another state, is said, and the status is 1',
  async () => {
    await fill();
    await facts('umount', scene.mount);
    const committed = new Database(join(scene.home, 'committed.sqlite'));
    committed.exec('update inode set uid = 77 where ino = (select max(ino) from inode)');
    committed.close();
    const other = await failing(scene.home);
    expect(other.status).toBe(1);
    expect(other.drill.rehearsal).toMatchObject({
      differences: [expect.stringMatching(/^table inode: 1 of 15 rows$/)],
    });
    for (const disk of scene.disks) {
      const folder = join(disk, 'dfs', 'meta');
      for (const name of readdirSync(folder)) {
        if (name.startsWith('snapshot-')) rmSync(join(folder, name));
      }
    }
    const failed = await failing(scene.home);
    expect(failed.status).toBe(1);
    expect(failed.drill.rehearsal.failure).toContain('Cannot read a metadata snapshot');
    expect((await dfsctl('drill', scene.home)).stdout).toMatch(/A recovery would FAIL/);
  },
  EACH_TEST_MS,
);
