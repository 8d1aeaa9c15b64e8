import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { DfsError } from '../../src/base/errors.ts';
import type { DiskId } from '../../src/base/ids.ts';
import type { DiskEntry } from '../../src/diskmap/mod.ts';
import { Dice, seedOf } from '../harness/seed.ts';
import { entryOf, WorkRig } from './rig.ts';

const LEAVING: DiskEntry['state'] = 'draining';
const ALL = Array.from({ length: 60 }, (_, at) => at);

async function rigOf(count: number, scheme: string): Promise<WorkRig> {
  const rig = await WorkRig.create(count, scheme);
  onTestFinished(() => rig.remove());
  return rig;
}

const leave =
  (id: number) =>
  (disks: DiskEntry[]): DiskEntry[] =>
    disks.map((disk) => (disk.id === id ? { ...disk, state: LEAVING } : disk));

const add =
  (id: number) =>
  (disks: DiskEntry[]): DiskEntry[] => [...disks, entryOf(id)];

for (const scheme of ['replica:2', 'ec:2+1']) {
  test(`what a lost disk had of ${scheme} is built anew on the others`, async () => {
    const rig = await rigOf(5, scheme);
    await rig.put(ALL);
    await rig.lose(2);
    await rig.change(leave(2));
    const facts = await rig.settle();
    expect(facts).toMatchObject({ state: 'idle', problem: '' });
    expect(facts.lastWalk).toMatchObject({ isCurrent: true, degraded: 0, misplaced: 0, lost: 0 });
    expect(facts.totals.bytes.rebuild).toBeGreaterThan(0);
    expect(await rig.problems()).toEqual([]);
    expect(await rig.unreadable()).toEqual([]);
  });

  test(`pieces of ${scheme} move to a disk that was added, and off one that leaves`, async () => {
    const rig = await rigOf(4, scheme);
    await rig.put(ALL);
    const before = await rig.usedBytes();
    await rig.change(add(5));
    await rig.settle();
    expect(await rig.problems()).toEqual([]);
    expect((await rig.chunks.health())[4]?.usage?.pieces).toBeGreaterThan(5);
    await rig.change(leave(1));
    await rig.settle();
    expect(await rig.problems()).toEqual([]);
    expect((await rig.chunks.health())[0]?.usage?.pieces).toBe(0);
    expect(await rig.usedBytes()).toBe(before);
  });
}

test('pieces wait for a disk that is away, and nothing is called healthy meanwhile', async () => {
  const rig = await rigOf(5, 'replica:2');
  await rig.put(ALL);
  await rig.lose(2);
  const facts = await rig.settle();
  expect(facts.state).toBe('waiting');
  expect(facts.lastWalk?.degraded).toBeGreaterThan(0);
  expect(facts.lastWalk?.waiting).toBe(facts.lastWalk?.degraded);
  expect(facts.totals.bytes.rebuild).toBe(0);
});

test('chunks take another scheme and the old one back, and the space comes back', async () => {
  const rig = await rigOf(5, 'replica:2');
  await rig.put(ALL, 50_000);
  const before = await rig.usedBytes();
  await rig.change((disks) => disks, 'ec:2+1');
  await rig.settle();
  expect(await rig.problems()).toEqual([]);
  expect(await rig.usedBytes()).toBeLessThan(before * 0.8);
  await rig.change((disks) => disks, 'replica:2');
  await rig.settle();
  expect(await rig.problems()).toEqual([]);
  expect(await rig.usedBytes()).toBe(before);
  expect(await rig.unreadable()).toEqual([]);
});

test('dead chunks go when nothing protects them, and pieces that nobody knows', async () => {
  const rig = await rigOf(4, 'replica:2');
  await rig.put(ALL);
  const before = await rig.usedBytes();
  await rig.put([100, 101, 102]);
  rig.drop([100, 101]);
  rig.protectedUpTo = rig.epoch;
  await rig.settle();
  expect(rig.rows.all()).toHaveLength(63);
  rig.protectedUpTo = 0;
  const facts = await rig.settle();
  expect(facts.totals.forgotten).toBe(2);
  expect(rig.rows.all()).toHaveLength(61);
  rig.drop([102]);
  for (const { id, died } of rig.rows.all()) if (died !== null) rig.rows.forget(id);
  await rig.settle();
  expect(await rig.usedBytes()).toBe(before);
  expect(await rig.problems()).toEqual([]);
});

async function flip(folder: string, bytesFrom: number): Promise<void> {
  const [file = ''] = await readdir(join(folder, 'buckets'));
  const path = join(folder, 'buckets', file);
  const bytes = await readFile(path);
  bytes[bytesFrom] = (bytes[bytesFrom] ?? 0) ^ 8;
  await writeFile(path, bytes, { flag: 'r+' });
}

test('a scrub finds flipped bits, and what it finds is repaired', async () => {
  const rig = await rigOf(4, 'ec:2+1');
  await rig.put(ALL);
  await flip(rig.folderOf(1), 9000);
  await flip(rig.folderOf(3), 9000);
  const work = await rig.start();
  await work.scrubNow();
  await work.wait();
  while (work.facts.scrub.lastBad !== 2) await new Promise((resolve) => setTimeout(resolve, 10));
  await work.wait();
  await work.close();
  expect(await rig.problems()).toEqual([]);
  expect(work.facts.totals.bytes.rebuild).toBeGreaterThan(0);
});

test('a chunk that a read found bad is repaired without a walk', async () => {
  const rig = await rigOf(3, 'replica:2');
  await rig.put([1]);
  const work = await rig.start();
  await work.wait();
  const walk = work.facts.lastWalk;
  const [row] = rig.rows.all();
  if (row === undefined) throw new Error('there is a chunk');
  const [where] = await rig.chunks.locate({ id: row.id, scheme: { kind: 'replica', copies: 2 } });
  await flip(rig.folderOf(where?.diskId ?? 0), 9000);
  await rig.chunks.get({
    id: row.id,
    scheme: { kind: 'replica', copies: 2 },
    chunkBytes: row.lengthBytes,
  });
  work.suspect(row.id);
  await work.wait();
  expect(work.facts.lastWalk).toEqual(walk);
  await work.close();
  expect(await rig.problems()).toEqual([]);
});

test('paused work does nothing, also after it was opened anew, until it is resumed', async () => {
  const rig = await rigOf(4, 'replica:2');
  await rig.put(ALL);
  const work = await rig.start();
  await work.wait();
  await work.pause();
  await rig.change(add(5));
  await expect(work.wait()).rejects.toMatchObject({ code: 'BUSY' });
  await rig.reopen();
  const again = await rig.start();
  expect(again.facts.pausedBy).toBe('user');
  await expect(again.wait()).rejects.toMatchObject({ code: 'BUSY' });
  await again.resume();
  await again.wait();
  await again.close();
  expect(await rig.problems()).toEqual([]);
});

test('a chunk that is lost is counted, and the others are repaired all the same', async () => {
  const rig = await rigOf(4, 'replica:2');
  await rig.put(ALL);
  await rig.lose(1);
  await rig.lose(2);
  await rig.change((disks) => leave(1)(leave(2)(disks)));
  const facts = await rig.settle();
  expect(facts.lastWalk?.lost).toBeGreaterThan(0);
  expect(facts.lastWalk).toMatchObject({ degraded: 0, misplaced: 0 });
  expect(await rig.unreadable()).toHaveLength(facts.lastWalk?.lost ?? -1);
});

const MANY = 6;

test('interrupted anywhere, work loses nothing and ends where it would have', async () => {
  const seed = seedOf('test/repair/work.test.ts');
  for (let round = 0; round < MANY; round++) {
    const dice = new Dice(seed + round);
    const rig = await rigOf(5, dice.pick(['replica:2', 'ec:2+1', 'replica:3']));
    await rig.put(ALL);
    for (let event = 0; event < 4; event++) {
      const what = dice.pick(['add', 'leave', 'scheme', 'lose', 'drop']);
      const live = rig.map.disks.filter(({ state }) => state === 'in').map(({ id }) => id);
      if (what === 'add') await rig.change(add(rig.map.disks.length + 1));
      if (what === 'scheme') {
        await rig.change((disks) => disks, dice.pick(['replica:2', 'ec:2+1', 'replica:3']));
      }
      if (what === 'drop') rig.drop([dice.below(ALL.length)]);
      if (live.length > 4 && (what === 'leave' || what === 'lose')) {
        const id = dice.pick<DiskId>(live);
        // One loss at a time: only what is whole survives it.
        if (what === 'lose') {
          await rig.settle();
          await rig.lose(id);
        }
        await rig.change(leave(id));
      }
      for (let crash = 0; crash < 3; crash++) {
        let steps = dice.below(6);
        rig.onStep = () => {
          if (steps-- <= 0) throw new DfsError('IO', 'Cannot go on: the test ends it here');
        };
        const work = await rig.start();
        await work.wait();
        await work.close();
        rig.onStep = () => undefined;
        await rig.reopen();
        expect(await rig.unreadable(), `seed ${seed + round}`).toEqual([]);
      }
    }
    await rig.settle();
    expect(await rig.problems(), `seed ${seed + round}`).toEqual([]);
    expect(await rig.unreadable(), `seed ${seed + round}`).toEqual([]);
    expect(rig.invariant).toBeUndefined();
  }
});
