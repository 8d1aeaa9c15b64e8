import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { MIB } from '../../src/base/limits.ts';
import { homePaths, requireConfig, writeConfig } from '../../src/home/mod.ts';
import {
  argumentsOf,
  compileFileModel,
  type FileModelOptions,
  type FileModelResult,
  FileModelRun,
} from '../../tools/torture-file/file-model.ts';
import { Dice, seedOf } from '../harness/seed.ts';
import { canMount, TestVolume } from '../harness/volume.ts';

const OPERATIONS = Number(process.env.DFS_FILE_OPERATIONS ?? 24_000);
const KILL_EVERY_MS = 1500;
const KILLS = 6;
const PROCESSES = 5;
const PROGRAMS = 4;
const KINDS = [
  { who: 'one process', several: {} },
  { who: 'several processes on one file', several: { processes: PROCESSES } },
];
const TIMEOUT_MS: number = 180_000 + OPERATIONS * 10;

let folder: string;
let program: string;

beforeAll(async () => {
  folder = mkdtempSync(join(process.env.DFS_TEST_FOLDER ?? tmpdir(), 'dfs-file-model-'));
  program = await compileFileModel(folder);
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Starts the program, which does not outlive the test. */
function start(where: string, options: FileModelOptions): FileModelRun {
  const run = new FileModelRun(program, argumentsOf(where, options));
  onTestFinished(() => run.kill());
  return run;
}

const seeded = (): string => String(seedOf('test/model/file.test.ts'));

describe('the program that compares finds no fault with a native folder', () => {
  test.each(KINDS)(
    'by $who',
    async ({ several }) => {
      const where = join(folder, 'native');
      mkdirSync(where, { recursive: true });
      const options = { operations: OPERATIONS, seed: seeded(), ...several };
      const { operations } = await start(where, options).ended;
      expect(operations).toBe(OPERATIONS);
    },
    TIMEOUT_MS,
  );

  test('and it does with one that changes under it', async () => {
    const where = join(folder, 'changing');
    mkdirSync(where);
    const run = start(where, { operations: 100_000_000, seed: seeded() });
    const other = start(where, { operations: 100_000_000, seed: seeded() });
    const first = await Promise.race([run.ended, other.ended]).catch((error: unknown) => error);
    expect(String(first)).toMatch(/DIFFERENCE in operation|failed/);
  });
});

interface Stats {
  cache: { fetches: number };
}

describe.skipIf(!canMount)('a mount is a file system as a native one is', () => {
  async function mounted(cacheBytes: number): Promise<TestVolume> {
    const volume = await TestVolume.create({ scheme: 'replica:2' });
    onTestFinished(() => volume.dispose());
    // Smaller than anybody may ask for, so that few and small files already fill it.
    await writeConfig(volume.home, { ...(await requireConfig(volume.home)), cacheBytes });
    await volume.mount();
    return volume;
  }

  async function finish(volume: TestVolume, run: FileModelRun): Promise<FileModelResult> {
    try {
      return await run.ended;
    } catch (error) {
      console.log(volume.log);
      throw error;
    }
  }

  async function fetches(volume: TestVolume): Promise<number> {
    return ((await volume.call('GET', '/stats')) as unknown as Stats).cache.fetches;
  }

  test(
    'for one process, while commits and evictions are made',
    async () => {
      const volume = await mounted(64 * MIB);
      const control = homePaths(volume.home).socket;
      const often = { control, evictEvery: 20, commitEvery: 100 };
      const options = { operations: OPERATIONS, seed: seeded(), ...often };
      await finish(volume, start(volume.mountPoint, options));
      expect(await fetches(volume)).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  test(
    'for several programs in a cache that is smaller than their files',
    async () => {
      const volume = await mounted(6 * MIB);
      const seed = Number(seeded());
      const runs = Array.from({ length: PROGRAMS }, (_, number) => {
        const where = volume.subfolder(join('mnt', String(number)));
        const options = { operations: OPERATIONS / 8, seed: String(seed + number) };
        return start(where, { ...options, sizeBytes: MIB });
      });
      for (const run of runs) await finish(volume, run);
      expect(await fetches(volume)).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  test(
    'for several processes on one file',
    async () => {
      const volume = await mounted(64 * MIB);
      const control = homePaths(volume.home).socket;
      const often = { control, evictEvery: 10, commitEvery: 50 };
      const options = { operations: OPERATIONS, seed: seeded(), processes: PROCESSES, ...often };
      await finish(volume, start(volume.mountPoint, options));
      expect(await fetches(volume)).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  test.each(KINDS)(
    'for $who, although the daemon is killed again and again',
    async ({ several }) => {
      const volume = await mounted(64 * MIB);
      const seed = seeded();
      const dice = new Dice(Number(seed));
      const control = homePaths(volume.home).socket;
      const often = { control, evictEvery: 20, commitEvery: 100 };
      const options = { operations: OPERATIONS / 4, seed, ...often, ...several };
      const run = start(volume.mountPoint, options);
      for (let kills = 0; !run.isOver && kills < KILLS; kills++) {
        const soon = pause(dice.below(KILL_EVERY_MS));
        await Promise.race([soon, run.ended.catch(() => undefined)]);
        if (run.isOver) break;
        await volume.killDaemon();
        await volume.serving();
      }
      await finish(volume, run);
    },
    TIMEOUT_MS,
  );
});
