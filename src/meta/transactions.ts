import { randomInt } from 'node:crypto';
import type Database from 'better-sqlite3';
import { InvariantError, messageOf } from '../base/errors.ts';
import { sqliteError } from './database.ts';
import { WriteAheadLog } from './write-ahead-log.ts';

const SALT_MAX = 2 ** 32 - 1;
/** Changes that SQLite takes in one transaction at most, and how long it waits for more. */
const CHANGES_MAX = 200;
const WAIT_MS = 100;

export interface TransactionsOptions {
  db: Database.Database;
  path: string;
  /** A number of table `local`, 0 if it has none. */
  local: (key: string) => number;
  setLocal: (key: string, value: number) => void;
  /** Carries out a change from the payload of its record, rows only. */
  replay: (payload: Buffer) => void;
  /** Writes the rows that changes of the open transaction have left in memory. */
  settle: () => void;
  /** The open transaction was rolled back: what {@link settle} would write is carried out again. */
  lost: () => void;
}

/**
 * Changes of one database, each answered as soon as it is in a log of our own, many of them in one
 * transaction of SQLite: a transaction of its own would cost more than most changes.
 *
 * Invariants:
 *  1. A transaction is open at all times: readers of this connection see every change, and need no
 *     locks.
 *  2. What the transaction holds, or will hold when it is settled, is in the log too: should SQLite
 *     lose it, it is carried out again.
 *  3. `logged` in the database is the number of the last record it has.
 */
export class Transactions {
  readonly #options: TransactionsOptions;
  readonly #db: Database.Database;
  readonly #sql: ReturnType<typeof prepare>;
  #log: WriteAheadLog | undefined;
  /** Number of the last record in a committed transaction. */
  #flushed: number;
  #timer: NodeJS.Timeout | undefined;
  /** Before that a flush that failed is not tried again for the sake of another change. */
  #retryAtMs = 0;
  /** The log could not be carried out again: the process must end. */
  #broken: InvariantError | undefined;
  /** Changes made since the start. */
  changes = 0;

  /** Carries out what a process that died left in its log. Throws IO, NO_SPACE or CORRUPT. */
  constructor(options: TransactionsOptions) {
    const { db, path, local, replay } = options;
    this.#options = options;
    this.#db = db;
    this.#sql = prepare(db);
    this.#flushed = local('logged');
    try {
      const left = WriteAheadLog.read(path, local('logSalt'), this.#flushed);
      this.#sql.begin.run();
      for (const { payload } of left) replay(payload);
      options.settle();
      this.#flushed += left.length;
      if (left.length > 0) this.#beginLog();
      // Nobody can ask for what a process that died did not sync: it is on the device from here on.
      else WriteAheadLog.syncDatabase(path);
    } catch (error) {
      throw sqliteError(error, path);
    }
  }

  #beginLog(): WriteAheadLog {
    const { path, setLocal } = this.#options;
    // Another salt: nothing that an earlier use of the files left is taken for a record again.
    const salt = randomInt(1, SALT_MAX);
    setLocal('logSalt', salt);
    setLocal('logged', this.#flushed);
    this.#sql.commit.run();
    this.#sql.begin.run();
    WriteAheadLog.syncDatabase(path);
    const flush = (): void => this.flush();
    this.#log = new WriteAheadLog({ path, salt, last: this.#flushed, flush });
    return this.#log;
  }

  /**
   * Makes one change: `frame` is its record (FRAME_HEADER and a payload), `body` carries it out.
   * Throws NO_SPACE or IO with nothing changed.
   */
  change(frame: Buffer, body: () => void): void {
    const log = this.#begun();
    log.append(frame);
    this.changes++;
    try {
      body();
    } catch (error) {
      this.#recover(() => log.takeBack());
      throw sqliteError(error, this.#options.path);
    }
    const isMany = log.last - this.#flushed >= CHANGES_MAX;
    if (isMany && performance.now() >= this.#retryAtMs) this.#tryFlush();
    else this.#timer ??= setTimeout(() => this.#tryFlush(), WAIT_MS).unref();
  }

  /** The log begins with the first change: a database that is only looked at stays as it is. */
  #begun(): WriteAheadLog {
    this.#checkWhole();
    if (this.#log !== undefined) return this.#log;
    try {
      return this.#beginLog();
    } catch (error) {
      this.#recover();
      throw sqliteError(error, this.#options.path);
    }
  }

  /**
   * Makes a change that is not in the log, which a crash may undo: it is committed at once. With
   * `isLasting` a power cut cannot undo it, because later records of the log go on from it.
   */
  unlogged(body: () => void, options: { isLasting: boolean } = { isLasting: false }): void {
    this.#checkWhole();
    this.changes++;
    try {
      this.#options.settle();
      body();
    } catch (error) {
      this.#recover();
      throw sqliteError(error, this.#options.path);
    }
    this.flush();
    if (options.isLasting) WriteAheadLog.syncDatabase(this.#options.path);
  }

  /** Makes every change so far survive a power cut. */
  async sync(): Promise<void> {
    await this.#log?.sync();
  }

  /** Does what SQLite does not allow in a transaction. */
  outside(body: () => void): void {
    this.flush();
    this.#sql.commit.run();
    try {
      body();
    } finally {
      this.#sql.begin.run();
    }
  }

  /** Commits the open transaction: other connections see it. NO_SPACE or IO: it stays open. */
  flush(): void {
    this.#checkWhole();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const last = this.#log?.last ?? this.#flushed;
    try {
      this.#options.settle();
      if (last !== this.#flushed) this.#options.setLocal('logged', last);
      this.#sql.commit.run();
    } catch (error) {
      this.#recover();
      throw sqliteError(error, this.#options.path);
    }
    this.#flushed = last;
    this.#sql.begin.run();
  }

  #tryFlush(): void {
    try {
      this.flush();
    } catch (error) {
      // The log has it all: the next flush tries again, and a full log says NO_SPACE.
      if (error instanceof InvariantError) throw error;
      this.#retryAtMs = performance.now() + WAIT_MS;
    }
  }

  /** Nothing of a transaction that could not be made again may be committed. */
  #checkWhole(): void {
    if (this.#broken !== undefined) throw this.#broken;
  }

  /** SQLite may have lost the transaction, or has part of a change: back to what the log says. */
  #recover(before: () => void = () => undefined): void {
    try {
      before();
      if (this.#db.inTransaction) this.#sql.rollback.run();
      this.#options.lost();
      this.#sql.begin.run();
      for (const { payload } of this.#log?.after(this.#flushed) ?? [])
        this.#options.replay(payload);
    } catch (error) {
      const state = `Cannot carry out the log of ${this.#options.path} again: ${messageOf(error)}`;
      clearTimeout(this.#timer);
      this.#broken = new InvariantError(state);
      throw this.#broken;
    }
  }

  /** Commits and closes the log; with `dying`, as a process that is killed: nothing is committed. */
  async close(options: { dying: boolean }): Promise<void> {
    clearTimeout(this.#timer);
    if (options.dying) this.#sql.rollback.run();
    else {
      this.flush();
      this.#sql.commit.run();
    }
    await this.#log?.close();
  }
}

function prepare(db: Database.Database) {
  return {
    // Deferred: nobody else writes, and a device that became read-only can still be read.
    begin: db.prepare('begin'),
    commit: db.prepare('commit'),
    rollback: db.prepare('rollback'),
  };
}
