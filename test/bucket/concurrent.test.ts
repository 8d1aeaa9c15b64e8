import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BucketDisk, type BucketPiece, systemIo } from '../../src/bucket/mod.ts';
import { DISK_ID, openDisk, replica, temporaryFolder, VOLUME_TAG } from './fixture.ts';

test('appends, reads, removals and syncs at the same time lose and mix up nothing', async () => {
  const action = fc.record({
    kind: fc.constantFrom('append', 'append', 'read', 'read', 'remove', 'sync'),
    seed: fc.integer({ min: 1, max: 400 }),
    wait: fc.boolean(),
  });
  const script = fc.array(action, { minLength: 300, maxLength: 600 });
  const run = fc.asyncProperty(script, async (actions) => {
    const owner = { folder: await temporaryFolder(), volumeTag: VOLUME_TAG, diskId: DISK_ID };
    const disk = await BucketDisk.open({ ...owner, create: true });
    const pieceOf = (seed: number): BucketPiece => replica(seed, 8 + seed * 5, seed % 150);
    // append() and remove() take effect in the order of the calls, so a plain set is the model.
    const model = new Set<number>();
    const pending: Promise<unknown>[] = [];
    for (const { kind, seed, wait } of actions) {
      const piece = pieceOf(seed);
      if (kind === 'append') {
        model.add(seed);
        pending.push(disk.append([piece]));
      } else if (kind === 'remove') {
        model.delete(seed);
        pending.push(disk.remove([piece]));
      } else if (kind === 'sync') {
        pending.push(disk.sync());
      } else {
        const check = async (): Promise<void> => {
          const stored = await disk.read(piece);
          if (stored !== undefined) expect(stored.payload.equals(piece.payload)).toBe(true);
        };
        pending.push(check());
      }
      if (wait) await pending.at(-1);
      expect(disk.openFileCount).toBeLessThanOrEqual(64);
    }
    await Promise.all(pending);
    await disk.close();
    const again = await BucketDisk.open(owner);
    expect((await again.usage()).pieces).toBe(model.size);
    for (const seed of model) {
      const piece = pieceOf(seed);
      expect((await again.read(piece))?.payload.equals(piece.payload)).toBe(true);
    }
    expect(again.damage).toEqual([]);
    await again.close();
  });
  await fc.assert(run, { numRuns: 6 });
});

test('sync() waits for a sync of the same file that another caller began', async () => {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let enter = (): void => undefined;
  const entered = new Promise<void>((resolve) => {
    enter = resolve;
  });
  let begun = 0;
  const sync: typeof systemIo.sync = async (handle) => {
    if (++begun === 1) {
      enter();
      await held;
    }
    await handle.datasync();
  };
  const disk = await openDisk(await temporaryFolder(), { io: { ...systemIo, sync } });
  await disk.append([replica(1, 100)]);
  const finished: number[] = [];
  const first = disk.sync().then(() => finished.push(1));
  const second = disk.sync().then(() => finished.push(2));
  await entered;
  await disk.append([replica(2, 100)]);
  const third = disk.sync().then(() => finished.push(3));
  expect(finished).toEqual([]);
  release();
  await Promise.all([first, second, third]);
  expect(finished).toEqual([1, 2, 3]);
  expect(begun).toBe(2);
});
