import type Database from 'better-sqlite3';
import type { Epoch, Ino } from '../base/ids.ts';
import type { JournalRows } from './journal-rows.ts';

/** What is committed, and the map that has the newest journal row of each inode. */
interface Committed {
  epoch: Epoch;
  seq: number;
  pending: Map<Ino, number>;
}

/**
 * Removes what committed epochs have of the journal and of the dirty marks, some rows at a time:
 * requests wait meanwhile.
 */
export class Trim {
  readonly #db: Database.Database;
  readonly #journal: JournalRows;
  readonly #sql: ReturnType<typeof prepare>;
  #committed: Committed | undefined;
  /** The oldest journal row there may be. */
  #seq = 0;
  /** Dirty marks up to this inode are done; undefined when all are. */
  #ino: number | undefined;
  #pending: IterableIterator<[Ino, number]> | undefined;

  constructor(db: Database.Database, journal: JournalRows) {
    this.#db = db;
    this.#journal = journal;
    this.#sql = prepare(db);
  }

  /** Whether nothing is left to remove. */
  get isDone(): boolean {
    return this.#committed === undefined;
  }

  /** Removes at once what a process that died did not come to. */
  all(epoch: Epoch, seq: number): void {
    this.#journal.drop(seq);
    this.#sql.dropDirty.run(epoch, 0, Number.MAX_SAFE_INTEGER);
  }

  /** An epoch is committed: there is something to remove. */
  begin(committed: Committed): void {
    this.#committed = committed;
    this.#seq = this.#journal.oldest() ?? committed.seq + 1;
    this.#ino = 0;
    this.#pending = committed.pending.entries();
  }

  /** Removes up to `rows` rows of each kind; false when nothing more is left to remove. */
  step(rows: number): boolean {
    const committed = this.#committed;
    if (committed === undefined) return false;
    const upTo = Math.min(committed.seq, this.#seq + rows - 1);
    const from = this.#ino ?? Number.MAX_SAFE_INTEGER;
    const last = (this.#sql.inoBehind.get(from, rows - 1) as [number] | undefined)?.[0];
    this.#db.transaction(() => {
      this.#sql.dropBatches.run(upTo);
      this.#sql.dropDirty.run(committed.epoch, from, last ?? Number.MAX_SAFE_INTEGER);
    })();
    this.#seq = upTo + 1;
    this.#ino = last;
    for (let count = 0; count < rows && this.#pending !== undefined; count++) {
      const next = this.#pending.next();
      if (next.done === true) this.#pending = undefined;
      else if (next.value[1] <= committed.seq) committed.pending.delete(next.value[0]);
    }
    const isMore =
      this.#seq <= committed.seq || this.#ino !== undefined || this.#pending !== undefined;
    if (!isMore) {
      this.#journal.drop(committed.seq);
      this.#committed = undefined;
    }
    return isMore;
  }
}

function prepare(db: Database.Database) {
  return {
    // A row belongs to one epoch, unless it was carried out again from the log.
    dropBatches: db.prepare('delete from batch where seq + count - 1 <= ?'),
    dropDirty: db.prepare('delete from dirty where epoch <= ? and ino > ? and ino <= ?'),
    inoBehind: db
      .prepare('select ino from dirty where ino > ? order by ino limit 1 offset ?')
      .raw(),
  };
}
