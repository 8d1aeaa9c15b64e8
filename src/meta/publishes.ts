import type Database from 'better-sqlite3';
import type { Epoch, Ino } from '../base/ids.ts';
import type { Erased } from './erased.ts';
import type { JournalIndex } from './journal-index.ts';
import type { JournalRows } from './journal-rows.ts';
import type { LiveRecordWriter } from './live-records.ts';
import { type LiveSql, noteCommitted } from './live-sql.ts';
import type { Marks } from './marks.ts';
import type { FileExtents } from './ops.ts';
import type { RecentOps } from './recent-ops.ts';
import type { MetaState } from './state.ts';
import type { Transactions } from './transactions.ts';
import { Trim } from './trim.ts';

export interface PublishesOptions {
  db: Database.Database;
  sql: LiveSql;
  state: MetaState;
  marks: Marks;
  journal: JournalRows;
  transactions: Transactions;
  writer: LiveRecordWriter;
  index: () => JournalIndex;
  recent: RecentOps;
  /** What the rows say is committed. */
  committed: { epoch: Epoch; seq: number };
}

/** An epoch that the disks have, as the live metadata takes it over. */
export interface PublishedEpoch {
  epoch: Epoch;
  /** The last number of the journal in it. */
  seq: number;
  files: FileExtents[];
  /** What was erased since its cut. */
  erased: Erased;
}

/** The end of commits in the live metadata: what it takes over of them, and what it then drops. */
export class Publishes {
  readonly #options: PublishesOptions;
  readonly #trim: Trim;
  #epoch: Epoch;
  #seq: number;
  /** The journal and marks of committed epochs are still there: see {@link small}. */
  #isUntrimmed = false;

  constructor(options: PublishesOptions) {
    this.#options = options;
    this.#trim = new Trim(options.db, options.journal);
    ({ epoch: this.#epoch, seq: this.#seq } = options.committed);
    // What a process that died did not come to.
    this.#trim.all(this.#epoch, this.#seq);
  }

  /** The newest committed epoch. */
  get epoch(): Epoch {
    return this.#epoch;
  }

  /** The last journal number in it. */
  get seq(): number {
    return this.#seq;
  }

  /** The journal's operations behind the newest epoch up to `seq`, if they are few; else undefined. */
  opsUpTo(seq: number): Buffer | undefined {
    return this.#options.recent.between(this.#seq, seq);
  }

  /** Takes over new extents of some files: the part of a publish that may be repeated. */
  extents(files: FileExtents[], erased: Erased): void {
    this.#options.transactions.unlogged(() => this.#replace(this.#clipped(files, erased)));
  }

  /** Ends a publish: the epoch is committed, its journal is no longer needed ({@link trim}). */
  done(epoch: Epoch, seq: number): void {
    const { transactions, sql, marks } = this.#options;
    transactions.unlogged(() => {
      noteCommitted(sql, { epoch, seq });
      marks.dropSynced(epoch);
    });
    this.#note(epoch, seq);
    this.#beginTrim();
  }

  /**
   * A whole publish of a small epoch, as one record of the log. What is no longer needed stays until
   * {@link trimLater} or the next {@link done}.
   */
  small({ epoch, seq, files, erased }: PublishedEpoch): void {
    const { transactions, sql, marks, writer } = this.#options;
    const clipped = this.#clipped(files, erased);
    const frame = writer.published({ behind: this.#epoch, epoch, seq, files: clipped });
    transactions.change(frame, () => {
      this.#replace(clipped);
      noteCommitted(sql, { epoch, seq });
      marks.dropSynced(epoch);
    });
    this.#note(epoch, seq);
    this.#isUntrimmed = true;
  }

  /** The state was made anew at an epoch, in the transaction that goes on. */
  rebased(epoch: Epoch, seq: number): void {
    this.#trim.all(epoch, seq);
    noteCommitted(this.#options.sql, { epoch, seq });
    this.#note(epoch, seq);
  }

  /** Begins to remove what small epochs have left. */
  trimLater(): void {
    if (this.#isUntrimmed) this.#beginTrim();
  }

  /** Whether {@link trim} has nothing to do. */
  get isTrimmed(): boolean {
    return this.#trim.isDone;
  }

  /** Removes up to `rows` rows of the journal and dirty marks of committed epochs; false: no more. */
  trim(rows: number): boolean {
    let isLeft = false;
    this.#options.transactions.unlogged(() => {
      isLeft = this.#trim.step(rows);
    });
    return isLeft;
  }

  #clipped(files: FileExtents[], erased: Erased): FileExtents[] {
    const isThere = (ino: Ino): boolean => this.#options.state.inode(ino) !== undefined;
    return files
      .filter(({ ino }) => isThere(ino))
      .map(({ ino, ranges }) => ({ ino, ranges: erased.clip(ino, ranges) }));
  }

  #replace(files: FileExtents[]): void {
    const { state, index } = this.#options;
    for (const { ino, ranges } of files) {
      index().restored(ino);
      state.extents.replace(ino, ranges);
    }
  }

  #beginTrim(): void {
    this.#isUntrimmed = false;
    const pending = this.#options.index().pending;
    this.#trim.begin({ epoch: this.#epoch, seq: this.#seq, pending });
  }

  #note(epoch: Epoch, seq: number): void {
    this.#epoch = epoch;
    this.#seq = seq;
    this.#options.recent.drop(seq);
    this.#options.index().committed(seq);
  }
}
