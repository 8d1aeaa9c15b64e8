import type Database from 'better-sqlite3';
import { JournalRows } from './journal-rows.ts';
import type { LiveSql } from './live-sql.ts';
import { Marks } from './marks.ts';
import { replayRecord } from './replay.ts';
import { ReplyRing } from './reply-ring.ts';
import { MetaState } from './state.ts';

/**
 * The rows of the live metadata that are written when a transaction ends: until then they are in
 * memory, and in the log.
 */
export class LiveRows {
  readonly journal: JournalRows;
  readonly marks: Marks;
  readonly replies: ReplyRing;
  readonly #db: Database.Database;
  readonly #state: MetaState;

  constructor(db: Database.Database, state: MetaState) {
    this.#db = db;
    this.#state = state;
    this.journal = new JournalRows(db);
    this.marks = new Marks(db);
    this.replies = new ReplyRing(db);
  }

  settle(): void {
    this.#state.settle();
    this.journal.write();
    this.marks.write();
    this.replies.write();
  }

  /** The answers stay: what is carried out again puts them once more. */
  lost(): void {
    this.#state.lost();
    this.journal.forget();
    this.marks.forget();
  }

  /** Carries out records of the log again: rows only, because memory has it or has nothing yet. */
  replayer(sql: LiveSql): (payload: Buffer) => void {
    const { marks, replies, journal } = this;
    const rows = new MetaState(this.#db);
    return (payload) => replayRecord(payload, { rows, marks, replies, journal, sql });
  }
}
