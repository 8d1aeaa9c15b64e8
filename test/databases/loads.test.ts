import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Dice, seedOf } from '../harness/seed.ts';
import { LOADS } from './loads.ts';

const STEPS = 120;
const FLIPS = 12;

let folder: string;
let at: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dfs-loads-'));
  at = join(folder, 'original');
  mkdirSync(at);
});

afterEach(() => rmSync(folder, { recursive: true }));

const exactly = (last: number) => ({ least: last, acknowledged: last, isInstant: true });

describe.each(LOADS)('$name, on a plain folder', (load) => {
  test('what is there is judged as it is', async () => {
    const running = await load.begin(at);
    for (let number = 1; number <= STEPS; number++) await running.step(number);
    await running.close();
    expect(await load.check(at, exactly(STEPS))).toEqual([]);
    expect(await load.check(at, { ...exactly(STEPS - 1), least: 0 })).toEqual([]);
    expect(await load.check(at, exactly(STEPS + 1))).not.toEqual([]);
    expect(await load.check(at, exactly(STEPS - 2))).not.toEqual([]);
  });

  test('other bytes, and what is missing, are seen', async () => {
    const dice = new Dice(seedOf('test/databases/loads.test.ts'));
    const running = await load.begin(at);
    for (let number = 1; number <= STEPS; number++) await running.step(number);
    await running.close();
    let seen = 0;
    for (let flip = 0; flip < FLIPS; flip++) {
      const copy = join(folder, `copy-${flip}`);
      cpSync(at, copy, { recursive: true });
      damage(copy, dice);
      const problems = await load
        .check(copy, exactly(STEPS))
        .catch((error: unknown) => [String(error)]);
      if (problems.length > 0) seen++;
    }
    // Not every bit of a database matters to what is in it.
    expect(seen).toBeGreaterThan(FLIPS / 4);
  });
});

/** Overwrites or cuts off a part of the largest file. */
function damage(place: string, dice: Dice): void {
  const files = readdirSync(place, { recursive: true, encoding: 'utf8' })
    .map((name) => join(place, name))
    .filter((path) => statSync(path).isFile() && statSync(path).size > 1000);
  const path = dice.pick(files);
  const bytes = readFileSync(path);
  if (dice.below(2) === 0) writeFileSync(path, bytes.subarray(0, dice.below(bytes.length)));
  else {
    const at = dice.below(bytes.length - 500);
    writeFileSync(path, bytes.fill(0xa5, at, at + 500));
  }
}
