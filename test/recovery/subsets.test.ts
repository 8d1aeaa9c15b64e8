import {
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RecoverReport } from '../../src/node/mod.ts';
import { dfsctl, facts, must, Scene } from '../cli/run.ts';
import { Dice, seedOf } from '../harness/seed.ts';
import { canMount } from '../harness/volume.ts';

const FILE = 'test/recovery/subsets.test.ts';
const EACH_TEST_MS = 900_000;

describe.skipIf(!canMount)('the disks of a volume, moved to other paths', () => {
  let scene: Scene;
  let disks: string[];
  let hashes: string;
  const dice = new Dice(seedOf(FILE));

  beforeEach(async () => {
    scene = new Scene();
    await scene.init('replica:2');
    await scene.mounted();
    await must(['mkdir', join(scene.mount, 'folder')]);
    for (let index = 0; index < 6; index++) {
      const path = join(scene.mount, 'folder', `file ${index}`);
      await must(['dd', 'if=/dev/urandom', `of=${path}`, 'bs=1K', `count=${50 + 100 * index}`]);
      if (index % 2 === 0) await facts('commit', scene.mount);
    }
    hashes = await readAll();
    await facts('umount', scene.mount);
    rmSync(scene.home, { recursive: true });
    disks = scene.disks.map((disk, index) => {
      const moved = scene.path(`moved-${dice.below(1_000_000)}-${index}`);
      renameSync(disk, moved);
      return moved;
    });
  }, EACH_TEST_MS);

  afterEach(() => scene.clean());

  async function readAll(): Promise<string> {
    const folder = join(scene.mount, 'folder');
    return must(['sh', '-c', `cd ${folder} && sha256sum *`]);
  }

  function shuffled(paths: string[]): string[] {
    const left = [...paths];
    const order: string[] = [];
    while (left.length > 0) order.push(...left.splice(dice.below(left.length), 1));
    return order;
  }

  function recover(home: string, paths: string[]): Promise<RecoverReport> {
    const options = shuffled(paths).flatMap((path) => ['--disk', path]);
    return facts<RecoverReport>('recover', home, ...options, '--cache-size=256MiB');
  }

  test(
    'are the volume in every subset that its scheme survives, in any order',
    async () => {
      const subsets = [disks, ...disks.map((lost) => disks.filter((path) => path !== lost))];
      for (const [index, subset] of shuffledSubsets(subsets).entries()) {
        const home = scene.path(`home-${index}`);
        const report = await recover(home, subset);
        expect(report).toMatchObject({ lostChunks: 0, lost: [], leftOut: [], files: 8 });
        const missing = report.disks.filter(({ problem }) => problem !== undefined);
        expect(missing.length).toBe(disks.length - subset.length);
        await facts('mount', home, scene.mount, '--read-only');
        expect(await readAll()).toBe(hashes);
        await facts('umount', scene.mount);
      }
    },
    EACH_TEST_MS,
  );

  function shuffledSubsets(subsets: string[][]): string[][] {
    const order = shuffled(subsets.map((_, index) => String(index)));
    return order.map((index) => subsets[Number(index)] ?? []);
  }

  test(
    'say which newer epochs could not be recovered, and when they were',
    async () => {
      // The last record is cut off in all logs but one, and has a flipped bit there.
      for (const [index, disk] of disks.entries()) {
        const folder = join(disk, 'dfs', 'meta');
        const name = readdirSync(folder)
          .filter((one) => one.startsWith('log-'))
          .sort()
          .at(-1);
        const path = join(folder, name ?? '');
        const bytes = readFileSync(path);
        const end = bytes.length - trailingZeros(bytes);
        if (index > 0) truncateSync(path, end - 20);
        else {
          bytes[end - 20] = (bytes[end - 20] ?? 0) ^ 1;
          writeFileSync(path, bytes);
        }
      }
      const home = scene.path('home-new');
      const { stdout } = await dfsctl(
        'recover',
        home,
        ...disks.flatMap((path) => ['--disk', path]),
      );
      const [, epoch = ''] = /as it was at epoch (\d+)/.exec(stdout) ?? [];
      const left = new RegExp(
        `epoch ${Number(epoch) + 1} of \\d{4}-\\S+ is not in it: its record is damaged`,
      );
      expect(stdout).toMatch(left);
    },
    EACH_TEST_MS,
  );
});

function trailingZeros(bytes: Buffer): number {
  let count = 0;
  while (count < bytes.length && bytes[bytes.length - 1 - count] === 0) count++;
  return count;
}
