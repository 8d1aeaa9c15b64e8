import { DfsError } from '../base/errors.ts';
import { type ChunkId, chunkKey } from '../base/ids.ts';
import { pieceKeysOf, type Scheme } from '../chunk/mod.ts';
import type { ChunkStore, ChunkToStore, PieceToRemove, PutSession } from '../store/mod.ts';

/** So many are remembered; the rest waits for garbage collection. */
const LEFTOVERS_MAX = 1_000_000;

/**
 * Chunks that commits stored which were never published. The next attempt finds what it needs of
 * them; when disks are full, the others make room: else a commit that was too large would leave
 * no place for a smaller one.
 */
export class Leftovers {
  readonly #chunks: Pick<ChunkStore, 'removeUnneeded'>;
  readonly #isNeeded: (id: ChunkId) => boolean;
  #ids = new Map<string, { id: ChunkId; scheme: Scheme }>();
  #removing: Promise<void> | undefined;
  /** Pieces that were removed so far. */
  #removed = 0;

  /** What is being put has to be protected in the store before. */
  constructor(options: {
    chunks: Pick<ChunkStore, 'removeUnneeded'>;
    isNeeded: (id: ChunkId) => boolean;
  }) {
    this.#chunks = options.chunks;
    this.#isNeeded = options.isNeeded;
  }

  /** These were stored for an epoch that will not be published. */
  add(chunks: Iterable<{ id: ChunkId; scheme: Scheme }>): void {
    for (const { id, scheme } of chunks) {
      if (this.#ids.size >= LEFTOVERS_MAX) return;
      this.#ids.set(chunkKey(id), { id, scheme });
    }
  }

  /** Puts chunks; NO_SPACE when there is none without the leftovers. */
  async put(session: Pick<PutSession, 'putMany'>, chunks: readonly ChunkToStore[]): Promise<void> {
    const before = this.#removed;
    try {
      await session.putMany(chunks);
    } catch (error) {
      const isFull = error instanceof DfsError && error.code === 'NO_SPACE';
      if (!isFull) throw error;
      // Another call may have made room meanwhile.
      if (this.#removed === before) await this.#makeRoom();
      if (this.#removed === before) throw error;
      await session.putMany(chunks);
    }
  }

  #makeRoom(): Promise<void> {
    this.#removing ??= this.#removeAll().finally(() => {
      this.#removing = undefined;
    });
    return this.#removing;
  }

  async #removeAll(): Promise<void> {
    const isNeeded = ({ chunkId }: PieceToRemove): boolean => this.#isNeeded(chunkId);
    this.#removed += await this.#chunks.removeUnneeded(this.#takePieces(), isNeeded);
  }

  *#takePieces(): Generator<PieceToRemove> {
    for (const [key, { id, scheme }] of this.#ids) {
      this.#ids.delete(key);
      yield* pieceKeysOf(id, scheme);
    }
  }
}
