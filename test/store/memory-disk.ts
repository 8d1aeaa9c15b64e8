import { DfsError } from '../../src/base/errors.ts';
import type { ChunkId } from '../../src/base/ids.ts';
import { hashChunk, pieceKeyText as keyOf, type PieceKey } from '../../src/chunk/mod.ts';
import type {
  DiskSpace,
  ListedPiece,
  PieceCheck,
  PieceDisk,
  PieceRead,
  PieceToStore,
  PieceUsage,
} from '../../src/store/mod.ts';

interface Kept extends PieceToStore {
  hash: Buffer;
}

/** What of a disk in memory outlives it: the pieces that were synced. */
export type Platter = Map<string, Kept>;

/** A disk in memory that fails where a test wants it to. */
export class MemoryDisk implements PieceDisk {
  /** Of so many pieces it is full. */
  piecesMax: number = Number.POSITIVE_INFINITY;
  /** Thrown by the calls named here. */
  readonly failing = new Map<'append' | 'sync' | 'read' | 'find', DfsError>();
  appendCount = 0;
  syncCount = 0;
  spaceNow: DiskSpace = { totalBytes: 2 ** 40, freeBytes: 2 ** 40 };
  #broken = false;
  #closed = false;
  readonly #platter: Platter;
  readonly #pieces: Map<string, Kept>;
  readonly #bad = new Set<string>();

  constructor(platter: Platter = new Map()) {
    this.#platter = platter;
    this.#pieces = new Map(platter);
  }

  append(pieces: readonly PieceToStore[]): Promise<void> {
    return this.#run('append', () => {
      this.appendCount++;
      for (const piece of pieces) {
        const payload = Buffer.from(piece.payload);
        const kept = { ...piece, payload, hash: hashChunk(payload) };
        const isFull = this.#pieces.size >= this.piecesMax && !this.#pieces.has(keyOf(piece));
        if (isFull) throw new DfsError('NO_SPACE', 'Cannot append: the disk is full');
        this.#pieces.set(keyOf(piece), kept);
        this.#bad.delete(keyOf(piece));
      }
    });
  }

  sync(): Promise<void> {
    const done = this.#run('sync', () => {
      this.syncCount++;
      for (const [key, kept] of this.#pieces) this.#platter.set(key, kept);
    });
    done.catch(() => {
      this.#broken = true;
    });
    return done;
  }

  read(key: PieceKey): Promise<PieceRead | undefined> {
    return this.#run('read', () => {
      const kept = this.#pieces.get(keyOf(key));
      if (kept === undefined) return undefined;
      const { payload, chunkBytes, scheme, hash } = kept;
      if (!hashChunk(payload).equals(hash)) throw new DfsError('CORRUPT', 'Cannot read: flipped');
      return { payload: Buffer.from(payload), chunkBytes, scheme };
    });
  }

  find(key: PieceKey): Promise<{ bucket: number; bad: boolean } | undefined> {
    return this.#run('find', () => {
      const kept = this.#pieces.get(keyOf(key));
      return kept && { bucket: kept.bucket, bad: this.#bad.has(keyOf(key)) };
    });
  }

  markBad(key: PieceKey): Promise<void> {
    return this.#run('find', () => void this.#bad.add(keyOf(key)));
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

  space(): Promise<DiskSpace> {
    return this.#run('find', () => ({ ...this.spaceNow }));
  }

  list(after: ChunkId | undefined, limit: number): Promise<ListedPiece[]> {
    return this.#run('find', () => {
      const pieces = [...this.#pieces.values()]
        .filter(({ chunkId }) => after === undefined || chunkId.compare(after) > 0)
        .map(({ chunkId, scheme, pieceIndex, bucket, payload }) => {
          const key = { chunkId, scheme, pieceIndex };
          return { ...key, bucket, bytes: payload.length, bad: this.#bad.has(keyOf(key)) };
        })
        .toSorted((a, b) => a.chunkId.compare(b.chunkId));
      const last = pieces[limit - 1]?.chunkId;
      return last === undefined
        ? pieces
        : pieces.filter(({ chunkId: id }) => id.compare(last) <= 0);
    });
  }

  async verify(keys: readonly PieceKey[]): Promise<PieceCheck[]> {
    await this.#run('read', () => undefined);
    const checks: PieceCheck[] = [];
    for (const key of keys) {
      try {
        const piece = await this.read(key);
        const health = piece === undefined ? 'missing' : 'ok';
        checks.push({ health, chunkBytes: piece?.chunkBytes ?? 0, trouble: '' });
      } catch (error) {
        if (!(error instanceof DfsError) || error.code !== 'CORRUPT') throw error;
        this.#bad.add(keyOf(key));
        checks.push({ health: 'bad', chunkBytes: 0, trouble: error.message });
      }
    }
    return checks;
  }

  remove(keys: readonly PieceKey[]): Promise<number> {
    return this.#run('append', () => {
      for (const key of keys) this.#bad.delete(keyOf(key));
      for (const key of keys) this.#platter.delete(keyOf(key));
      return keys.filter((key) => this.#pieces.delete(keyOf(key))).length;
    });
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  /** Flips a bit of a piece that is here. */
  flip(key: PieceKey): void {
    const payload = this.#pieces.get(keyOf(key))?.payload;
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
