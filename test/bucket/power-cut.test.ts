import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BucketDisk, type BucketPiece } from '../../src/bucket/mod.ts';
import { bucketPath, DISK_ID, replica, temporaryFolder, VOLUME_TAG } from './fixture.ts';

// A power cut keeps what was synced; of the rest, each page of the file may be old or new, and the
// file as long as it was at any time since. The index, which nobody syncs, is as it was at any
// time.

const PAGE_BYTES = 4096;
const OWNER = { volumeTag: VOLUME_TAG, diskId: DISK_ID };

interface Step {
  readonly kind: 'append' | 'sync' | 'copy index' | 'remove';
  readonly bytes: number;
}

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    kind: fc.constantFrom('append', 'append', 'append', 'sync', 'copy index', 'remove'),
    bytes: fc.integer({ min: 8, max: 9000 }),
  }),
  { minLength: 1, maxLength: 14 },
);

async function copyIndex(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const name of ['index.sqlite', 'index.sqlite-wal']) {
    const [source, target] = [join(from, name), join(to, name)];
    await copyFile(source, target).catch(() => rm(target, { force: true }));
  }
}

/** The file after the cut: its synced bytes, and of the rest the pages and the length drawn. */
function cut(synced: Buffer, now: Buffer, draw: { pages: number[]; length: number }): Buffer {
  const grown = Math.max(0, now.length - synced.length);
  const length = synced.length + Math.floor(grown * draw.length);
  const after = Buffer.alloc(length);
  now.copy(after);
  for (const page of draw.pages) {
    const start = (page % (Math.ceil(length / PAGE_BYTES) + 1)) * PAGE_BYTES;
    const end = Math.min(start + PAGE_BYTES, length);
    if (start >= length) continue;
    after.fill(0, start, end);
    synced.subarray(start, end).copy(after, start);
  }
  return after;
}

test('after a power cut every synced piece is there, and no other is wrong', async () => {
  const draw = fc.record({
    pages: fc.array(fc.nat(30), { maxLength: 6 }),
    length: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  const run = fc.asyncProperty(steps, draw, async (script, drawn) => {
    const folder = await temporaryFolder();
    const saved = join(folder, 'saved');
    const disk = await BucketDisk.open({ folder, ...OWNER, create: true });
    const live = new Map<number, BucketPiece>();
    let durable: BucketPiece[] = [];
    const removed: BucketPiece[] = [];
    let synced = Buffer.alloc(0);
    let seed = 0;
    for (const { kind, bytes } of script) {
      if (kind === 'append') {
        const piece = replica(++seed, bytes);
        live.set(seed, piece);
        await disk.append([piece]);
      } else if (kind === 'sync') {
        await disk.sync();
        durable = [...live.values()];
        synced = await readFile(bucketPath(folder)).catch(() => Buffer.alloc(0));
      } else if (kind === 'copy index') {
        await copyIndex(folder, saved);
      } else {
        const [first] = live;
        if (first === undefined) continue;
        live.delete(first[0]);
        removed.push(first[1]);
        await disk.remove([first[1]]);
      }
    }
    const now = await readFile(bucketPath(folder)).catch(() => undefined);
    await disk.close();
    if (now === undefined) return;
    await rm(join(folder, 'index.sqlite'));
    await copyIndex(saved, folder);
    await writeFile(bucketPath(folder), cut(synced, now, drawn));

    const again = await BucketDisk.open({ folder, ...OWNER });
    const kept = durable.filter((piece) => !removed.includes(piece));
    for (const piece of kept) {
      expect((await again.read(piece))?.payload.equals(piece.payload)).toBe(true);
    }
    const all = [...live.values()];
    for (const piece of [...all, ...removed]) {
      const stored = await again.read(piece).catch(() => undefined);
      if (stored !== undefined) expect(stored.payload.equals(piece.payload)).toBe(true);
    }
    await again.append([...all, ...removed]);
    await again.sync();
    await again.close();
    const last = await BucketDisk.open({ folder, ...OWNER });
    for (const piece of [...all, ...removed]) {
      expect((await last.read(piece))?.payload.equals(piece.payload)).toBe(true);
    }
    await last.close();
  });
  await fc.assert(run, { numRuns: 150 });
});
