import { DfsError } from '../base/errors.ts';
import { type ChunkId, chunkKey } from '../base/ids.ts';
import type { ChunkStore } from '../store/mod.ts';

/** So many are remembered; the rest waits for garbage collection. */
const LEFTOVERS_MAX = 1_000_000;

/** Chunks to be stored. */
export type ToStore = Mutable<Parameters<ChunkStore['putMany']>[0]>;
type Mutable<T> = T extends readonly (infer One)[] ? One[] : never;
type Scheme = ToStore[number]['scheme'];

/**
 * Chunks that commits stored which were never published. The next attempt finds what it needs of
 * them; when disks are full, the others make room: else a commit that was too large would leave
 * no place for a smaller one.
 *
 * Invariant: nothing is removed while something is being put, which may take a piece that is there
 * for its own.
 */
export class Leftovers {
  readonly #chunks: Pick<ChunkStore, 'putMany' | 'remove'>;
  readonly #scheme: () => Scheme;
  readonly #isNeeded: (id: ChunkId) => boolean;
  #ids = new Map<string, ChunkId>();
  #puts = 0;
  #onIdle: (() => void) | undefined;
  #removing: Promise<void> | undefined;
  /** Pieces that were removed so far. */
  #removed = 0;

  /** `isNeeded`: a published epoch has the chunk, or the one that is being made. */
  constructor(options: {
    chunks: Pick<ChunkStore, 'putMany' | 'remove'>;
    scheme: () => Scheme;
    isNeeded: (id: ChunkId) => boolean;
  }) {
    this.#chunks = options.chunks;
    this.#scheme = options.scheme;
    this.#isNeeded = options.isNeeded;
  }

  /** These were stored for an epoch that will not be published. */
  add(ids: Iterable<ChunkId>): void {
    for (const id of ids) {
      if (this.#ids.size >= LEFTOVERS_MAX) return;
      this.#ids.set(chunkKey(id), id);
    }
  }

  /** Stores chunks that are needed already; NO_SPACE when there is none without the leftovers. */
  async put(chunks: ToStore): Promise<void> {
    const before = this.#removed;
    try {
      await this.#put(chunks);
    } catch (error) {
      const isFull = error instanceof DfsError && error.code === 'NO_SPACE';
      if (!isFull) throw error;
      // Another call may have made room meanwhile.
      if (this.#removed === before) await this.#makeRoom();
      if (this.#removed === before) throw error;
      await this.#put(chunks);
    }
  }

  async #put(chunks: ToStore): Promise<void> {
    while (this.#removing !== undefined) await this.#removing;
    this.#puts++;
    try {
      await this.#chunks.putMany(chunks);
    } finally {
      this.#puts--;
      if (this.#puts === 0) this.#onIdle?.();
    }
  }

  #makeRoom(): Promise<void> {
    this.#removing ??= this.#removeAll().finally(() => {
      this.#removing = undefined;
    });
    return this.#removing;
  }

  async #removeAll(): Promise<void> {
    if (this.#puts > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
      this.#onIdle = undefined;
    }
    for (const [key, id] of this.#ids) {
      this.#ids.delete(key);
      if (this.#isNeeded(id)) continue;
      this.#removed += await this.#chunks.remove({ id, scheme: this.#scheme() });
    }
  }
}
