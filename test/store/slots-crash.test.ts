import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../bucket/fixture.ts';
import { Dice, seedOf } from '../harness/seed.ts';
import { allIn, folderSlots, slotPlacer, slotsOver, text } from './slots-fixture.ts';

const PROGRAM = resolve(import.meta.dirname, '../../dist/test/programs/slot-writer-main.js');
const dice = new Dice(seedOf('test/store/slots-crash.test.ts'));

/** Lets a writer count until it has counted so far, and kills it: first and last it has printed. */
async function killedWriter(folders: readonly string[], writes: number): Promise<[number, number]> {
  const child = spawn(process.execPath, [PROGRAM, ...folders], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const printed: number[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    printed.push(Number(line));
    if (printed.length > writes) child.kill('SIGKILL');
  }
  await ended;
  return [printed[0] ?? Number.NaN, printed.at(-1) ?? Number.NaN];
}

test('a slot in folders has what was acknowledged, however often its writer is killed', async () => {
  const root = await temporaryFolder();
  const folders = [1, 2, 3].map((id) => join(root, `disk-${id}`));
  for (const folder of folders) await mkdir(folder);
  let acknowledged = 0;
  for (let life = 0; life < 6; life++) {
    const away = dice.below(4);
    const present = folders.map((folder, at) => (at === away ? '-' : folder));
    const [first, last] = await killedWriter(present, 1 + dice.below(5));
    // What was under way when the last one was killed counts for all, or for nobody.
    expect([acknowledged, acknowledged + 1]).toContain(first);
    expect(last).toBeGreaterThan(first);
    acknowledged = last;
  }
  const disks = folders.map((folder, at) => folderSlots(folder, at + 1));
  const slots = slotsOver(disks, slotPlacer(1, allIn(3)));
  const found = Number(text(await slots.get('count')));
  expect([acknowledged, acknowledged + 1]).toContain(found);
  await slots.rebalance();
  for (const lost of [0, 1, 2]) {
    const left = disks.map((disk, at) => (at === lost ? undefined : disk));
    expect(text(await slotsOver(left, slotPlacer(1, allIn(3))).get('count'))).toBe(String(found));
  }
});
