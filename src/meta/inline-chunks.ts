import type Database from 'better-sqlite3';
import type { ChunkId } from '../base/ids.ts';

/** Scheme of a chunk whose content is kept with the metadata, until it is stored in pieces. */
export const INLINE_SCHEME = 'inline';

/**
 * Small chunks whose content came in an epoch record and stays with the committed metadata until it
 * goes into buckets, or until nobody names it any more. Whoever changes them holds a transaction.
 */
export class InlineChunks {
  readonly #sql: ReturnType<typeof prepare>;

  constructor(db: Database.Database) {
    this.#sql = prepare(db);
  }

  /** Keeps the content of a chunk that was not known before. */
  put(id: ChunkId, content: Buffer): void {
    this.#sql.put.run(id, content);
  }

  /** The chunk is stored in pieces now: if it was inline, it no longer is. */
  moved(id: ChunkId, scheme: string): void {
    if (this.#sql.move.run(scheme, id).changes > 0) this.#sql.drop.run(id);
  }

  /** Forgets those that no extent names. */
  sweep(): void {
    this.#sql.sweepChunks.run();
    this.#sql.sweepContent.run();
  }

  /** The content of an inline chunk; undefined when it is none. */
  content(id: ChunkId): Buffer | undefined {
    return (this.#sql.content.get(id) as [Buffer] | undefined)?.[0];
  }

  /** How many there are, and what their content takes. */
  totals(): { chunks: number; bytes: number } {
    const [chunks, bytes] = this.#sql.totals.get() as [number, number];
    return { chunks, bytes };
  }

  /** The oldest that some extent names, one at least, of up to `bytesMax` together. */
  oldest(bytesMax: number): { id: ChunkId; content: Buffer }[] {
    const found: { id: ChunkId; content: Buffer }[] = [];
    let bytes = 0;
    for (const [id, content] of this.#sql.oldest.iterate() as IterableIterator<[ChunkId, Buffer]>) {
      bytes += content.length;
      if (found.length > 0 && bytes > bytesMax) break;
      found.push({ id, content });
    }
    return found;
  }
}

function prepare(db: Database.Database) {
  return {
    put: db.prepare('insert into inline (chunk, content) values (?, ?)'),
    move: db.prepare(`update chunk set scheme = ? where id = ? and scheme = '${INLINE_SCHEME}'`),
    drop: db.prepare('delete from inline where chunk = ?'),
    sweepChunks: db.prepare(
      `delete from chunk where refs = 0 and scheme = '${INLINE_SCHEME}'
       and id in (select chunk from inline)`,
    ),
    sweepContent: db.prepare(
      'delete from inline where not exists (select 1 from chunk where id = inline.chunk)',
    ),
    content: db.prepare('select content from inline where chunk = ?').raw(),
    totals: db.prepare('select count(*), coalesce(sum(length(content)), 0) from inline').raw(),
    oldest: db
      .prepare(
        `select i.chunk, i.content from inline i join chunk c on c.id = i.chunk
         where c.refs > 0 order by i.rowid`,
      )
      .raw(),
  };
}
