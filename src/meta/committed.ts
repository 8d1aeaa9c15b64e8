import { rmSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { ByteReader } from '../base/bytes.ts';
import { DfsError } from '../base/errors.ts';
import type { ChunkId, Epoch, Ino } from '../base/ids.ts';
import { type ChunkRow, ChunkTable, type DeadChunk } from './chunk-table.ts';
import { openDatabase, sqliteError } from './database.ts';
import type { EpochRecordHeader } from './epoch-record-format.ts';
import { NO_RECORD_ID } from './epoch-record-format.ts';
import type { Extent } from './extent-table.ts';
import { FilesOfChunks } from './files-of-chunks.ts';
import { INLINE_SCHEME, type InlineChunks } from './inline-chunks.ts';
import { S_IFDIR, S_IFMT } from './inode.ts';
import type { MetaOp } from './ops.ts';
import { decodeOp } from './ops-codec.ts';
import { COMMITTED_SCHEMA } from './schema.ts';
import { MetaState } from './state.ts';

/** The epoch a committed database stands at. */
export interface Head {
  epoch: Epoch;
  incarnation: number;
  /** Last journal number in it. */
  seq: number;
  /** Identity of its record, 32 bytes. */
  recordId: Buffer;
  cutTimeMs: number;
}

/** Examples given of each kind of inconsistency. */
const INCONSISTENCIES_MAX = 20;

/**
 * The metadata exactly as the newest published epoch has it: the state machine fed with epoch
 * records and nothing else. Snapshots are copies of it, recovery builds it, deduplication asks it.
 * It belongs to the store's thread.
 */
export class CommittedMeta {
  readonly db: Database.Database;
  readonly state: MetaState;
  readonly #path: string;
  readonly #chunks: ChunkTable;
  readonly #sql: ReturnType<typeof prepare>;

  constructor(path: string) {
    this.#path = path;
    this.db = openDatabase(path);
    this.db.exec(COMMITTED_SCHEMA);
    this.state = new MetaState(this.db, {
      onRef: (chunk, delta) => this.#chunks.referred(chunk, delta),
      isBuffered: true,
    });
    this.#chunks = new ChunkTable(this.db);
    this.#sql = prepare(this.db);
  }

  /** Small chunks whose content is here. */
  get inline(): InlineChunks {
    return this.#chunks.inline;
  }

  /** Makes the empty volume, epoch 0. */
  format(root: { uid: number; gid: number; timeMs: number }): void {
    const { uid, gid, timeMs } = root;
    const time = { sec: Math.floor(timeMs / 1000), nsec: (timeMs % 1000) * 1_000_000 };
    this.db.transaction(() => {
      this.state.format({ uid, gid, time });
      this.#sql.setHead.run(0, 0, 0, NO_RECORD_ID, timeMs);
    })();
  }

  /** Undefined for a database that has neither been formatted nor restored. */
  head(): Head | undefined {
    return this.#sql.head.get() as Head | undefined;
  }

  /** Takes over one epoch; all or nothing. Throws CORRUPT when its operations cannot be read. */
  apply(header: EpochRecordHeader, body: Buffer): void {
    this.applyAll([{ header, body }]);
  }

  /** As {@link apply} for some epochs in a row, all or none. NO_SPACE or IO. */
  applyAll(epochs: { header: EpochRecordHeader; body: Buffer }[]): void {
    const applyEach = (): void => {
      for (const { header, body } of epochs) {
        for (const op of operationsOf(body, header.epoch)) this.#applyOne(op, header.epoch);
        this.#chunks.endEpoch(header.epoch);
      }
      this.state.settle();
      this.#chunks.settle();
      const newest = epochs.at(-1)?.header;
      if (newest === undefined) return;
      const { epoch, incarnation, lastSeq, id, cutTimeMs } = newest;
      this.#sql.setHead.run(epoch, incarnation, lastSeq, id, cutTimeMs);
    };
    try {
      this.db.transaction(applyEach).immediate();
    } catch (error) {
      this.state.lost();
      this.#chunks.lost();
      throw sqliteError(error, this.#path);
    }
  }

  #applyOne(op: MetaOp, epoch: Epoch): void {
    switch (op.kind) {
      case 'chunk': {
        const { lengthBytes, scheme } = op;
        return this.#chunks.stored(op.chunk, { lengthBytes, scheme, epoch });
      }
      case 'inline':
        return this.#chunks.cameInline(op.chunk, op.content, epoch);
      case 'forget':
        return this.#chunks.forget(op.chunk);
      default:
        return this.state.apply(op);
    }
  }

  chunk(id: ChunkId): ChunkRow | undefined {
    return this.#chunks.get(id);
  }

  /** Chunks some extent names, in the order of their ids, behind `after`. */
  chunksAfter(after: Buffer, limit: number): ChunkRow[] {
    return this.#chunks.namedAfter(after, limit);
  }

  /** The same with those that nothing names: all that disks may have pieces of. */
  allChunksAfter(after: Buffer, limit: number): ChunkRow[] {
    return this.#chunks.allAfter(after, limit);
  }

  /** Chunks that nothing names, the longest dead first, behind `after`. */
  deadChunks(limit: number, after?: Pick<DeadChunk, 'died' | 'id'>): DeadChunk[] {
    return this.#chunks.dead(limit, after);
  }

  /** Chunks that nothing names, and their bytes. */
  deadTotals(): { chunks: number; bytes: number } {
    return this.#chunks.deadTotals();
  }

  /**
   * Stored and referenced content, in bytes and numbers: their ratio is what deduplication saved.
   */
  totals(): { chunks: number; chunkBytes: number; extentBytes: number; inodes: number } {
    const { chunks, bytes: chunkBytes } = this.#chunks.totals();
    const [extentBytes] = this.#sql.extentTotal.get() as [number | null];
    const { inodes } = this.state.totals();
    return { chunks, chunkBytes, extentBytes: extentBytes ?? 0, inodes };
  }

  /** Stored bytes by scheme, dead ones as well, for the space they take with redundancy. */
  bytesByScheme(): { scheme: string; bytes: number }[] {
    return this.#chunks.bytesByScheme();
  }

  extents(ino: Ino): Extent[] {
    return this.state.extents.overlapping(ino, 0, Number.MAX_SAFE_INTEGER);
  }

  /** For each of the chunks, in hex, the paths of the files that name it. */
  pathsByChunk(chunks: ChunkId[]): Map<string, string[]> {
    const files = new FilesOfChunks(this.db);
    const inos = files.inosByChunk(chunks);
    const paths = files.pathsOf([...inos.values()].flat());
    return new Map(
      [...inos].map(([chunk, some]) => [chunk, some.map((ino) => paths.get(ino) ?? '')]),
    );
  }

  /** The files that name one of the chunks: how many, and the paths of up to `pathsMax` of them. */
  filesOf(chunks: readonly ChunkId[], pathsMax: number): { files: number; paths: string[] } {
    const files = new FilesOfChunks(this.db);
    const inos = new Set([...files.inosByChunk(chunks).values()].flat());
    const paths = files.pathsOf([...inos].sort((a, b) => a - b).slice(0, pathsMax));
    return { files: inos.size, paths: [...paths.values()].sort() };
  }

  /** A path of each of some inodes. */
  pathsOf(inos: readonly Ino[]): string[] {
    return [...new FilesOfChunks(this.db).pathsOf(inos).values()];
  }

  /** What the metadata says that cannot be; nothing for a sound state. */
  inconsistencies(): string[] {
    const checks: [string, string][] = [
      [
        'entry "%" of a folder names an inode that is not there',
        `select quote(d.name) as what from dentry d left join inode i on i.ino = d.ino
         where i.ino is null`,
      ],
      [
        'inode % has no name and is not an orphan',
        `select i.ino as what from inode i where i.ino <> 1
         and not exists (select 1 from orphan o where o.ino = i.ino)
         and i.ino not in (select ino from dentry)`,
      ],
      [
        'inode % has a wrong number of links',
        `select i.ino as what from inode i join (select ino, count(*) as names from dentry group by ino) d
         on d.ino = i.ino where (i.mode & ${S_IFMT}) <> ${S_IFDIR} and i.nlink <> d.names`,
      ],
      [
        'an extent of inode % names a chunk that is not known',
        `select e.ino as what from extent e left join chunk c on c.id = e.chunk where c.id is null`,
      ],
      [
        'an extent of inode % reaches beyond its chunk',
        `select e.ino as what from extent e join chunk c on c.id = e.chunk
         where e.chunkoffset + e.length > c.length`,
      ],
      [
        'chunk % has a wrong number of references',
        `select hex(c.id) as what from chunk c
         left join (select chunk, count(*) as uses from extent group by chunk) e on e.chunk = c.id
         where c.refs <> coalesce(e.uses, 0)`,
      ],
      [
        'chunk % is named and dead, or neither',
        `select hex(id) as what from chunk where (refs = 0) <> (died is not null)`,
      ],
      [
        'chunk % is inline without content, or has content and is not',
        `select hex(coalesce(c.id, i.chunk)) as what from chunk c
         full join inline i on i.chunk = c.id
         where (c.scheme is '${INLINE_SCHEME}') <> (i.chunk is not null)`,
      ],
    ];
    return checks.flatMap(([text, sql]) =>
      (this.db.prepare(`${sql} limit ${INCONSISTENCIES_MAX}`).all() as { what: unknown }[]).map(
        ({ what }) => text.replace('%', String(what)),
      ),
    );
  }

  /** Counts the references of all chunks again, by the extents; how many were wrong. */
  recount(): number {
    const epoch = this.head()?.epoch ?? (0 as Epoch);
    try {
      return this.db.transaction(() => this.#chunks.recount(epoch)).immediate();
    } catch (error) {
      throw sqliteError(error, this.#path);
    }
  }

  /** Writes a consistent copy to `target`, which must not exist. */
  copyTo(target: string): void {
    rmSync(target, { force: true });
    this.db.prepare('vacuum into ?').run(target);
  }

  /** Moves SQLite's log into the database file. */
  checkpoint(): void {
    this.db.pragma('wal_checkpoint(PASSIVE)');
  }

  /** Throws CORRUPT unless SQLite finds its file whole. */
  checkIntegrity(): void {
    const result = this.db.pragma('quick_check(1)', { simple: true });
    if (result !== 'ok') {
      throw new DfsError('CORRUPT', `Cannot use ${this.#path}: SQLite says ${String(result)}`);
    }
  }

  close(): void {
    this.db.close();
  }
}

/** The operations in the body of an epoch record. */
export function* operationsOf(body: Buffer, epoch: Epoch): Generator<MetaOp> {
  const reader = new ByteReader(body, `the operations of epoch ${epoch}`);
  while (reader.remaining > 0) yield decodeOp(reader);
}

function prepare(db: Database.Database) {
  return {
    head: db.prepare(
      `select epoch, incarnation, seq, record as recordId, cuttime as cutTimeMs from head`,
    ),
    setHead: db.prepare(
      `insert or replace into head (id, epoch, incarnation, seq, record, cuttime)
       values (1, ?, ?, ?, ?, ?)`,
    ),
    extentTotal: db.prepare('select sum(length) from extent').raw(),
  };
}
