import Database from 'better-sqlite3';
import { ByteWriter } from '../base/bytes.ts';
import { type ChunkId, chunkKey, type Ino } from '../base/ids.ts';
import { formatScheme, parseScheme, type Scheme } from '../chunk/mod.ts';
import { type ExtentRange, encodeOp, journalBytes, type MetaOp } from '../meta/mod.ts';
import { addExtent, type Segment } from './segments.ts';

/**
 * Collects what one epoch stores and writes its operations: what is to be forgotten, the journal,
 * chunks, extents. A chunk is forgotten only if the epoch before does not name it; what names it
 * after that, in the same record, has stored it again.
 */
export class EpochBuilder {
  readonly #livePath: string;
  /** For small bodies, one after the other. */
  readonly #small = new ByteWriter(1 << 15);
  #live: Database.Database | undefined;
  #chunks = new Map<string, { chunk: ChunkId; lengthBytes: number; scheme: string }>();
  #inline = new Map<string, { chunk: ChunkId; content: Buffer }>();
  #files = new Map<Ino, ExtentRange[]>();

  /** `livePath` is the database with the journal. */
  constructor(livePath: string) {
    this.#livePath = livePath;
  }

  hasChunk(chunk: ChunkId): boolean {
    return this.#chunks.has(chunkKey(chunk));
  }

  /** This epoch stores the chunk, under that scheme. */
  addChunk(chunk: ChunkId, stored: { lengthBytes: number; scheme: Scheme }): void {
    const { lengthBytes } = stored;
    const scheme = formatScheme(stored.scheme);
    this.#chunks.set(chunkKey(chunk), { chunk, lengthBytes, scheme });
  }

  /** All that were added. */
  *chunks(): Generator<{ id: ChunkId; scheme: Scheme }> {
    for (const { chunk, scheme } of this.#chunks.values()) {
      yield { id: chunk, scheme: parseScheme(scheme) };
    }
  }

  /** The record has the chunk's content. */
  addInline(chunk: ChunkId, content: Uint8Array): void {
    this.#inline.set(chunkKey(chunk), { chunk, content: Buffer.from(content) });
  }

  /** The bytes of a segment are the chunk. */
  addExtent(segment: Segment, chunk: ChunkId): void {
    addExtent(this.#files, segment, chunk);
  }

  /**
   * The body of the epoch's record: `first`, operations of the journal in (afterSeq, seq], then what
   * was added.
   */
  body(first: MetaOp[], { afterSeq, seq }: { afterSeq: number; seq: number }): Buffer {
    const out = new ByteWriter(1 << 16);
    for (const op of first) encodeOp(out, op);
    this.#live ??= new Database(this.#livePath, { readonly: true });
    for (const ops of journalBytes(this.#live, afterSeq, seq)) out.raw(ops);
    return this.#finish(out);
  }

  /** The same with operations of the journal at hand. */
  bodyOf(first: MetaOp[], ops: Uint8Array): Buffer {
    this.#small.reset();
    for (const op of first) encodeOp(this.#small, op);
    return this.#finish(this.#small.raw(ops));
  }

  #finish(out: ByteWriter): Buffer {
    for (const { chunk, lengthBytes, scheme } of this.#chunks.values()) {
      encodeOp(out, { kind: 'chunk', chunk, lengthBytes, scheme });
    }
    for (const { chunk, content } of this.#inline.values()) {
      encodeOp(out, { kind: 'inline', chunk, content });
    }
    for (const [ino, ranges] of this.#files) encodeOp(out, { kind: 'extents', ino, ranges });
    return out.finish();
  }

  clear(): void {
    this.#chunks = new Map();
    this.#inline = new Map();
    this.#files = new Map();
  }

  /**
   * Copies SQLite's log of the live database into its file, off the event loop that writes it: the
   * number of pages in the log.
   */
  checkpoint(): number {
    const db = new Database(this.#livePath, { fileMustExist: true });
    try {
      const [result] = db.pragma('wal_checkpoint(PASSIVE)') as { log: number }[];
      return result?.log ?? 0;
    } finally {
      db.close();
    }
  }

  close(): void {
    this.#live?.close();
  }
}
