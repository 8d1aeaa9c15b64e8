import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { seedOf } from '../harness/seed.ts';
import { canMount } from '../harness/volume.ts';

const PROGRAM = resolve(import.meta.dirname, '../../dist/tools/torture/main.js');
const FILE = 'test/crash/points.test.ts';
const POINTS = Number(process.env.DFS_POINTS ?? 220);
const SEEDS = 22;
const run = promisify(execFile);

interface Done {
  points: number;
  violations: object[];
}

describe.skipIf(!canMount)('the power is cut', () => {
  test(`at ${POINTS} random points, and what was acknowledged is there`, async () => {
    if (!existsSync(PROGRAM)) throw new Error(`Cannot cut the power: build ${PROGRAM} first`);
    const seed = seedOf(FILE);
    const wanted = { seed, points: POINTS, 'per-seed': Math.ceil(POINTS / SEEDS), minutes: 60 };
    const flags = Object.entries(wanted).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const { stdout } = await run(process.execPath, [PROGRAM, ...flags]).catch((error: unknown) => {
      // What was found, and how to see it again, is on the other stream.
      console.log((error as { stderr?: string }).stderr);
      return error as { stdout: string };
    });
    const { points, violations } = JSON.parse(stdout) as Done;
    expect(violations).toEqual([]);
    expect(points).toBe(POINTS);
  }, 600_000);
});
