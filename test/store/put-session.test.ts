import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DfsError } from '../../src/base/errors.ts';
import type { DiskId } from '../../src/base/ids.ts';
import { encodePieces, parseScheme, pieceKeysOf, pieceKeyText } from '../../src/chunk/mod.ts';
import type { ChunkStore, PutSession } from '../../src/store/mod.ts';
import { chunkOf, storeOf } from './fixture.ts';
import { MemoryDisk, type Platter } from './memory-disk.ts';

const scheme = parseScheme('replica:2');
const broken = new DfsError('IO', 'Cannot sync: EIO');
const chunksOf = (count: number, first = 0): ReturnType<typeof chunkOf>[] =>
  Array.from({ length: count }, (_, at) => chunkOf(first + at, 1000, scheme));

/** A store whose disks can be opened anew: what they lose then is what was not synced. */
class Disks {
  readonly platters: Platter[];
  readonly disks: MemoryDisk[];
  readonly store: ChunkStore;

  constructor(count: number) {
    this.platters = Array.from({ length: count }, () => new Map());
    this.disks = this.platters.map((platter) => new MemoryDisk(platter));
    this.store = storeOf(this.disks);
  }

  async openAgain(diskId: number): Promise<void> {
    const disk = new MemoryDisk(this.platters[diskId - 1]);
    await this.store.attach(diskId as DiskId, disk);
    this.disks[diskId - 1] = disk;
  }

  /** The disk is gone for a moment, if it is not down already. */
  async blink(diskId: number): Promise<void> {
    const gone = new DfsError('UNAVAILABLE', 'Cannot use the disk: it is gone');
    await this.store.ask(diskId as DiskId, () => Promise.reject(gone)).catch(() => undefined);
    // Two of them at once: it is BUSY to the second.
    await this.openAgain(diskId).catch(() => undefined);
  }

  fail(diskId: number, call: 'append' | 'sync' | 'find'): void {
    this.disks[diskId - 1]?.failing.set(call, broken);
  }

  /** Whether as many pieces of the chunk are on platters as its scheme wants. */
  isDurable(chunk: ReturnType<typeof chunkOf>): boolean {
    return pieceKeysOf(chunk.id, chunk.scheme).every((key) =>
      this.platters.some((platter) => platter.has(pieceKeyText(key))),
    );
  }
}

test('a sync by one session does not hide from another that a disk was lost', async () => {
  const rig = new Disks(3);
  const [commit, background] = [rig.store.session(), rig.store.session()];
  await commit.putMany(chunksOf(10));
  await background.putMany(chunksOf(10, 100));
  rig.fail(2, 'sync');
  expect(await background.sync()).toEqual([2]);
  expect(await commit.sync()).toEqual([2]);
  expect(await commit.sync()).toEqual([2]);
});

test('a piece that another session wrote and nobody synced is lost with its disk as well', async () => {
  const rig = new Disks(2);
  const chunks = chunksOf(5);
  await rig.store.session().putMany(chunks);
  const session = rig.store.session();
  await session.putMany(chunks);
  rig.fail(1, 'sync');
  expect(await session.sync()).toEqual([1]);
});

test('a disk that comes back does not vouch for what it took before', async () => {
  const rig = new Disks(3);
  const chunks = chunksOf(10);
  const session = rig.store.session();
  await session.putMany(chunks);
  const other = rig.store.session();
  await other.putMany(chunksOf(10, 100));
  rig.fail(3, 'sync');
  expect(await other.sync()).toEqual([3]);
  await rig.openAgain(3);
  // Also when it takes more, all of which is synced.
  await session.putMany(chunksOf(10, 200));
  expect(await session.sync()).toEqual([3]);
  expect(chunks.every((chunk) => rig.isDurable(chunk))).toBe(false);
  const again = rig.store.session();
  await again.putMany(chunks);
  expect(await again.sync()).toEqual([]);
  expect(chunks.every((chunk) => rig.isDurable(chunk))).toBe(true);
});

test('a disk that was detached is lost to who put pieces there, and to no other', async () => {
  const rig = new Disks(3);
  const [first, second] = [rig.store.session(), rig.store.session()];
  await first.putMany(chunksOf(10));
  await rig.store.detach(1 as DiskId);
  await second.putMany(chunksOf(10, 100));
  expect(await first.sync()).toEqual([1]);
  expect(await second.sync()).toEqual([]);
});

test('a session syncs the disks that took its pieces, and no other', async () => {
  const rig = new Disks(4);
  const session = rig.store.session();
  await session.putMany(chunksOf(1));
  expect(await session.sync()).toEqual([]);
  expect(rig.disks.map(({ syncCount }) => syncCount).toSorted((a, b) => a - b)).toEqual([
    0, 0, 1, 1,
  ]);
});

test('a disk that took nothing before it failed is not lost', async () => {
  const rig = new Disks(3);
  const session = rig.store.session();
  rig.fail(1, 'append');
  await session.putMany(chunksOf(10));
  expect(await session.sync()).toEqual([]);
});

test('putPieces() writes to the disk that is named, which the session then knows', async () => {
  const rig = new Disks(4);
  const chunk = chunkOf(1, 1000, scheme);
  const [payload = chunk.content] = await encodePieces(scheme, chunk.content);
  const { id: chunkId, chunkBytes } = chunk;
  const piece = { chunkId, scheme, pieceIndex: 0, bucket: 1, chunkBytes, payload };
  const session = rig.store.session();
  for (const diskId of [1, 2, 3, 4]) {
    await session.putPieces(diskId as DiskId, [piece]);
    expect(await rig.disks[diskId - 1]?.find(piece)).toEqual({ bucket: 1, bad: false });
  }
  rig.fail(2, 'sync');
  expect(await session.sync()).toEqual([2]);
  const refused = rig.store.session().putPieces(2 as DiskId, [piece]);
  await expect(refused).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: 'Cannot put pieces on disk 2: it is down (Cannot sync: EIO)',
  });
  const [, , third] = rig.disks;
  if (third !== undefined) third.piecesMax = 0;
  const other = { ...piece, pieceIndex: 1 };
  const full = rig.store.session().putPieces(3 as DiskId, [other]);
  await expect(full).rejects.toMatchObject({ code: 'NO_SPACE' });
});

test('when sync() answers that nothing is lost, all that was put is on the platters', async () => {
  const event = fc.record({
    kind: fc.constantFrom('put', 'put', 'put', 'sync', 'sync', 'fail', 'blink', 'new session'),
    session: fc.nat(2),
    disk: fc.integer({ min: 1, max: 4 }),
    chunk: fc.nat(25),
    call: fc.constantFrom('append' as const, 'sync' as const, 'find' as const),
    waits: fc.boolean(),
  });
  const run = fc.asyncProperty(fc.array(event, { maxLength: 40 }), async (events) => {
    const rig = new Disks(4);
    const open = (): { session: PutSession; chunks: ReturnType<typeof chunkOf>[] } => ({
      session: rig.store.session(),
      chunks: [],
    });
    const sessions = [open(), open(), open()];
    const pending: Promise<void>[] = [];
    for (const { kind, session: at, disk, chunk: seed, call, waits } of events) {
      const used = sessions[at] ?? open();
      if (kind === 'put') {
        const chunk = chunkOf(seed, 1000, scheme);
        const put = used.session.put(chunk).then(() => void used.chunks.push(chunk));
        pending.push(put.catch((error: unknown) => expect(error).toBeInstanceOf(DfsError)));
      } else if (kind === 'sync') {
        const chunks = [...used.chunks];
        const check = async (): Promise<void> => {
          if ((await used.session.sync()).length > 0) return;
          expect(chunks.every((chunk) => rig.isDurable(chunk))).toBe(true);
        };
        pending.push(check());
      } else if (kind === 'fail') rig.fail(disk, call);
      else if (kind === 'new session') sessions[at] = open();
      else pending.push(rig.blink(disk));
      if (waits) await nextTurn();
    }
    await Promise.all(pending);
  });
  await fc.assert(run, { numRuns: 1500 });
});
