import { expect, test } from 'vitest';
import { DfsError } from '../../src/base/errors.ts';
import type { Slot, SlotOutcome, Slots } from '../../src/store/mod.ts';
import type { MemorySlotDisk } from './memory-slot-disk.ts';
import { allIn, FULL, GONE, memoryDisks, slotPlacer, slotsOver, text } from './slots-fixture.ts';

const PATH = 'leases/shard-7';

/** Writes over what is there. */
async function set(slots: Slots, content: string, path = PATH): Promise<void> {
  const before = await slots.get(path);
  const outcome = await slots.put(path, Buffer.from(content), before?.version);
  expect(outcome.isDone).toBe(true);
}

function versionOf(outcome: SlotOutcome): Slot['version'] {
  if (!outcome.isDone) throw new Error('it was not done');
  return outcome.version;
}

function holdersOf(disks: MemorySlotDisk[], path = PATH): number[] {
  return disks.flatMap((disk, at) => (disk.paths().includes(path) ? at + 1 : []));
}

test('put() writes what is of the expected version, and else says what is there', async () => {
  const disks = memoryDisks(3);
  const slots = slotsOver(disks, slotPlacer(1, allIn(3)));
  expect(await slots.get(PATH)).toBeUndefined();
  const first = versionOf(await slots.put(PATH, Buffer.from('one'), undefined));
  const again = await slots.put(PATH, Buffer.from('other'), undefined);
  expect(again).toEqual({ isDone: false, found: { version: first, content: Buffer.from('one') } });
  const second = versionOf(await slots.put(PATH, Buffer.from('two'), first));
  expect(second.counter).toBeGreaterThan(first.counter);
  expect((await slots.put(PATH, Buffer.from('late'), first)).isDone).toBe(false);
  const other = slotsOver(disks, slotPlacer(1, allIn(3)));
  expect(await other.get(PATH)).toEqual({ version: second, content: Buffer.from('two') });
});

test('delete() leaves nothing to read, and what is put then has a later version', async () => {
  const disks = memoryDisks(3);
  const slots = slotsOver(disks, slotPlacer(1, allIn(3)));
  const first = versionOf(await slots.put(PATH, Buffer.from('one'), undefined));
  const wrong = { ...first, counter: first.counter + 1 };
  expect((await slots.delete(PATH, wrong)).isDone).toBe(false);
  expect((await slots.delete(PATH, first)).isDone).toBe(true);
  expect(await slots.get(PATH)).toBeUndefined();
  expect(await slots.delete(PATH, first)).toEqual({ isDone: false, found: undefined });
  const next = versionOf(await slots.put(PATH, Buffer.from('two'), undefined));
  expect(next.counter).toBeGreaterThan(first.counter);
});

test('a slot has 2 x survives + 1 copies, which any that many disks may be lost of', async () => {
  for (const [scheme, count, lost] of [
    ['replica:2', 6, 1],
    ['ec:3+2', 8, 2],
    ['replica:3', 3, 1],
  ] as const) {
    const disks = memoryDisks(count);
    const placer = slotPlacer(1, allIn(count), scheme);
    await set(slotsOver(disks, placer), 'content');
    const holders = holdersOf(disks);
    expect(holders.length).toBe(Math.min(count, 2 * lost + 1));
    for (const id of holders.slice(0, lost)) {
      const disk = disks[id - 1];
      if (disk !== undefined) disk.failure = GONE;
    }
    const slots = slotsOver(disks, placer);
    // Before they are settled, slots may be on any disk: here as many are silent as may be.
    expect(text(await slots.get(PATH))).toBe('content');
    await set(slots, 'changed');
    expect(text(await slots.get(PATH))).toBe('changed');
  }
});

test('of two disks both are needed, until the map says that one failed', async () => {
  const disks = memoryDisks(2);
  const slots = slotsOver(disks, slotPlacer(1, allIn(2)));
  await set(slots, 'content');
  await slots.rebalance();
  const [first] = disks;
  if (first === undefined) throw new Error('there is a disk');
  first.failure = GONE;
  const refused = {
    code: 'UNAVAILABLE',
    message: expect.stringContaining('1 of its 2 disks answered, 2 must') as string,
  };
  await expect(slots.get(PATH)).rejects.toMatchObject(refused);
  await expect(slots.put(PATH, Buffer.from('x'), undefined)).rejects.toMatchObject(refused);
  slots.useMap(slotPlacer(2, ['failed', 'in']));
  expect(text(await slots.get(PATH))).toBe('content');
  await set(slots, 'alone');
  await slots.rebalance();
  slots.useMap(slotPlacer(3, ['in', 'in']));
  first.failure = undefined;
  expect(text(await slots.get(PATH))).toBe('alone');
  await slots.rebalance();
  expect(holdersOf(disks)).toEqual([1, 2]);
});

test('a put that found no majority is never half there', async () => {
  const disks = memoryDisks(3);
  const placer = slotPlacer(1, allIn(3));
  const slots = slotsOver(disks, placer);
  await set(slots, 'old');
  const before = await slots.get(PATH);
  const [first, second, third] = disks as [MemorySlotDisk, MemorySlotDisk, MemorySlotDisk];
  const accept = third.accept.bind(third);
  // It is promised everywhere; then two disks go before they take it.
  for (const disk of [first, second]) disk.accept = () => Promise.reject(GONE);
  const put = slots.put(PATH, Buffer.from('new'), before?.version);
  await expect(put).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('a change may count all the same') as string,
  });
  for (const disk of [first, second]) Reflect.deleteProperty(disk, 'accept');
  // Who does not see the third disk sees the old content, and nobody sees the new one from then on
  // unless he takes it up before.
  third.failure = GONE;
  expect(text(await slotsOver(disks, placer).get(PATH))).toBe('old');
  third.failure = undefined;
  third.accept = accept;
  first.failure = GONE;
  expect(text(await slotsOver(disks, placer).get(PATH))).toBe('new');
  first.failure = undefined;
  third.failure = GONE;
  expect(text(await slotsOver(disks, placer).get(PATH))).toBe('new');
});

test('full disks are NO_SPACE when enough would answer', async () => {
  const disks = memoryDisks(3);
  const slots = slotsOver(disks, slotPlacer(1, allIn(3)));
  await set(slots, 'content');
  for (const disk of disks.slice(0, 2)) disk.writeFailure = FULL;
  const { version } = (await slots.get(PATH)) ?? {};
  const put = slots.put(PATH, Buffer.from('more'), version);
  await expect(put).rejects.toMatchObject({ code: 'NO_SPACE' });
  expect(text(await slots.get(PATH))).toBe('content');
  for (const disk of disks) disk.writeFailure = undefined;
  await set(slots, 'more');
});

test('a damaged copy counts as none, and is replaced by what the others have', async () => {
  const disks = memoryDisks(3);
  const slots = slotsOver(disks, slotPlacer(1, allIn(3)));
  await set(slots, 'content');
  const [first, second] = disks as [MemorySlotDisk, MemorySlotDisk];
  first.harm(PATH);
  second.failure = GONE;
  await expect(slots.get(PATH)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  second.failure = undefined;
  expect(text(await slots.get(PATH))).toBe('content');
  await slots.rebalance();
  second.failure = GONE;
  expect(text(await slots.get(PATH))).toBe('content');
  first.harm(PATH);
  second.failure = undefined;
  await set(slots, 'changed');
  second.failure = GONE;
  expect(text(await slots.get(PATH))).toBe('changed');
});

test('list() has every slot with its copies, and none that was deleted', async () => {
  const disks = memoryDisks(5);
  const slots = slotsOver(disks, slotPlacer(1, allIn(5)));
  const paths = ['a', 'b/c', 'b/d', 'z'];
  for (const path of paths) await set(slots, `content of ${path}`, path);
  const gone = await slots.get('b/d');
  if (gone !== undefined) await slots.delete('b/d', gone.version);
  const list = await slots.list();
  expect(list.map(({ path }) => path)).toEqual(['a', 'b/c', 'z']);
  for (const { path, version, contentBytes, homes, copies } of list) {
    expect(version).toEqual((await slots.get(path))?.version);
    expect(contentBytes).toBe(`content of ${path}`.length);
    expect(copies).toEqual([...homes].sort((a, b) => a - b));
    expect(copies).toEqual(holdersOf(disks, path));
  }
  for (const disk of disks.slice(0, 2)) disk.failure = GONE;
  await expect(slots.list()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});

test('bad paths and contents are refused', async () => {
  const slots = slotsOver(memoryDisks(3), slotPlacer(1, allIn(3)));
  const refused = { code: 'BAD_ARGUMENT' };
  for (const path of [
    '',
    '/a',
    'a/',
    'a//b',
    'a/../b',
    '.',
    'a\0',
    'a\nb',
    '\ud800',
    'system/map',
  ]) {
    await expect(slots.get(path)).rejects.toMatchObject(refused);
  }
  await expect(slots.get('x'.repeat(513))).rejects.toMatchObject(refused);
  const large = Buffer.alloc(4 * 1024 * 1024 + 1);
  await expect(slots.put('a', large, undefined)).rejects.toMatchObject(refused);
  const outcome = await slots.put('x'.repeat(512), large.subarray(1), undefined);
  expect(outcome.isDone).toBe(true);
});

test('a disk that fails is told of, and one that has no room or a bad copy is not', async () => {
  const disks = memoryDisks(3);
  const failures: [number, string][] = [];
  const slots = slotsOver(disks, slotPlacer(1, allIn(3)), {
    onFailure: (id, error) => failures.push([id, (error as DfsError).code]),
  });
  await set(slots, 'content');
  const [first, second] = disks as [MemorySlotDisk, MemorySlotDisk];
  second.writeFailure = FULL;
  await set(slots, 'changed');
  second.writeFailure = undefined;
  second.harm(PATH);
  await set(slots, 'again');
  expect(failures).toEqual([]);
  first.failure = new DfsError('IO', 'Cannot read: EIO');
  await set(slots, 'without it');
  expect(new Set(failures.map(String))).toEqual(new Set(['1,IO']));
});

test('slots follow the map, and copies that lie elsewhere go when all new ones are there', async () => {
  const disks = memoryDisks(8);
  const slots = slotsOver(
    disks,
    slotPlacer(1, [...allIn(4), 'failed', 'failed', 'failed', 'failed']),
  );
  const paths = Array.from({ length: 12 }, (_, at) => `slot/${at}`);
  for (const path of paths) await set(slots, `1 ${path}`, path);
  await slots.rebalance();
  expect(slots.isSettled).toBe(true);
  slots.useMap(slotPlacer(2, ['failed', 'failed', 'failed', 'failed', ...allIn(4)]));
  expect(slots.isSettled).toBe(false);
  for (const path of paths.slice(0, 4)) expect(text(await slots.get(path))).toBe(`1 ${path}`);
  for (const path of paths.slice(4, 8)) await set(slots, `2 ${path}`, path);
  expect((await slots.list()).map(({ path }) => path)).toEqual([...paths].sort());
  const moved = await slots.rebalance();
  expect(moved).toMatchObject({ slots: 12, degraded: 0 });
  expect(moved.dropped).toBe(36);
  for (const [at, path] of paths.entries()) {
    expect(text(await slots.get(path))).toBe(at >= 4 && at < 8 ? `2 ${path}` : `1 ${path}`);
    expect(holdersOf(disks, path).every((id) => id > 4)).toBe(true);
  }
  expect(await slots.rebalance()).toEqual({ slots: 12, copied: 0, dropped: 0, degraded: 0 });
  // Settled: the old disks are needed for nothing any more, and another life knows it, too.
  for (const disk of disks.slice(0, 4)) disk.failure = GONE;
  const later = slotsOver(
    disks,
    slotPlacer(2, ['failed', 'failed', 'failed', 'failed', ...allIn(4)]),
  );
  expect(await later.get('never written')).toBeUndefined();
  expect(later.isSettled).toBe(true);
  expect((await later.list()).length).toBe(12);
});

test('while slots are not settled, silence of too many disks is not taken for absence', async () => {
  const disks = memoryDisks(6);
  const old = slotPlacer(1, [...allIn(3), 'failed', 'failed', 'failed']);
  await set(slotsOver(disks, old), 'content');
  const slots = slotsOver(disks, slotPlacer(2, ['failed', 'failed', 'failed', ...allIn(3)]));
  const [first, second] = disks as [MemorySlotDisk, MemorySlotDisk];
  first.failure = GONE;
  second.failure = GONE;
  const refused = {
    code: 'UNAVAILABLE',
    message: expect.stringContaining('disks 1, 2 may have it') as string,
  };
  await expect(slots.get(PATH)).rejects.toMatchObject(refused);
  await expect(slots.put(PATH, Buffer.from('x'), undefined)).rejects.toMatchObject(refused);
  await expect(slots.rebalance()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(slots.isSettled).toBe(false);
  second.failure = undefined;
  expect(text(await slots.get(PATH))).toBe('content');
});

test('rebalance() keeps the note of what was deleted: it has the promises of the disks', async () => {
  const disks = memoryDisks(5);
  const slots = slotsOver(disks, slotPlacer(1, allIn(5)));
  const version = versionOf(await slots.put(PATH, Buffer.from('one'), undefined));
  await slots.delete(PATH, version);
  await slots.rebalance();
  expect(holdersOf(disks).length).toBe(3);
  expect(await slots.get(PATH)).toBeUndefined();
  expect((await slots.put(PATH, Buffer.from('two'), undefined)).isDone).toBe(true);
});

test('who has an older map than a disk has heard of is refused', async () => {
  const disks = memoryDisks(3);
  await set(slotsOver(disks, slotPlacer(2, allIn(3))), 'content');
  const late = slotsOver(disks, slotPlacer(1, allIn(3)));
  await expect(late.put(PATH, Buffer.from('x'), undefined)).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('a disk knows diskmap 2, this one is 1') as string,
  });
});
