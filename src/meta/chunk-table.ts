import type Database from 'better-sqlite3';
import type { ChunkId, Epoch } from '../base/ids.ts';
import { ChunkRows, type HeldChunk } from './chunk-rows.ts';
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
  readonly #rows: ChunkRows;
  /** What may have no reference at the end of the epoch that is being applied. */
  readonly #candidates = new Set<HeldChunk>();

  constructor(db: Database.Database) {
    migrate(db);
    this.#sql = prepare(db);
    this.#rows = new ChunkRows(db);
    this.inline = new InlineChunks(db);
  }

  /** A chunk is in pieces under this scheme. */
  stored(id: ChunkId, fields: { lengthBytes: number; scheme: string; epoch: Epoch }): void {
    const { lengthBytes, scheme, epoch } = fields;
    const row = this.#rows.find(id);
    if (row === undefined) this.#add({ id, lengthBytes, scheme, epoch });
    else if (row.scheme !== scheme) {
      row.scheme = scheme;
      this.#rows.changed(row);
      this.inline.dropped(id);
    }
  }

  /** A small chunk came with its content, which stays here unless the chunk is known. */
  cameInline(id: ChunkId, content: Buffer, epoch: Epoch): void {
    if (this.#rows.find(id) !== undefined) return;
    this.inline.put(id, content);
    this.#add({ id, lengthBytes: content.length, scheme: INLINE_SCHEME, epoch });
  }

  #add(made: { id: ChunkId; lengthBytes: number; scheme: string; epoch: Epoch }): void {
    const { id, lengthBytes, scheme, epoch: born } = made;
    const row = this.#rows.add({ id, lengthBytes, scheme, refs: 0, born, died: null });
    this.#candidates.add(row);
  }

  /** An extent that names the chunk came or went. */
  referred(id: ChunkId, delta: 1 | -1): void {
    const row = this.#rows.find(id);
    if (row === undefined) return;
    row.refs += delta;
    if (delta > 0) row.died = null;
    else this.#candidates.add(row);
    this.#rows.changed(row);
  }

  /** Nothing is known of the chunk any more; does nothing while something names it. */
  forget(id: ChunkId): void {
    const row = this.#rows.find(id);
    if (row !== undefined && row.refs === 0 && row.scheme !== INLINE_SCHEME) this.#drop(row);
  }

  #drop(row: HeldChunk): void {
    this.#rows.remove(row);
    this.#candidates.delete(row);
  }

  /** An epoch ends: what nothing names is dead; of inline chunks nothing stays. */
  endEpoch(epoch: Epoch): void {
    for (const row of this.#candidates) {
      if (row.refs > 0) continue;
      if (row.scheme === INLINE_SCHEME) {
        this.#drop(row);
        this.inline.dropped(row.id);
      } else if (row.died === null) {
        row.died = epoch;
        this.#rows.changed(row);
      }
    }
    this.#candidates.clear();
    this.#rows.endEpoch();
  }

  /** Writes what is in memory only, before the transaction ends. */
  settle(): void {
    this.#rows.write();
  }

  /** The transaction was rolled back. */
  lost(): void {
    this.#candidates.clear();
    this.#rows.forget();
    this.inline.recount();
  }

  /**
   * Counts again how often each chunk is named, by the extents; how many counts were wrong. A
   * chunk that turns out to have no name died in `epoch`.
   */
  recount(epoch: Epoch): number {
    const { changes } = this.#sql.recount.run();
    this.#sql.alive.run();
    this.#sql.allDied.run(epoch);
    return changes;
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
    get: db.prepare(`select ${columns} from chunk where id = ?`),
    namedAfter: db.prepare(
      `select ${columns} from chunk where id > ? and refs > 0 order by id limit ?`,
    ),
    allAfter: db.prepare(`select ${columns} from chunk where id > ? order by id limit ?`),
    dead: db.prepare(
      `select ${columns} from chunk indexed by dead
       where died is not null and (died, id) > (?, ?) order by died, id limit ?`,
    ),
    recount: db.prepare(
      `update chunk set refs = counted.uses from (
         select c.id as id, count(e.chunk) as uses from chunk c
         left join extent e on e.chunk = c.id group by c.id
       ) as counted where counted.id = chunk.id and chunk.refs <> counted.uses`,
    ),
    alive: db.prepare('update chunk set died = null where refs > 0 and died is not null'),
    allDied: db.prepare('update chunk set died = ? where refs = 0 and died is null'),
    totals: db.prepare('select count(*), coalesce(sum(length), 0) from chunk where refs > 0').raw(),
    deadTotals: db
      .prepare('select count(*), coalesce(sum(length), 0) from chunk where died is not null')
      .raw(),
    byScheme: db.prepare('select scheme, sum(length) as bytes from chunk group by scheme'),
  };
}
