import type Database from 'better-sqlite3';
import type { ChunkId, Ino } from '../base/ids.ts';
import type { ExtentRange } from './ops.ts';
import type { RefHook } from './state.ts';

/**
 * A stored range of a file: bytes [offset, offset + lengthBytes) are `chunk` from `chunkOffset` on.
 */
export interface Extent extends ExtentRange {
  chunk: ChunkId;
}

/** Numbers in memory at most. */
const EMPTY_MAX = 100_000;

type ExtentRow = [offset: number, length: number, chunk: ChunkId, chunkOffset: number];

/** Table extent: for each inode, ranges that never overlap. Callers hold a transaction. */
export class ExtentTable {
  readonly #sql: ReturnType<typeof prepare>;
  readonly #onRef: RefHook | undefined;
  /** Inodes made in the open transaction that have no extent yet: nothing has to be looked for. */
  readonly #empty = new Set<Ino>();

  constructor(db: Database.Database, onRef?: RefHook) {
    this.#sql = prepare(db);
    this.#onRef = onRef;
  }

  /** Extents that have a byte in [start, end), in order. */
  overlapping(ino: Ino, start: number, end: number): Extent[] {
    const previous = this.#sql.before.get(ino, start) as ExtentRow | undefined;
    const rows = this.#sql.inside.all(ino, start, end) as ExtentRow[];
    if (previous !== undefined && previous[0] + previous[1] > start) rows.unshift(previous);
    return rows.map(([offset, lengthBytes, chunk, chunkOffset]) => ({
      offset,
      lengthBytes,
      chunk,
      chunkOffset,
    }));
  }

  /** As {@link overlapping}, cut to what lies in [start, end). */
  within(ino: Ino, start: number, end: number): Extent[] {
    return this.overlapping(ino, start, end).map((extent) => {
      const from = Math.max(extent.offset, start);
      const to = Math.min(extent.offset + extent.lengthBytes, end);
      const chunkOffset = extent.chunkOffset + (from - extent.offset);
      return { offset: from, lengthBytes: to - from, chunk: extent.chunk, chunkOffset };
    });
  }

  /** The first stored byte at or behind `offset`, or undefined. */
  nextData(ino: Ino, offset: number): number | undefined {
    const previous = this.#sql.before.get(ino, offset) as ExtentRow | undefined;
    if (previous !== undefined && previous[0] + previous[1] > offset) return offset;
    return (this.#sql.after.get(ino, offset) as ExtentRow | undefined)?.[0];
  }

  /** Bytes of `ino` that are stored. */
  storedBytes(ino: Ino): number {
    return (this.#sql.stored.get(ino) as [number | null])[0] ?? 0;
  }

  /** Where the last `count` extents of a file begin; undefined when it has no more than those. */
  offsetFromEnd(ino: Ino, count: number): number | undefined {
    const rows = this.#sql.fromEnd.all(ino, count - 1) as [number][];
    return rows.length < 2 ? undefined : rows[0]?.[0];
  }

  /** Number of extents that begin in [start, end). */
  countInside(ino: Ino, start: number, end: number): number {
    return (this.#sql.count.get(ino, start, end) as [number])[0];
  }

  /** `ino` was made: it has no extents. Known to the committed database only, whose one user this is. */
  made(ino: Ino): void {
    if (this.#onRef === undefined) return;
    if (this.#empty.size >= EMPTY_MAX) this.#empty.clear();
    this.#empty.add(ino);
  }

  /** The transaction ends, or was rolled back. */
  forget(): void {
    this.#empty.clear();
  }

  /** Lays each range over what was there; a range without a chunk erases. */
  replace(ino: Ino, ranges: ExtentRange[]): void {
    // Behind the end of what was laid so far, nothing can be in the way.
    let end = this.#empty.delete(ino) ? 0 : Number.POSITIVE_INFINITY;
    for (const range of ranges) {
      const rangeEnd = range.offset + range.lengthBytes;
      if (range.offset < end) this.#erase(ino, range.offset, rangeEnd);
      end = Math.max(end, rangeEnd);
      if (range.chunk === undefined) continue;
      this.#add(ino, range.offset, range.lengthBytes, range.chunk, range.chunkOffset);
    }
  }

  /** Forgets everything from `size` on. */
  cutAt(ino: Ino, size: number): void {
    if (!this.#empty.has(ino)) this.#erase(ino, size, Number.MAX_SAFE_INTEGER);
  }

  #add(ino: Ino, offset: number, length: number, chunk: ChunkId, chunkOffset: number): void {
    this.#sql.put.run(ino, offset, length, chunk, chunkOffset);
    this.#onRef?.(chunk, 1);
  }

  #erase(ino: Ino, start: number, end: number): void {
    if (this.#onRef === undefined) this.#eraseAtOnce(ino, start, end);
    else this.#eraseEach(ino, start, end);
  }

  /** Two statements for any number of extents, where nobody counts references. */
  #eraseAtOnce(ino: Ino, start: number, end: number): void {
    const first = this.#sql.before.get(ino, start) as ExtentRow | undefined;
    const last = this.#sql.before.get(ino, end) as ExtentRow | undefined;
    if (last === undefined) return;
    const [offset, length, chunk, chunkOffset] = last;
    if (offset + length <= start) return;
    if (first !== undefined && first[0] + first[1] > start) {
      this.#sql.shorten.run(start - first[0], ino, first[0]);
    }
    this.#sql.dropInside.run(ino, start, end);
    const skipped = end - offset;
    if (skipped < length) this.#add(ino, end, length - skipped, chunk, chunkOffset + skipped);
  }

  #eraseEach(ino: Ino, start: number, end: number): void {
    for (const extent of this.overlapping(ino, start, end)) {
      const extentEnd = extent.offset + extent.lengthBytes;
      this.#sql.drop.run(ino, extent.offset);
      if (extent.offset < start) {
        this.#add(ino, extent.offset, start - extent.offset, extent.chunk, extent.chunkOffset);
      }
      if (extentEnd > end) {
        const skipped = end - extent.offset;
        this.#add(ino, end, extentEnd - end, extent.chunk, extent.chunkOffset + skipped);
      }
      // References to the remains are counted before this one goes, so a count never touches zero
      // in between.
      this.#onRef?.(extent.chunk, -1);
    }
  }
}

function prepare(db: Database.Database) {
  const columns = 'offset, length, chunk, chunkoffset';
  return {
    before: db
      .prepare(
        `select ${columns} from extent where ino = ? and offset < ? order by offset desc limit 1`,
      )
      .raw(),
    inside: db
      .prepare(
        `select ${columns} from extent where ino = ? and offset >= ? and offset < ? order by offset`,
      )
      .raw(),
    after: db
      .prepare(
        `select ${columns} from extent where ino = ? and offset >= ? order by offset limit 1`,
      )
      .raw(),
    count: db
      .prepare('select count(*) from extent where ino = ? and offset >= ? and offset < ?')
      .raw(),
    stored: db.prepare('select sum(length) from extent where ino = ?').raw(),
    put: db.prepare(
      'insert into extent (ino, offset, length, chunk, chunkoffset) values (?, ?, ?, ?, ?)',
    ),
    fromEnd: db
      .prepare('select offset from extent where ino = ? order by offset desc limit 2 offset ?')
      .raw(),
    shorten: db.prepare('update extent set length = ? where ino = ? and offset = ?'),
    dropInside: db.prepare('delete from extent where ino = ? and offset >= ? and offset < ?'),
    drop: db.prepare('delete from extent where ino = ? and offset = ?'),
  };
}
