import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { seedOf } from '../harness/seed.ts';
import { canMount } from '../harness/volume.ts';
import { runSeed } from './run-seed.ts';

/** The long run is `npm run torture:databases`. */
const POINTS = 12;
const LOAD_MS = 1500;

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(process.env.DFS_TEST_FOLDER ?? tmpdir(), 'dfs-databases-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

test.skipIf(!canMount).each(['weak', 'strong', 'marked'] as const)(
  '%s: databases have what they acknowledged after power cuts, and without HOME and a disk',
  async (mode) => {
    const seed = seedOf('test/databases/databases.test.ts');
    const options = { points: POINTS, mountedOneIn: POINTS, loadMs: LOAD_MS };
    const { problems } = await runSeed({ seed, folder, mode, ...options });
    expect(problems).toEqual([]);
  },
  400_000,
);
