import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { DfsError } from '../../src/base/errors.ts';
import { chunkKey, type DiskId } from '../../src/base/ids.ts';
import { type PieceKey, parseScheme, pieceKeysOf } from '../../src/chunk/mod.ts';
import type { PieceToRemove, PieceToStore } from '../../src/store/mod.ts';
import { chunkOf, storeOf } from './fixture.ts';
import { MemoryDisk } from './memory-disk.ts';

const scheme = parseScheme('replica:2');
const chunksOf = (count: number): ReturnType<typeof chunkOf>[] =>
  Array.from({ length: count }, (_, at) => chunkOf(at, 1000, scheme));

test('removeUnneeded() keeps what is needed, by who asks or by a guard', async () => {
  const disks = [new MemoryDisk(), new MemoryDisk()];
  const store = storeOf(disks);
  const chunks = chunksOf(900);
  await store.session().putMany(chunks);
  const [guarded, needed] = chunks;
  const is =
    (chunk: typeof guarded) =>
    ({ chunkId }: PieceToRemove): boolean =>
      chunk?.id.equals(chunkId) === true;
  store.protect(is(guarded));
  const pieces = chunks.flatMap(({ id }) => pieceKeysOf(id, scheme));
  expect(await store.removeUnneeded(pieces, is(needed))).toBe(2 * 898);
  for (const chunk of [guarded, needed]) {
    expect(chunk && (await store.get(chunk)).equals(chunk.content)).toBe(true);
  }
  expect(await store.removeUnneeded(pieces, is(needed))).toBe(0);
});

test('removeUnneeded() takes a piece from the disk that is named only', async () => {
  const disks = [new MemoryDisk(), new MemoryDisk()];
  const store = storeOf(disks);
  const chunk = chunkOf(1, 1000, scheme);
  const [first] = pieceKeysOf(chunk.id, scheme);
  if (first === undefined) throw new Error('a chunk has pieces');
  const piece = { ...first, bucket: 1, chunkBytes: 1000, payload: chunk.content };
  const session = store.session();
  for (const diskId of [1, 2] as DiskId[]) await session.putPieces(diskId, [piece]);
  const removed = await store.removeUnneeded([{ ...first, diskId: 1 as DiskId }], () => false);
  expect(removed).toBe(1);
  expect(await disks[0]?.find(first)).toBe(undefined);
  expect(await disks[1]?.find(first)).toBeDefined();
});

/** Takes a turn for each call, in which others may begin. */
class SlowDisk extends MemoryDisk {
  puts = 0;
  readonly #running = { put: 0, remove: 0 };

  override async append(pieces: readonly PieceToStore[]): Promise<void> {
    this.puts++;
    await this.#slow('put', () => super.append(pieces));
  }

  override async remove(keys: readonly PieceKey[]): Promise<number> {
    return this.#slow('remove', () => super.remove(keys));
  }

  async #slow<T>(name: 'put' | 'remove', work: () => Promise<T>): Promise<T> {
    this.#running[name]++;
    expect(this.#running.remove).toBe(name === 'put' ? 0 : 1);
    if (name === 'remove') expect(this.#running.put).toBe(0);
    await nextTurn();
    const result = await work();
    this.#running[name]--;
    return result;
  }
}

test('nothing is removed while something is put, nor put while it is removed', async () => {
  const disk = new SlowDisk();
  const store = storeOf([disk]);
  const one = parseScheme('replica:1');
  const chunks = [1, 2, 3].map((seed) => chunkOf(seed, 1000, one));
  const [first, second, third] = chunks;
  if (!first || !second || !third) throw new Error('three chunks');
  const needed = new Set<string>();
  const put = (chunk: typeof first): Promise<void> => {
    needed.add(chunkKey(chunk.id));
    return store.session().put(chunk);
  };
  await put(first);
  needed.clear();
  const isNeeded = ({ chunkId }: PieceKey): boolean => needed.has(chunkKey(chunkId));
  const keys = pieceKeysOf(first.id, one);
  // The second removal comes before the put that needs the piece again, and finds it needed.
  await Promise.all([
    put(second),
    store.removeUnneeded(keys, isNeeded),
    put(third),
    store.removeUnneeded(keys, isNeeded),
    put(first),
  ]);
  for (const chunk of chunks) expect((await store.get(chunk)).equals(chunk.content)).toBe(true);
  expect(disk.puts).toBe(4);
});

test('a disk that fails a removal is out of service, the others go on', async () => {
  const disks = [new MemoryDisk(), new MemoryDisk()];
  const store = storeOf(disks);
  const chunk = chunkOf(1, 1000, scheme);
  await store.session().put(chunk);
  disks[0]?.failing.set('append', new DfsError('IO', 'Cannot write: EIO'));
  expect(await store.removeUnneeded(pieceKeysOf(chunk.id, scheme), () => false)).toBe(1);
  expect((await store.health()).map(({ status }) => status)).toEqual(['down', 'up']);
});
