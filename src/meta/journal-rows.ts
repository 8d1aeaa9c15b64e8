import type Database from 'better-sqlite3';
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { assert, DfsError } from '../base/errors.ts';
import type { MetaOp } from './ops.ts';
import { decodeOp } from './ops-codec.ts';

/** A row takes so many bytes at most, unless one change alone is longer. */
const ROW_BYTES_MAX = 1 << 20;

/**
 * The operations no published epoch has, in order: a row holds those of many changes, as one row an
 * operation would cost more than the rest of a change.
 *
 * Invariant: rows are written before a cut, so each belongs to one epoch.
 */
export class JournalRows {
  readonly #sql: ReturnType<typeof prepare>;
  /** Operations that have no row yet. */
  readonly #out = new ByteWriter(1 << 14);
  #firstSeq = 0;
  #count = 0;

  constructor(db: Database.Database) {
    this.#sql = prepare(db);
  }

  /** Adds the operations of one change, numbered from `firstSeq` on. */
  add(firstSeq: number, count: number, ops: Buffer): void {
    const isBehind = this.#count > 0 && firstSeq === this.#firstSeq + this.#count;
    if (!isBehind || this.#out.length + ops.length > ROW_BYTES_MAX) this.write();
    if (this.#count === 0) this.#firstSeq = firstSeq;
    this.#count += count;
    this.#out.raw(ops);
  }

  /** Writes what is in memory only, before the transaction ends. */
  write(): void {
    if (this.#count > 0) this.#sql.put.run(this.#firstSeq, this.#count, this.#out.view());
    this.forget();
  }

  /** The transaction was rolled back: its rows are made anew. */
  forget(): void {
    this.#count = 0;
    this.#out.reset();
  }

  /** Removes all operations up to `seq`. */
  drop(seq: number): void {
    this.write();
    this.#sql.drop.run(seq, seq);
    // What was carried out again from the log knows of no cuts.
    const row = this.#sql.at.get(seq) as Row | undefined;
    if (row === undefined) return;
    const [first, count, ops] = row;
    const reader = new ByteReader(ops, `operations ${first} to ${first + count - 1}`);
    for (let skipped = first; skipped <= seq; skipped++) decodeOp(reader);
    this.#sql.remove.run(first);
    this.#sql.put.run(seq + 1, first + count - seq - 1, ops.subarray(reader.offset));
  }

  /** Number of the first operation, or undefined without any. */
  oldest(): number | undefined {
    return (this.#sql.oldest.get() as [number] | undefined)?.[0];
  }

  /** Number of the last operation; 0 without any. */
  newest(): number {
    return (this.#sql.newest.get() as [number] | undefined)?.[0] ?? 0;
  }

  /** The operations behind `afterSeq`, in order. Throws CORRUPT. */
  *read(afterSeq: number): Generator<{ seq: number; op: MetaOp }> {
    this.write();
    for (const [first, count, ops] of this.#sql.behind.all(afterSeq) as Row[]) {
      const reader = new ByteReader(ops, `operations ${first} to ${first + count - 1}`);
      for (let seq = first; seq < first + count; seq++) {
        const op = decodeOp(reader);
        if (seq > afterSeq) yield { seq, op };
      }
      reader.end();
    }
  }
}

type Row = [first: number, count: number, ops: Buffer];

/** The bytes of operations (afterSeq, seq], from another connection, after a cut at each of them. */
export function* journalBytes(
  db: Database.Database,
  afterSeq: number,
  seq: number,
): Generator<Buffer> {
  let next = afterSeq + 1;
  const rows = db
    .prepare('select seq, count, ops from batch where seq > ? and seq <= ? order by seq')
    .raw();
  for (const [first, count, ops] of rows.iterate(afterSeq, seq) as Iterable<Row>) {
    assert(first === next, `the journal goes on with operation ${first} instead of ${next}`);
    next = first + count;
    yield ops;
  }
  if (next !== seq + 1) {
    const state = `the journal ends with operation ${next - 1} instead of ${seq}`;
    throw new DfsError('CORRUPT', `Cannot make a record of the epoch: ${state}`);
  }
}

function prepare(db: Database.Database) {
  return {
    put: db.prepare('insert into batch (seq, count, ops) values (?, ?, ?)'),
    newest: db.prepare('select seq + count - 1 from batch order by seq desc limit 1').raw(),
    oldest: db.prepare('select seq from batch order by seq limit 1').raw(),
    drop: db.prepare('delete from batch where seq <= ? and seq + count <= ? + 1'),
    at: db
      .prepare('select seq, count, ops from batch where seq <= ? order by seq desc limit 1')
      .raw(),
    remove: db.prepare('delete from batch where seq = ?'),
    behind: db
      .prepare('select seq, count, ops from batch where seq + count > ? + 1 order by seq')
      .raw(),
  };
}
