import type Database from 'better-sqlite3';
import { type ChunkId, chunkKey, type Ino, ROOT_INO } from '../base/ids.ts';

/** An entry of a folder. */
interface Entry {
  parent: Ino;
  name: Buffer;
}

/**
 * Which files some chunks are parts of. No table leads from a chunk to its files, or from a file to
 * its name: each question is one pass over a table for all that is asked about.
 */
export class FilesOfChunks {
  readonly #db: Database.Database;

  constructor(db: Database.Database) {
    this.#db = db;
  }

  /** The files with a part in one of the chunks, by the chunk's key. */
  inosByChunk(chunks: readonly ChunkId[]): Map<string, Ino[]> {
    const found = new Map<string, Ino[]>(chunks.map((chunk) => [chunkKey(chunk), []]));
    const rows = this.#joined('chunk blob primary key', chunks, (asked) =>
      this.#db
        .prepare(
          `select distinct e.ino, e.chunk from extent e cross join ${asked} a on a.chunk = e.chunk`,
        )
        .raw()
        .all(),
    ) as [Ino, ChunkId][];
    for (const [ino, chunk] of rows) found.get(chunkKey(chunk))?.push(ino);
    return found;
  }

  /** One path of each inode; "(inode 12)" of one without a name. */
  pathsOf(inos: readonly Ino[]): Map<Ino, string> {
    const entries = new Map<Ino, Entry>();
    // One pass a level of folders: as many as the deepest path has parts.
    for (let asked = [...new Set(inos)]; asked.length > 0; ) {
      const found = this.#entriesOf(asked);
      for (const [ino, entry] of found) entries.set(ino, entry);
      const above = new Set([...found.values()].map(({ parent }) => parent));
      asked = [...above].filter((ino) => ino !== ROOT_INO && !entries.has(ino));
    }
    return new Map(inos.map((ino) => [ino, pathOf(ino, entries)]));
  }

  /** One entry of each of the inodes that have one. */
  #entriesOf(inos: readonly Ino[]): Map<Ino, Entry> {
    const rows = this.#joined('ino integer primary key', inos, (asked) =>
      this.#db
        .prepare(
          `select d.ino, d.parent, d.name from dentry d cross join ${asked} a on a.ino = d.ino`,
        )
        .raw()
        .all(),
    ) as [Ino, Ino, Buffer][];
    return new Map(rows.map(([ino, parent, name]) => [ino, { parent, name }]));
  }

  /** Has `read` join the table with one of what is asked about. */
  #joined(
    column: string,
    values: readonly (ChunkId | Ino)[],
    read: (table: string) => unknown,
  ): unknown {
    if (values.length === 0) return [];
    const table = 'temp.asked';
    this.#db.exec(`drop table if exists ${table}; create table ${table} (${column}) without rowid`);
    try {
      const put = this.#db.prepare(`insert or ignore into ${table} values (?)`);
      this.#db.transaction(() => {
        for (const value of values) put.run(value);
      })();
      return read(table);
    } finally {
      this.#db.exec(`drop table ${table}`);
    }
  }
}

function pathOf(ino: Ino, entries: ReadonlyMap<Ino, Entry>): string {
  const parts: string[] = [];
  for (let at = ino; at !== ROOT_INO; ) {
    const entry = entries.get(at);
    if (entry === undefined) return `(inode ${ino})`;
    parts.unshift(entry.name.toString('utf8'));
    at = entry.parent;
  }
  return `/${parts.join('/')}`;
}
