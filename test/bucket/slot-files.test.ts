import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DfsError } from '../../src/base/errors.ts';
import { publishFile } from '../../src/base/publish.ts';
import { type SlotBallot, SlotFiles, slotFileName } from '../../src/bucket/mod.ts';
import { DISK_ID, temporaryFolder, VOLUME_TAG } from './fixture.ts';

const OWNER = { volumeTag: VOLUME_TAG, diskId: DISK_ID };
const PATH = 'a/b';

function ballot(counter: number, map = 1): SlotBallot {
  return { map, counter, incarnation: 5 };
}

function stateOf(text: string | undefined, counter: number) {
  const content = text === undefined ? undefined : Buffer.from(text);
  return { version: { counter, incarnation: 5 }, content };
}

async function slotsOf(): Promise<{ folder: string; slots: SlotFiles; again: () => SlotFiles }> {
  const folder = await temporaryFolder();
  const again = (): SlotFiles => new SlotFiles({ folder, ...OWNER });
  return { folder, slots: again(), again };
}

test('a promise keeps lower ballots away, also in the next life of the disk', async () => {
  const { slots, again } = await slotsOf();
  expect(await slots.read(PATH)).toBeUndefined();
  expect((await slots.prepare(PATH, ballot(5))).isDone).toBe(true);
  for (const disk of [slots, again()]) {
    const state = stateOf('early', 4);
    const early = await disk.accept(PATH, { ballot: ballot(4), state });
    expect(early).toEqual({
      isDone: false,
      copy: { path: PATH, promised: ballot(5), accepted: undefined },
    });
    expect((await disk.prepare(PATH, ballot(4))).isDone).toBe(false);
    expect((await disk.prepare(PATH, ballot(5))).isDone).toBe(true);
  }
});

test('calls at the same time decide one after the other', async () => {
  const { slots } = await slotsOf();
  const attempts = Array.from({ length: 20 }, (_, at) =>
    slots.accept(PATH, { ballot: ballot(20 - at), state: stateOf(`${at}`, 20 - at) }),
  );
  const done = (await Promise.all(attempts)).map(({ isDone }) => isDone);
  expect(done).toEqual(Array.from({ length: 20 }, (_, at) => at === 0));
  expect((await slots.read(PATH))?.accepted?.ballot).toEqual(ballot(20));
});

test('list() gives every copy once, in pages, and says which are damaged', async () => {
  const { folder, slots } = await slotsOf();
  const paths = Array.from({ length: 7 }, (_, at) => `slot/${at}`);
  for (const path of paths) {
    await slots.accept(path, { ballot: ballot(1), state: stateOf(path, 1) });
  }
  const names: string[] = [];
  const found: (string | undefined)[] = [];
  const harmed = slotFileName('slot/3');
  await writeFile(join(folder, 'slots', harmed), 'not a slot');
  for (;;) {
    const page = await slots.list(names.at(-1) ?? '', 3);
    expect(page.length).toBeLessThanOrEqual(3);
    if (page.length === 0) break;
    names.push(...page.map(({ name }) => name));
    found.push(...page.map(({ path }) => path));
  }
  expect(names).toEqual(paths.map(slotFileName).sort());
  const whole = paths.filter((path) => path !== 'slot/3');
  expect(new Set(found)).toEqual(new Set([...whole, undefined]));
});

test('a file with the name of another slot is CORRUPT, one of another disk FOREIGN', async () => {
  const { folder, slots } = await slotsOf();
  await slots.accept(PATH, { ballot: ballot(1), state: stateOf('content', 1) });
  const file = (path: string): string => join(folder, 'slots', slotFileName(path));
  await writeFile(file('other'), await readFile(file(PATH)));
  await expect(slots.read('other')).rejects.toMatchObject({ code: 'CORRUPT' });
  const foreign = new SlotFiles({ folder, volumeTag: Buffer.alloc(8), diskId: DISK_ID });
  await expect(foreign.read(PATH)).rejects.toMatchObject({ code: 'FOREIGN' });
});

test('what a crash left unfinished goes, and is never taken for a slot', async () => {
  const { folder, slots, again } = await slotsOf();
  await slots.accept(PATH, { ballot: ballot(1), state: stateOf('content', 1) });
  const left = join(folder, 'slots', `${slotFileName('x')}.0a0b0c0d.tmp`);
  await writeFile(left, 'half');
  const next = again();
  expect((await next.list('', 10)).map(({ path }) => path)).toEqual([PATH]);
  expect(await readdir(join(folder, 'slots'))).toEqual([slotFileName(PATH)]);
});

test('a disk that is gone is UNAVAILABLE, not empty, and nothing is made in its place', async () => {
  const { folder, slots } = await slotsOf();
  expect(await slots.read(PATH)).toBeUndefined();
  await rm(folder, { recursive: true });
  const gone = { code: 'UNAVAILABLE' };
  await expect(slots.read(PATH)).rejects.toMatchObject(gone);
  await expect(slots.prepare(PATH, ballot(1))).rejects.toMatchObject(gone);
  await expect(readdir(folder)).rejects.toThrow('ENOENT');
});

test('a disk that failed to publish is not asked again, one that was full is', async () => {
  const folder = await temporaryFolder();
  let failure: DfsError | undefined;
  const slots = new SlotFiles({
    folder,
    ...OWNER,
    publish: (...file) => (failure ? Promise.reject(failure) : publishFile(...file)),
  });
  const accepted = { ballot: ballot(1), state: stateOf('content', 1) };
  failure = new DfsError('NO_SPACE', 'Cannot write: ENOSPC');
  await expect(slots.accept(PATH, accepted)).rejects.toMatchObject({ code: 'NO_SPACE' });
  failure = undefined;
  expect((await slots.accept(PATH, accepted)).isDone).toBe(true);
  failure = new DfsError('IO', 'Cannot write: EIO');
  await expect(slots.prepare(PATH, ballot(2))).rejects.toMatchObject({ code: 'IO' });
  failure = undefined;
  await expect(slots.read(PATH)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await expect(slots.prepare(PATH, ballot(2))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});

test('a disk that is open read-only is not changed', async () => {
  const { folder, slots } = await slotsOf();
  await slots.accept(PATH, { ballot: ballot(1), state: stateOf('content', 1) });
  const reader = new SlotFiles({ folder, ...OWNER, readOnly: true });
  expect((await reader.read(PATH))?.accepted?.state.content?.toString()).toBe('content');
  await expect(reader.prepare(PATH, ballot(2))).rejects.toMatchObject({ code: 'BAD_ARGUMENT' });
  await expect(reader.drop(PATH, ballot(2))).rejects.toMatchObject({ code: 'BAD_ARGUMENT' });
});
