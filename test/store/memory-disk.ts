import { DfsError } from '../../src/base/errors.ts';
import type { ChunkId } from '../../src/base/ids.ts';
import { hashChunk } from '../../src/chunk/mod.ts';
import type { PieceDisk, PieceRead, PieceToStore, PieceUsage } from '../../src/store/mod.ts';

interface Kept extends PieceToStore {
  hash: Buffer;
}

/** A disk in memory that fails where a test wants it to. */
export class MemoryDisk implements PieceDisk {
  /** Thrown by the calls named here. */
  readonly failing = new Map<'append' | 'sync' | 'read' | 'find', DfsError>();
  appendCount = 0;
  syncCount = 0;
  #broken = false;
  #closed = false;
  readonly #pieces = new Map<string, Kept>();
  readonly #bad = new Set<string>();

  append(pieces: readonly PieceToStore[]): Promise<void> {
    return this.#run('append', () => {
      this.appendCount++;
      for (const piece of pieces) {
        const payload = Buffer.from(piece.payload);
        const kept = { ...piece, payload, hash: hashChunk(payload) };
        this.#pieces.set(key(piece.chunkId, piece.pieceIndex), kept);
        this.#bad.delete(key(piece.chunkId, piece.pieceIndex));
      }
    });
  }

  sync(): Promise<void> {
    const done = this.#run('sync', () => {
      this.syncCount++;
    });
    done.catch(() => {
      this.#broken = true;
    });
    return done;
  }

  read(chunkId: ChunkId, pieceIndex: number): Promise<PieceRead | undefined> {
    return this.#run('read', () => {
      const kept = this.#pieces.get(key(chunkId, pieceIndex));
      if (kept === undefined) return undefined;
      const { payload, chunkBytes, scheme, hash } = kept;
      if (!hashChunk(payload).equals(hash)) throw new DfsError('CORRUPT', 'Cannot read: flipped');
      return { payload: Buffer.from(payload), chunkBytes, scheme };
    });
  }

  find(
    chunkId: ChunkId,
    pieceIndex: number,
  ): Promise<{ bucket: number; bad: boolean } | undefined> {
    return this.#run('find', () => {
      const id = key(chunkId, pieceIndex);
      const kept = this.#pieces.get(id);
      return kept && { bucket: kept.bucket, bad: this.#bad.has(id) };
    });
  }

  markBad(chunkId: ChunkId, pieceIndex: number): Promise<void> {
    return this.#run('find', () => void this.#bad.add(key(chunkId, pieceIndex)));
  }

  badCount(): Promise<number> {
    return this.#run('find', () => this.#bad.size);
  }

  usage(): Promise<PieceUsage> {
    return this.#run('find', () => {
      const kept = [...this.#pieces.values()];
      const bytes = kept.reduce((sum, { payload }) => sum + payload.length, 0);
      return { pieces: kept.length, bytes };
    });
  }

  remove(chunkId: ChunkId, pieceIndex: number): Promise<boolean> {
    return this.#run('append', () => {
      this.#bad.delete(key(chunkId, pieceIndex));
      return this.#pieces.delete(key(chunkId, pieceIndex));
    });
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  /** Flips a bit of a piece that is here. */
  flip(chunkId: ChunkId, pieceIndex: number): void {
    const payload = this.#pieces.get(key(chunkId, pieceIndex))?.payload;
    if (payload === undefined) throw new Error('the piece is not on this disk');
    payload[0] = (payload[0] ?? 0) ^ 1;
  }

  async #run<T>(call: 'append' | 'sync' | 'read' | 'find', work: () => T): Promise<T> {
    await Promise.resolve();
    if (this.#closed) throw new DfsError('CLOSED', 'Cannot use the disk: it is closed');
    if (this.#broken) throw new DfsError('UNAVAILABLE', 'Cannot use the disk: a sync failed');
    const failure = this.failing.get(call);
    if (failure !== undefined) throw failure;
    return work();
  }
}

function key(chunkId: ChunkId, pieceIndex: number): string {
  return `${chunkId.toString('hex')}.${pieceIndex}`;
}
