import type Database from 'better-sqlite3';
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { DfsError } from '../base/errors.ts';
import type { MetaOp } from './ops.ts';
import { decodeOp } from './ops-codec.ts';

/** A row takes so many bytes at most, unless one change alone is longer. */
const ROW_BYTES_MAX = 1 << 20;

/**
 * The operations no published epoch has, in order: a row holds those of many changes, as one row an
 * operation would cost more than the rest of a change.
 *
 * Rows are written before a cut, so that each belongs to one epoch; but the log knows of no cuts, and
 * what is carried out again from it makes rows that go on beyond one.
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
    const [first, count] = row;
    const rest = partOf(row, seq + 1, first + count);
    this.#sql.remove.run(first);
    this.#sql.put.run(seq + 1, first + count - seq - 1, rest);
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

/** The bytes of operations (afterSeq, seq], from another connection. Throws CORRUPT. */
export function* journalBytes(
  db: Database.Database,
  afterSeq: number,
  seq: number,
): Generator<Buffer> {
  const rows = db
    .prepare('select seq, count, ops from batch where seq + count > ? and seq <= ? order by seq')
    .raw();
  let next = afterSeq + 1;
  for (const row of rows.iterate(next, seq) as Iterable<Row>) {
    const [first, count] = row;
    if (first > next || next > seq) break;
    const end = Math.min(first + count, seq + 1);
    yield partOf(row, next, end);
    next = end;
  }
  if (next <= seq) {
    const state = `the journal ends with operation ${next - 1} instead of ${seq}`;
    throw new DfsError('CORRUPT', `Cannot make a record of the epoch: ${state}`);
  }
}

/** Operations [from, end) of a row: a part of it only where the log was carried out again. */
function partOf([first, count, ops]: Row, from: number, end: number): Buffer {
  if (from === first && end === first + count) return ops;
  const reader = new ByteReader(ops, `operations ${first} to ${first + count - 1}`);
  let start = 0;
  for (let seq = first; seq < end; seq++) {
    if (seq === from) start = reader.offset;
    decodeOp(reader);
  }
  return ops.subarray(start, reader.offset);
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
