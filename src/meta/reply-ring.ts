import type Database from 'better-sqlite3';

const SLOTS = 128;
/** Request number and result, two doubles, which hold every integer they can be. */
const SLOT_BYTES = 16;

/**
 * The answers to the newest changes, kept in the transactions that made them: a request that the
 * kernel sends again is answered, not carried out twice. One row has them all; it is written when
 * the transaction ends, and what is missing in it is in the log.
 */
export class ReplyRing {
  readonly #sql: ReturnType<typeof prepare>;
  readonly #ring: Buffer;
  /** Answers given before the process that went before us died. */
  readonly #earlier = new Map<number, number>();
  #slot = 0;
  #isWritten = true;

  constructor(db: Database.Database) {
    this.#sql = prepare(db);
    const row = this.#sql.get.get() as [Buffer] | undefined;
    this.#ring = Buffer.alloc(SLOTS * SLOT_BYTES);
    row?.[0].copy(this.#ring);
    // Request numbers grow within a mount: the ring goes on behind the newest, so that the answers
    // a later process may need are overwritten last.
    let newest = 0;
    for (let slot = 0; slot < SLOTS; slot++) {
      const request = this.#ring.readDoubleLE(slot * SLOT_BYTES);
      if (request <= newest) continue;
      newest = request;
      this.#slot = slot + 1;
    }
  }

  /** What is in the ring was answered by an earlier process. */
  inherit(): void {
    for (let at = 0; at < this.#ring.length; at += SLOT_BYTES) {
      const request = this.#ring.readDoubleLE(at);
      if (request > 0) this.#earlier.set(request, this.#ring.readDoubleLE(at + 8));
    }
  }

  /** What an earlier process answered to the request `unique`. */
  earlier(unique: number): number | undefined {
    return this.#earlier.get(unique);
  }

  /** Remembers an answer; in the transaction of the change. */
  put(unique: number, result: number): void {
    const at = (this.#slot++ % SLOTS) * SLOT_BYTES;
    this.#ring.writeDoubleLE(unique, at);
    this.#ring.writeDoubleLE(result, at + 8);
    this.#isWritten = false;
  }

  /** Writes the row, before the transaction ends. */
  write(): void {
    if (this.#isWritten) return;
    this.#sql.put.run(this.#ring);
    this.#isWritten = true;
  }

  /** A new mount, whose request numbers begin anew. */
  forget(): void {
    this.#ring.fill(0);
    this.#slot = 0;
    this.#isWritten = false;
    this.#earlier.clear();
  }
}

function prepare(db: Database.Database) {
  return {
    get: db.prepare('select ring from answers where id = 1').raw(),
    put: db.prepare('insert or replace into answers (id, ring) values (1, ?)'),
  };
}
