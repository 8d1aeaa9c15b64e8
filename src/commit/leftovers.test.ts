import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { DfsError } from '../base/errors.ts';
import { type ChunkId, chunkKey } from '../base/ids.ts';
import { hashChunk, parseScheme } from '../chunk/mod.ts';
import { Leftovers } from './leftovers.ts';

const scheme = parseScheme('replica:1');

interface Chunk {
  id: ChunkId;
  content: Buffer;
  scheme: typeof scheme;
}

function chunkOf(text: string): Chunk {
  const content = Buffer.from(text);
  return { id: hashChunk(content), content, scheme };
}

/** A store with room for some chunks, each put of which takes a turn. */
class SmallStore {
  readonly stored = new Set<string>();
  readonly needed = new Set<string>();
  readonly leftovers: Leftovers;
  puts = 0;
  #room: number;

  constructor(room: number) {
    this.#room = room;
    const isNeeded = (id: ChunkId): boolean => this.needed.has(chunkKey(id));
    this.leftovers = new Leftovers({ chunks: this, scheme: () => scheme, isNeeded });
  }

  async putMany(chunks: readonly Chunk[]): Promise<void> {
    this.puts++;
    try {
      for (const { id } of chunks) {
        const isThere = this.stored.has(chunkKey(id));
        await nextTurn();
        if (isThere) continue;
        if (this.stored.size >= this.#room) throw new DfsError('NO_SPACE', 'Cannot store: full');
        this.stored.add(chunkKey(id));
      }
    } finally {
      this.puts--;
    }
  }

  async remove({ id }: { id: ChunkId }): Promise<number> {
    expect(this.puts).toBe(0);
    await nextTurn();
    return Number(this.stored.delete(chunkKey(id)));
  }

  /** As a commit does: what is put is needed from then on. */
  put(...chunks: Chunk[]): Promise<void> {
    for (const { id } of chunks) this.needed.add(chunkKey(id));
    return this.leftovers.put(chunks);
  }

  /** The commit failed. */
  abandon(...chunks: Chunk[]): void {
    for (const { id } of chunks) this.needed.delete(chunkKey(id));
    this.leftovers.add(chunks.map(({ id }) => id));
  }
}

test('what was stored for nothing makes room when there is none, but for what is needed', async () => {
  const store = new SmallStore(3);
  const [a, b, c, d, e] = ['a', 'b', 'c', 'd', 'e'].map(chunkOf) as [
    Chunk,
    Chunk,
    Chunk,
    Chunk,
    Chunk,
  ];
  await expect(store.put(a, b, c, d)).rejects.toMatchObject({ code: 'NO_SPACE' });
  expect(store.stored.size).toBe(3);
  store.abandon(a, b, c, d);
  // The next one has one of them, and another.
  await store.put(b);
  expect(store.stored.size).toBe(3);
  await store.put(e);
  expect(store.stored).toEqual(new Set([b, e].map(({ id }) => chunkKey(id))));
});

test('nothing is removed while something is put, and nothing put while it is removed', async () => {
  const store = new SmallStore(4);
  const old = ['a', 'b', 'c', 'd'].map(chunkOf);
  await store.put(...old);
  store.abandon(...old);
  const fresh = ['e', 'f', 'a'].map(chunkOf);
  await Promise.all(fresh.map((chunk) => store.put(chunk)));
  for (const { id } of fresh) expect(store.stored.has(chunkKey(id))).toBe(true);
});

test('an error of another kind, and no leftovers: as the store says', async () => {
  const store = new SmallStore(0);
  await expect(store.put(chunkOf('a'))).rejects.toMatchObject({ code: 'NO_SPACE' });
});
