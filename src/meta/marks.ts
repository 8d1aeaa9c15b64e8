import type Database from 'better-sqlite3';
import type { Epoch, Ino } from '../base/ids.ts';

/**
 * What a crash must find of cache files: which may hold data no chunk has, and in which epoch each
 * was last synced by an fsync.
 */
export class Marks {
  readonly #sql: ReturnType<typeof prepare>;
  /** Marks that are not written yet: most files get theirs once an epoch. */
  readonly #dirty = new Map<Ino, Epoch>();

  constructor(db: Database.Database) {
    this.#sql = prepare(db);
  }

  /** The cache file of `ino` may get data in `epoch`. */
  putDirty(ino: Ino, epoch: Epoch): void {
    this.#dirty.set(ino, epoch);
  }

  /** Writes what is in memory only, before the transaction ends. */
  write(): void {
    for (const [ino, epoch] of this.#dirty) this.#sql.putDirty.run(ino, epoch);
    this.#dirty.clear();
  }

  /** The transaction was rolled back: its rows are made anew. */
  forget(): void {
    this.#dirty.clear();
  }

  /** The cache files of `inos` hold nothing that was written. */
  dropDirty(inos: Ino[]): void {
    for (const ino of inos) this.#sql.dropDirty.run(ino);
  }

  dirty(): { ino: Ino; epoch: Epoch }[] {
    this.write();
    return this.#sql.dirty.all() as { ino: Ino; epoch: Epoch }[];
  }

  /** All that the cache file of `ino` held when `epoch` was open is on its device. */
  putSynced(ino: Ino, epoch: Epoch): void {
    this.#sql.putSynced.run(ino, epoch);
  }

  /** The epoch of the last {@link putSynced}; 0 if there is none. */
  synced(ino: Ino): Epoch {
    return ((this.#sql.synced.get(ino) as [number] | undefined)?.[0] ?? 0) as Epoch;
  }

  /** Syncs of epochs up to `epoch` tell nothing any more: the disks have what was synced. */
  dropSynced(epoch: Epoch): void {
    this.#sql.dropSynced.run(epoch);
  }
}

function prepare(db: Database.Database) {
  return {
    putDirty: db.prepare('insert or replace into dirty (ino, epoch) values (?, ?)'),
    dropDirty: db.prepare('delete from dirty where ino = ?'),
    dirty: db.prepare('select ino, epoch from dirty'),
    putSynced: db.prepare('insert or replace into synced (ino, epoch) values (?, ?)'),
    synced: db.prepare('select epoch from synced where ino = ?').raw(),
    dropSynced: db.prepare('delete from synced where epoch <= ?'),
  };
}
