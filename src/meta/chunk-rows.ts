import type Database from 'better-sqlite3';
import { type ChunkId, chunkKey } from '../base/ids.ts';
import type { ChunkRow } from './chunk-table.ts';

/** Rows in memory at most, at the end of an epoch. */
const HELD_MAX = 65_536;

/** What has to be done with a row, or with the one that was there before. */
type Fate = 'nothing' | 'insert' | 'update' | 'delete';

/** A row in memory, changed in place by whoever has it; {@link ChunkRows.changed} says so. */
export interface HeldChunk extends ChunkRow {
  fate: Fate;
}

/**
 * Rows of table chunk while a transaction changes them: each is read once and written once, those of
 * many chunks in the order of their ids, so that a page of the table is not written for each of them.
 */
export class ChunkRows {
  readonly #sql: ReturnType<typeof prepare>;
  /** Undefined for a chunk that has no row. */
  readonly #held = new Map<string, HeldChunk | undefined>();

  constructor(db: Database.Database) {
    this.#sql = prepare(db);
  }

  /** The row of a chunk, the same object until {@link write} or {@link forget}. */
  find(id: ChunkId): HeldChunk | undefined {
    const key = chunkKey(id);
    let held = this.#held.get(key);
    if (held === undefined && !this.#held.has(key)) {
      const row = this.#sql.get.get(id) as ChunkRow | undefined;
      held = row && { ...row, fate: 'nothing' };
      this.#held.set(key, held);
    }
    return held?.fate === 'delete' ? undefined : held;
  }

  /** A row for a chunk that {@link find} does not know. */
  add(row: ChunkRow): HeldChunk {
    const key = chunkKey(row.id);
    // One that was removed in the same transaction is in the table still.
    const fate = this.#held.get(key)?.fate === 'delete' ? 'update' : 'insert';
    const held: HeldChunk = { ...row, fate };
    this.#held.set(key, held);
    return held;
  }

  changed(row: HeldChunk): void {
    if (row.fate === 'nothing') row.fate = 'update';
  }

  remove(row: HeldChunk): void {
    if (row.fate === 'insert') this.#held.set(chunkKey(row.id), undefined);
    row.fate = 'delete';
  }

  /** An epoch ends: there may be too many by now. */
  endEpoch(): void {
    if (this.#held.size > HELD_MAX) this.write();
  }

  /** Writes what is in memory only; before a transaction ends. */
  write(): void {
    const { insert, update, remove } = this.#sql;
    for (const [, row] of [...this.#held].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (row === undefined || row.fate === 'nothing') continue;
      const { id, lengthBytes, scheme, refs, born, died, fate } = row;
      if (fate === 'delete') remove.run(id);
      else if (fate === 'insert') insert.run(id, lengthBytes, scheme, refs, born, died);
      else update.run(lengthBytes, scheme, refs, born, died, id);
    }
    this.forget();
  }

  /** The transaction was rolled back. */
  forget(): void {
    this.#held.clear();
  }
}

function prepare(db: Database.Database) {
  return {
    get: db.prepare(
      'select id, length as lengthBytes, scheme, refs, born, died from chunk where id = ?',
    ),
    insert: db.prepare(
      'insert into chunk (id, length, scheme, refs, born, died) values (?, ?, ?, ?, ?, ?)',
    ),
    update: db.prepare(
      'update chunk set length = ?, scheme = ?, refs = ?, born = ?, died = ? where id = ?',
    ),
    remove: db.prepare('delete from chunk where id = ?'),
  };
}
