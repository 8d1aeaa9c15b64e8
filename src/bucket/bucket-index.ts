import type Database from 'better-sqlite3';
import type { ChunkId } from '../base/ids.ts';
import { indexError } from './disk-errors.ts';
import { completeIndexFile, type IndexSource, openIndexFile } from './index-file.ts';

// Invariants.
// 1. The index is a cache. Whoever reads a record verifies it, so a wrong row is an error or a
//    miss, never a wrong byte.
// 2. A bucket's `synced` never exceeds what was synced of its file. Rows beyond it are dropped at
//    open and found again by scanning, so rows of records that a power cut took do not stay.

/** Where a piece lies. */
export interface PieceLocation {
  readonly bucket: number;
  readonly offset: number;
  /** Length of the record, header and padding included. */
  readonly bytes: number;
}

/** A row: which piece lies where. */
export interface IndexedPiece extends PieceLocation {
  readonly chunkId: ChunkId;
  readonly pieceIndex: number;
}

/** What the indexed records of a bucket sum up to. */
export interface BucketTotals {
  readonly bucket: number;
  readonly pieces: number;
  readonly bytes: number;
  /** Where the last of them ends. */
  readonly end: number;
}

const PAGE_ROWS = 1000;

const SQL = {
  get: 'SELECT bucket, offset, bytes FROM pieces WHERE chunk = ? AND piece = ?',
  put: 'INSERT OR REPLACE INTO pieces (chunk, piece, bucket, offset, bytes) VALUES (?, ?, ?, ?, ?)',
  remove: 'DELETE FROM pieces WHERE chunk = ? AND piece = ?',
  page: `SELECT chunk, piece, bucket, offset, bytes FROM pieces
    WHERE (chunk, piece) > (?, ?) ORDER BY chunk, piece LIMIT ${PAGE_ROWS}`,
  isBad: 'SELECT 1 FROM bad WHERE chunk = ? AND piece = ?',
  markBad: 'INSERT OR IGNORE INTO bad (chunk, piece) VALUES (?, ?)',
  clearBad: 'DELETE FROM bad WHERE chunk = ? AND piece = ?',
  badCount: 'SELECT count(*) AS count FROM bad',
  synced: 'SELECT bucket, synced FROM buckets',
  setSynced: 'INSERT OR REPLACE INTO buckets (bucket, synced) VALUES (?, ?)',
  forget: 'DELETE FROM buckets WHERE bucket = ?',
  dropUnsynced: `DELETE FROM pieces WHERE offset + bytes >
    coalesce((SELECT synced FROM buckets WHERE buckets.bucket = pieces.bucket), 0)`,
  totals: `SELECT bucket, count(*) AS pieces, sum(bytes) AS bytes, max(offset + bytes) AS end
    FROM pieces GROUP BY bucket`,
} as const;

type Statements = Record<keyof typeof SQL, Database.Statement>;

interface Row extends PieceLocation {
  readonly chunk: Buffer;
  readonly piece: number;
}

/** Which pieces a disk holds and where: SQLite, rebuilt from the buckets when it is lost. */
export class BucketIndex {
  /** Nothing was known: every bucket has to be scanned, then {@link complete} called. */
  readonly fresh: boolean;
  readonly #source: IndexSource;
  readonly #database: Database.Database;
  readonly #statements: Statements;

  constructor(source: IndexSource) {
    const { database, fresh } = openIndexFile(source);
    this.#source = source;
    this.#database = database;
    this.fresh = fresh;
    try {
      const entries = Object.entries(SQL).map(([name, sql]) => [name, database.prepare(sql)]);
      this.#statements = Object.fromEntries(entries) as Statements;
    } catch (error) {
      database.close();
      throw indexError(source.path, error);
    }
  }

  /** Says that a fresh index now knows every piece. */
  complete(): void {
    this.#run(() => completeIndexFile(this.#database, this.#source));
  }

  get(chunkId: ChunkId, pieceIndex: number): PieceLocation | undefined {
    return this.#run(() => this.#statements.get.get(chunkId, pieceIndex) as Row | undefined);
  }

  /** Adds or moves pieces, all or none; they are no longer bad. */
  put(pieces: readonly IndexedPiece[]): void {
    this.transaction(() => {
      const { put, clearBad } = this.#statements;
      const anyBad = this.badCount() > 0;
      for (const { chunkId, pieceIndex, bucket, offset, bytes } of pieces) {
        put.run(chunkId, pieceIndex, bucket, offset, bytes);
        if (anyBad) clearBad.run(chunkId, pieceIndex);
      }
    });
  }

  remove(chunkId: ChunkId, pieceIndex: number): void {
    this.transaction(() => {
      this.#statements.remove.run(chunkId, pieceIndex);
      this.#statements.clearBad.run(chunkId, pieceIndex);
    });
  }

  /** All pieces in the order of their ids; pieces added meanwhile may be among them. */
  *pieces(): Generator<IndexedPiece> {
    let after: [Buffer, number] = [Buffer.alloc(0), -1];
    for (;;) {
      const rows = this.#run(() => this.#statements.page.all(...after) as Row[]);
      for (const { chunk, piece, bucket, offset, bytes } of rows) {
        yield { chunkId: chunk as ChunkId, pieceIndex: piece, bucket, offset, bytes };
        after = [chunk, piece];
      }
      if (rows.length < PAGE_ROWS) return;
    }
  }

  isBad(chunkId: ChunkId, pieceIndex: number): boolean {
    return this.#run(() => this.#statements.isBad.get(chunkId, pieceIndex)) !== undefined;
  }

  markBad(chunkId: ChunkId, pieceIndex: number): void {
    this.#run(() => this.#statements.markBad.run(chunkId, pieceIndex));
  }

  clearBad(chunkId: ChunkId, pieceIndex: number): void {
    this.#run(() => this.#statements.clearBad.run(chunkId, pieceIndex));
  }

  badCount(): number {
    return this.#run(() => this.#statements.badCount.get() as { count: number }).count;
  }

  /** How far each bucket is known to be synced. */
  synced(): Map<number, number> {
    const rows = this.#run(() => this.#statements.synced.all());
    return new Map((rows as SyncedRow[]).map(({ bucket, synced }) => [bucket, synced]));
  }

  setSynced(synced: ReadonlyMap<number, number>): void {
    this.transaction(() => {
      for (const entry of synced) this.#statements.setSynced.run(...entry);
    });
  }

  /** Drops what is known of a bucket, its rows with the next dropUnsynced(). */
  forget(bucket: number): void {
    this.#run(() => this.#statements.forget.run(bucket));
  }

  /** Drops the rows that invariant 2 does not vouch for; how many. */
  dropUnsynced(): number {
    return this.#run(() => this.#statements.dropUnsynced.run()).changes;
  }

  totals(): BucketTotals[] {
    return this.#run(() => this.#statements.totals.all() as BucketTotals[]);
  }

  /** Runs `work` as one transaction. */
  transaction(work: () => void): void {
    this.#run(() => this.#database.transaction(work)());
  }

  close(): void {
    this.#database.close();
  }

  #run<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw indexError(this.#source.path, error);
    }
  }
}

interface SyncedRow {
  readonly bucket: number;
  readonly synced: number;
}
