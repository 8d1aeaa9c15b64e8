import { expect, test } from 'vitest';
import { type ChunkId, chunkKey } from '../../src/base/ids.ts';
import { parseScheme } from '../../src/chunk/mod.ts';
import { Leftovers } from '../../src/commit/leftovers.ts';
import type { ChunkStore, ChunkToStore } from '../../src/store/mod.ts';
import { chunkOf, storeOf } from '../store/fixture.ts';
import { MemoryDisk } from '../store/memory-disk.ts';

const scheme = parseScheme('replica:1');

/** Commits to a store with room for some chunks. */
class Commits {
  readonly disk = new MemoryDisk();
  readonly #needed = new Set<string>();
  readonly #store: ChunkStore;
  readonly #leftovers: Leftovers;

  constructor(room: number) {
    this.disk.piecesMax = room;
    this.#store = storeOf([this.disk], 1, () => 0);
    this.#store.protect(({ chunkId }) => this.#needed.has(chunkKey(chunkId)));
    this.#leftovers = new Leftovers({ chunks: this.#store, isNeeded: () => false });
  }

  /** What is put is needed from then on. */
  put(...chunks: ChunkToStore[]): Promise<void> {
    for (const { id } of chunks) this.#needed.add(chunkKey(id));
    return this.#leftovers.put(this.#store.session(), chunks);
  }

  /** The commit failed. */
  abandon(...chunks: ChunkToStore[]): void {
    for (const { id } of chunks) this.#needed.delete(chunkKey(id));
    this.#leftovers.add(chunks);
  }

  async stored(): Promise<Set<string>> {
    const pieces = await this.disk.list(undefined, 100);
    return new Set(pieces.map(({ chunkId }) => chunkKey(chunkId)));
  }
}

const chunksOf = (count: number): ChunkToStore[] =>
  Array.from({ length: count }, (_, at) => chunkOf(at, 1000, scheme));
const keysOf = (chunks: readonly { id: ChunkId }[]): Set<string> =>
  new Set(chunks.map(({ id }) => chunkKey(id)));

test('what was stored for nothing makes room when there is none, but for what is needed', async () => {
  const commits = new Commits(3);
  const chunks = chunksOf(5);
  await expect(commits.put(...chunks.slice(0, 4))).rejects.toMatchObject({ code: 'NO_SPACE' });
  expect((await commits.stored()).size).toBe(3);
  commits.abandon(...chunks.slice(0, 4));
  // The next one has one of them, and another.
  const next = [...chunks.slice(1, 2), ...chunks.slice(4)];
  for (const chunk of next) await commits.put(chunk);
  expect(await commits.stored()).toEqual(keysOf(next));
});

test('many puts that find no room share it when it is made', async () => {
  const commits = new Commits(4);
  const old = chunksOf(4);
  await commits.put(...old);
  commits.abandon(...old);
  const fresh = [...chunksOf(7).slice(4), ...old.slice(0, 1)];
  await Promise.all(fresh.map((chunk) => commits.put(chunk)));
  expect(await commits.stored()).toEqual(keysOf(fresh));
});

test('without leftovers there is no space', async () => {
  const commits = new Commits(0);
  await expect(commits.put(...chunksOf(1))).rejects.toMatchObject({ code: 'NO_SPACE' });
});
