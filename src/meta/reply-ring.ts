import type Database from 'better-sqlite3';

const SLOTS = 128;

/**
 * The answers to the newest changes, kept in the transactions that made them: a request that the
 * kernel sends again is answered, not carried out twice.
 */
export class ReplyRing {
  readonly #put: Database.Statement;
  readonly #drop: Database.Statement;
  /** Answers given before the process that went before us died. */
  readonly #earlier = new Map<number, number>();
  #slot = 0;

  constructor(db: Database.Database) {
    this.#put = db.prepare('insert or replace into reply (slot, request, result) values (?, ?, ?)');
    this.#drop = db.prepare('delete from reply');
    const rows = db.prepare('select slot, request, result from reply').raw().all();
    // Request numbers grow within a mount: the ring goes on behind the newest, so that the answers
    // a later process may need are overwritten last.
    let newest = -1;
    for (const [slot, request, result] of rows as [number, number, number][]) {
      this.#earlier.set(request, result);
      if (request < newest) continue;
      newest = request;
      this.#slot = slot + 1;
    }
  }

  /** What an earlier process answered to the request `unique`. */
  earlier(unique: number): number | undefined {
    return this.#earlier.get(unique);
  }

  /** Remembers an answer; in the transaction of the change. */
  put(unique: number, result: number): void {
    this.#put.run(this.#slot++ % SLOTS, unique, result);
  }

  /** A new mount, whose request numbers begin anew. */
  forget(): void {
    this.#drop.run();
    this.#earlier.clear();
  }
}
