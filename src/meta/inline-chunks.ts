import type Database from 'better-sqlite3';
import type { ChunkId } from '../base/ids.ts';

/** Scheme of a chunk whose content is kept with the metadata, until it is stored in pieces. */
export const INLINE_SCHEME = 'inline';

/**
 * Small chunks whose content came in an epoch record and stays with the committed metadata until it
 * goes into buckets, or until an epoch ends in which no extent names it. Whoever changes them holds
 * a transaction.
 */
export class InlineChunks {
  readonly #sql: ReturnType<typeof prepare>;
  #bytes = 0;

  constructor(db: Database.Database) {
    this.#sql = prepare(db);
    this.recount();
  }

  /** What their content takes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A transaction was rolled back, or begins after one that was. */
  recount(): void {
    this.#bytes = this.totals().bytes;
  }

  /** Keeps the content of a chunk that was not known before. */
  put(id: ChunkId, content: Buffer): void {
    this.#sql.put.run(id, content);
    this.#bytes += content.length;
  }

  /** The content of a chunk is no longer to be kept, if it was. */
  dropped(id: ChunkId): void {
    const [length] = (this.#sql.length.get(id) as [number] | undefined) ?? [0];
    if (length === 0) return;
    this.#sql.drop.run(id);
    this.#bytes -= length;
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

  /** The oldest, one at least, of up to `bytesMax` together. */
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
    drop: db.prepare('delete from inline where chunk = ?'),
    length: db.prepare('select length(content) from inline where chunk = ?').raw(),
    content: db.prepare('select content from inline where chunk = ?').raw(),
    totals: db.prepare('select count(*), coalesce(sum(length(content)), 0) from inline').raw(),
    oldest: db.prepare('select chunk, content from inline order by rowid').raw(),
  };
}
