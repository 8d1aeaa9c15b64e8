import { describe, expect, test } from 'vitest';
import type { SlotBallot } from '../../src/bucket/mod.ts';
import type { SlotDisk, SlotProposal } from '../../src/store/mod.ts';

const PATH = 'leases/a';

function ballot(counter: number, map = 1): SlotBallot {
  return { map, counter, incarnation: 5 };
}

function proposal(text: string | undefined, counter: number, map = 1): SlotProposal {
  const content = text === undefined ? undefined : Buffer.from(text);
  return {
    ballot: ballot(counter, map),
    state: { version: { counter, incarnation: 5 }, content },
  };
}

/** What every SlotDisk does; `harm` makes the copy of a slot one that does not verify. */
export function slotDiskContract(
  name: string,
  make: () => Promise<{ disk: SlotDisk; harm: (path: string) => Promise<void> }>,
): void {
  describe(`the slots of a ${name}`, () => {
    test('keep a promise', async () => {
      const { disk } = await make();
      expect(await disk.read(PATH)).toBeUndefined();
      expect((await disk.prepare(PATH, ballot(5))).isDone).toBe(true);
      const early = await disk.accept(PATH, proposal('early', 4));
      const copy = { path: PATH, promised: ballot(5), accepted: undefined };
      expect(early).toEqual({ isDone: false, copy });
      expect((await disk.prepare(PATH, ballot(4))).isDone).toBe(false);
      expect((await disk.prepare(PATH, ballot(5))).isDone).toBe(true);
      expect(await disk.read(PATH)).toEqual(copy);
      expect(await disk.read('leases/b')).toBeUndefined();
    });

    test('take later ballots in the place of earlier ones, and the same one again', async () => {
      const { disk } = await make();
      const first = proposal('first', 5);
      expect((await disk.accept(PATH, first)).isDone).toBe(true);
      const copy = { path: PATH, promised: ballot(5), accepted: first };
      expect(await disk.read(PATH)).toEqual(copy);
      expect((await disk.prepare(PATH, ballot(7))).copy?.accepted).toEqual(first);
      expect((await disk.accept(PATH, first)).isDone).toBe(true);
      expect((await disk.accept(PATH, proposal('late', 6))).isDone).toBe(false);
      const deletion = proposal(undefined, 1, 2);
      expect((await disk.accept(PATH, deletion)).isDone).toBe(true);
      expect((await disk.read(PATH))?.accepted).toEqual(deletion);
      expect((await disk.accept(PATH, proposal('old map', 99))).isDone).toBe(false);
    });

    test('list their copies in pages', async () => {
      const { disk } = await make();
      const paths = Array.from({ length: 7 }, (_, at) => `slot/${at}`);
      for (const path of paths) await disk.accept(path, proposal(path, 3));
      await disk.accept('slot/6', proposal(undefined, 4));
      await disk.prepare('slot/7', ballot(2));
      const found = new Map<string | undefined, number | undefined>();
      for (let after = ''; ; ) {
        const page = await disk.list(after, 3);
        for (const { path, accepted } of page) found.set(path, accepted?.contentBytes);
        const last = page.at(-1);
        if (last === undefined) break;
        expect(last.name > after).toBe(true);
        after = last.name;
      }
      const sizes = paths.map((path, at): [string, number | undefined] => {
        return [path, at === 6 ? undefined : 6];
      });
      expect(found).toEqual(new Map([...sizes, ['slot/7', undefined]]));
    });

    test('drop what is not later than was said', async () => {
      const { disk } = await make();
      expect(await disk.drop(PATH, ballot(1))).toBe(true);
      await disk.accept(PATH, proposal('content', 3));
      expect(await disk.drop(PATH, ballot(2))).toBe(false);
      expect(await disk.drop(PATH, ballot(3))).toBe(true);
      expect(await disk.read(PATH)).toBeUndefined();
      await disk.prepare(PATH, ballot(4));
      expect(await disk.drop(PATH, ballot(3))).toBe(false);
    });

    test('say of a damaged copy that it is, until it is replaced on demand', async () => {
      const { disk, harm } = await make();
      const accepted = proposal('content', 3);
      await disk.accept(PATH, accepted);
      await harm(PATH);
      const corrupt = { code: 'CORRUPT' };
      await expect(disk.read(PATH)).rejects.toMatchObject(corrupt);
      await expect(disk.prepare(PATH, ballot(9))).rejects.toMatchObject(corrupt);
      await expect(disk.accept(PATH, accepted)).rejects.toMatchObject(corrupt);
      const [listed] = await disk.list('', 10);
      expect(listed).toMatchObject({ path: undefined, accepted: undefined });
      const replaced = await disk.accept(PATH, accepted, { replaceDamaged: true });
      expect(replaced.isDone).toBe(true);
      expect((await disk.read(PATH))?.accepted).toEqual(accepted);
    });
  });
}
