import type Database from 'better-sqlite3';
import { type ChunkId, chunkKey, type Epoch } from '../base/ids.ts';
import { INLINE_SCHEME, InlineChunks } from './inline-chunks.ts';
import { DEAD_INDEX, LIFE_OF_CHUNKS } from './schema.ts';

/**
 * A stored chunk: its content's length in bytes, its scheme as text and how many extents name it.
 */
export interface ChunkRow {
  id: ChunkId;
  lengthBytes: number;
  scheme: string;
  refs: number;
  /** The epoch that stored it; 0 if it is not known. */
  born: Epoch;
  /** The epoch in which it lost its last name; null while something names it. */
  died: Epoch | null;
}

/** A chunk that nothing names. */
export interface DeadChunk extends ChunkRow {
  died: Epoch;
}

/**
 * Table chunk: what is stored, how often it is named, and since when it no longer is. Whoever
 * changes it holds a transaction.
 *
 * Invariants, at the end of every epoch:
 *  1. `refs` is the number of extents that name the chunk.
 *  2. `died` is null if and only if `refs` is not 0. A chunk that is stored and not named is born
 *     dead.
 *  3. A chunk in pieces leaves the table by a forget only, and never while it is named.
 */
export class ChunkTable {
  /** Small chunks whose content is here. */
  readonly inline: InlineChunks;
  readonly #sql: ReturnType<typeof prepare>;
  /** What may have no reference at the end of the epoch that is being applied. */
  readonly #candidates = new Map<string, ChunkId>();

  constructor(db: Database.Database) {
    migrate(db);
    this.#sql = prepare(db);
    this.inline = new InlineChunks(db);
  }

  /** A chunk is in pieces under this scheme. */
  stored(id: ChunkId, fields: { lengthBytes: number; scheme: string; epoch: Epoch }): void {
    const { lengthBytes, scheme, epoch } = fields;
    if (this.#sql.put.run(id, lengthBytes, scheme, epoch).changes > 0) this.#note(id);
    else if (this.#sql.move.run(scheme, id, scheme).changes > 0) this.inline.dropped(id);
  }

  /** A small chunk came with its content, which stays here unless the chunk is known. */
  cameInline(id: ChunkId, content: Buffer, epoch: Epoch): void {
    if (this.#sql.put.run(id, content.length, INLINE_SCHEME, epoch).changes === 0) return;
    this.inline.put(id, content);
    this.#note(id);
  }

  /** An extent that names the chunk came or went. */
  referred(id: ChunkId, delta: 1 | -1): void {
    if (delta > 0) {
      this.#sql.named.run(id);
      return;
    }
    this.#sql.unnamed.run(id);
    this.#note(id);
  }

  /** Nothing is known of the chunk any more; does nothing while something names it. */
  forget(id: ChunkId): void {
    this.#sql.forget.run(id);
  }

  #note(id: ChunkId): void {
    this.#candidates.set(chunkKey(id), id);
  }

  /** An epoch ends: what nothing names is dead; of inline chunks nothing stays. */
  endEpoch(epoch: Epoch): void {
    for (const id of this.#candidates.values()) {
      if (this.#sql.forgetInline.run(id).changes > 0) this.inline.dropped(id);
      else this.#sql.died.run(epoch, id);
    }
    this.#candidates.clear();
  }

  /** The transaction was rolled back. */
  lost(): void {
    this.#candidates.clear();
    this.inline.recount();
  }

  get(id: ChunkId): ChunkRow | undefined {
    return this.#sql.get.get(id) as ChunkRow | undefined;
  }

  /** Chunks some extent names, in the order of their ids, behind `after`. */
  namedAfter(after: Buffer, limit: number): ChunkRow[] {
    return this.#sql.namedAfter.all(after, limit) as ChunkRow[];
  }

  /** The same with those that nothing names. */
  allAfter(after: Buffer, limit: number): ChunkRow[] {
    return this.#sql.allAfter.all(after, limit) as ChunkRow[];
  }

  /** Chunks that nothing names, the longest dead first, behind `after`. */
  dead(limit: number, after?: Pick<DeadChunk, 'died' | 'id'>): DeadChunk[] {
    const { died, id } = after ?? { died: -1, id: Buffer.alloc(0) };
    return this.#sql.dead.all(died, id, limit) as DeadChunk[];
  }

  /** Chunks that something names, and their bytes. */
  totals(): { chunks: number; bytes: number } {
    const [chunks, bytes] = this.#sql.totals.get() as [number, number];
    return { chunks, bytes };
  }

  /** Chunks that nothing names, and their bytes. */
  deadTotals(): { chunks: number; bytes: number } {
    const [chunks, bytes] = this.#sql.deadTotals.get() as [number, number];
    return { chunks, bytes };
  }

  /** Bytes by scheme, of all chunks. */
  bytesByScheme(): { scheme: string; bytes: number }[] {
    return this.#sql.byScheme.all() as { scheme: string; bytes: number }[];
  }
}

/** Gives an older database what it lacks. */
function migrate(db: Database.Database): void {
  const columns = db.pragma('table_info(chunk)') as { name: string }[];
  if (!columns.some(({ name }) => name === 'died')) {
    db.transaction(() => db.exec(LIFE_OF_CHUNKS)).immediate();
  }
  db.exec(DEAD_INDEX);
}

function prepare(db: Database.Database) {
  const columns = 'id, length as lengthBytes, scheme, refs, born, died';
  return {
    put: db.prepare(
      'insert or ignore into chunk (id, length, scheme, refs, born) values (?, ?, ?, 0, ?)',
    ),
    move: db.prepare('update chunk set scheme = ? where id = ? and scheme <> ?'),
    named: db.prepare('update chunk set refs = refs + 1, died = null where id = ?'),
    unnamed: db.prepare('update chunk set refs = refs - 1 where id = ?'),
    died: db.prepare('update chunk set died = ? where id = ? and refs = 0 and died is null'),
    forget: db.prepare(
      `delete from chunk where id = ? and refs = 0 and scheme <> '${INLINE_SCHEME}'`,
    ),
    forgetInline: db.prepare(
      `delete from chunk where id = ? and refs = 0 and scheme = '${INLINE_SCHEME}'`,
    ),
    get: db.prepare(`select ${columns} from chunk where id = ?`),
    namedAfter: db.prepare(
      `select ${columns} from chunk where id > ? and refs > 0 order by id limit ?`,
    ),
    allAfter: db.prepare(`select ${columns} from chunk where id > ? order by id limit ?`),
    dead: db.prepare(
      `select ${columns} from chunk indexed by dead
       where died is not null and (died, id) > (?, ?) order by died, id limit ?`,
    ),
    totals: db.prepare('select count(*), coalesce(sum(length), 0) from chunk where refs > 0').raw(),
    deadTotals: db
      .prepare('select count(*), coalesce(sum(length), 0) from chunk where died is not null')
      .raw(),
    byScheme: db.prepare('select scheme, sum(length) as bytes from chunk group by scheme'),
  };
}
