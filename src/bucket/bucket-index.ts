import type Database from 'better-sqlite3';
import type { ChunkId } from '../base/ids.ts';
import type { PieceKey } from '../chunk/mod.ts';
import { indexError } from './disk-errors.ts';
import { completeIndexFile, type IndexSource, openIndexFile } from './index-file.ts';
import { schemeCode, schemeOfCode } from './scheme-code.ts';

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
export interface IndexedPiece extends PieceLocation, PieceKey {}

/** A row as {@link BucketIndex.list} gives it. */
export interface ListedRow extends IndexedPiece {
  /** It is known not to verify. */
  readonly bad: boolean;
}

/** What the indexed records of a bucket sum up to. */
export interface BucketTotals {
  readonly bucket: number;
  readonly pieces: number;
  readonly bytes: number;
  /** Where the last of them ends. */
  readonly end: number;
}

const COLUMNS = 'chunk, scheme, piece, bucket, offset, bytes';
const LISTED = `SELECT ${COLUMNS}, EXISTS (SELECT 1 FROM bad WHERE bad.chunk = pieces.chunk
    AND bad.scheme = pieces.scheme AND bad.piece = pieces.piece) AS bad FROM pieces`;
const KEY = 'chunk = ? AND scheme = ? AND piece = ?';

const SQL = {
  get: `SELECT bucket, offset, bytes FROM pieces WHERE ${KEY}`,
  put: `INSERT OR REPLACE INTO pieces (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)`,
  remove: `DELETE FROM pieces WHERE ${KEY}`,
  list: `${LISTED} WHERE chunk > ? ORDER BY chunk, scheme, piece LIMIT ?`,
  listOf: `${LISTED} WHERE chunk = ? ORDER BY scheme, piece`,
  isBad: `SELECT 1 FROM bad WHERE ${KEY}`,
  markBad: 'INSERT OR IGNORE INTO bad (chunk, scheme, piece) VALUES (?, ?, ?)',
  clearBad: `DELETE FROM bad WHERE ${KEY}`,
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
  readonly scheme: number;
  readonly piece: number;
  readonly bad: number;
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

  get(key: PieceKey): PieceLocation | undefined {
    return this.#run(() => this.#statements.get.get(...columnsOf(key)) as Row | undefined);
  }

  /** Adds or moves pieces, all or none; they are no longer bad. */
  put(pieces: readonly IndexedPiece[]): void {
    this.transaction(() => {
      const { put, clearBad } = this.#statements;
      const anyBad = this.badCount() > 0;
      for (const piece of pieces) {
        const key = columnsOf(piece);
        put.run(...key, piece.bucket, piece.offset, piece.bytes);
        if (anyBad) clearBad.run(...key);
      }
    });
  }

  /** Removes pieces, all or none. */
  remove(keys: readonly PieceKey[]): void {
    this.transaction(() => {
      for (const key of keys) {
        this.#statements.remove.run(...columnsOf(key));
        this.#statements.clearBad.run(...columnsOf(key));
      }
    });
  }

  /**
   * The pieces behind the chunk `after`, in the order of their chunks' ids: `limit` of them, and the
   * rest of the last chunk's. None when there are no more.
   */
  list(after: ChunkId | undefined, limit: number): ListedRow[] {
    return this.#run(() => {
      const { list, listOf } = this.#statements;
      const rows = list.all(after ?? Buffer.alloc(0), limit) as Row[];
      const last = rows.at(-1)?.chunk;
      if (last === undefined || rows.length < limit) return rows.map(listed);
      const whole = rows.filter(({ chunk }) => !chunk.equals(last));
      return [...whole, ...(listOf.all(last) as Row[])].map(listed);
    });
  }

  isBad(key: PieceKey): boolean {
    return this.#run(() => this.#statements.isBad.get(...columnsOf(key))) !== undefined;
  }

  markBad(key: PieceKey): void {
    this.#run(() => this.#statements.markBad.run(...columnsOf(key)));
  }

  clearBad(key: PieceKey): void {
    this.#run(() => this.#statements.clearBad.run(...columnsOf(key)));
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

function columnsOf({ chunkId, scheme, pieceIndex }: PieceKey): [Buffer, number, number] {
  return [chunkId, schemeCode(scheme), pieceIndex];
}

function listed(row: Row): ListedRow {
  const { chunk, scheme, piece, bucket, offset, bytes, bad } = row;
  const key = { chunkId: chunk as ChunkId, scheme: schemeOfCode(scheme), pieceIndex: piece };
  return { ...key, bucket, offset, bytes, bad: bad !== 0 };
}

interface SyncedRow {
  readonly bucket: number;
  readonly synced: number;
}
