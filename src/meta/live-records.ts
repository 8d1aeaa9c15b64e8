import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { DfsError } from '../base/errors.ts';
import type { Epoch, Ino } from '../base/ids.ts';
import { FRAME_HEADER } from './log-file.ts';
import type { FileExtents, MetaOp } from './ops.ts';
import { decodeOp, encodeOp } from './ops-codec.ts';

/** First byte of a record's payload. docs/formats/write-ahead-log.md */
const OPS = 1;
const DIRTY = 2;
const SYNCED = 3;
const PUBLISHED = 4;

/** A change of the live metadata, as its log has it. */
export type LiveRecord =
  | {
      kind: 'ops';
      /** Journal number of the first operation; the others follow. */
      firstSeq: number;
      /** The answer to the request behind it. */
      reply: { unique: number; result: number } | undefined;
      ops: MetaOp[];
      /** The operations as they are in the journal. */
      bytes: Buffer;
    }
  | { kind: 'dirty'; ino: Ino; epoch: Epoch }
  | { kind: 'synced'; ino: Ino; epoch: Epoch }
  | Published;

/** The disks have an epoch, up to this journal number, with these extents. */
export interface Published {
  kind: 'published';
  /** The epoch the live metadata stood at before. */
  behind: Epoch;
  epoch: Epoch;
  seq: number;
  files: FileExtents[];
}

/** Makes frames for {@link Transactions.change}, one at a time in the same memory. */
export class LiveRecordWriter {
  readonly #out = new ByteWriter(4096);
  /** Where the operations of the last frame begin. */
  #opsAt = 0;

  ops(
    firstSeq: number,
    reply: { unique: number; result: number } | undefined,
    ops: MetaOp[],
  ): Buffer {
    const out = this.#out;
    out.reset();
    out
      .raw(FRAME_HEADER)
      .u8(OPS)
      .u53(firstSeq)
      .u8(reply === undefined ? 0 : 1);
    if (reply !== undefined) out.u53(reply.unique).i53(reply.result);
    out.u32(ops.length);
    this.#opsAt = out.length;
    for (const op of ops) encodeOp(out, op);
    return out.view();
  }

  /** The operations in the frame that ops() has just made, a view. */
  bytesOf(frame: Buffer): Buffer {
    return frame.subarray(this.#opsAt);
  }

  mark(kind: 'dirty' | 'synced', ino: Ino, epoch: Epoch): Buffer {
    this.#out.reset();
    this.#out
      .raw(FRAME_HEADER)
      .u8(kind === 'dirty' ? DIRTY : SYNCED)
      .u53(ino)
      .u53(epoch);
    return this.#out.view();
  }

  published({ behind, epoch, seq, files }: Omit<Published, 'kind'>): Buffer {
    const out = this.#out;
    out.reset();
    out.raw(FRAME_HEADER).u8(PUBLISHED).u53(behind).u53(epoch).u53(seq).u32(files.length);
    for (const { ino, ranges } of files) encodeOp(out, { kind: 'extents', ino, ranges });
    return out.view();
  }
}

/** Reads a payload; throws CORRUPT for what {@link LiveRecordWriter} cannot have written. */
export function readLiveRecord(payload: Buffer): LiveRecord {
  const from = new ByteReader(payload, 'a record of the write-ahead log');
  const kind = from.u8();
  if (kind === DIRTY || kind === SYNCED) {
    const [ino, epoch] = [from.u53() as Ino, from.u53() as Epoch];
    from.end();
    return { kind: kind === DIRTY ? 'dirty' : 'synced', ino, epoch };
  }
  if (kind === PUBLISHED) return readPublished(from);
  if (kind !== OPS) throw unknown(`kind ${kind}`);
  const firstSeq = from.u53();
  const flag = from.u8();
  if (flag > 1) throw unknown(`flag ${flag}`);
  const reply = flag === 1 ? { unique: from.u53(), result: from.i53() } : undefined;
  const count = from.u32();
  const start = from.offset;
  const ops: MetaOp[] = [];
  for (let left = count; left > 0; left--) ops.push(decodeOp(from));
  from.end();
  return { kind: 'ops', firstSeq, reply, ops, bytes: payload.subarray(start) };
}

function readPublished(from: ByteReader): Published {
  const [behind, epoch] = [from.u53() as Epoch, from.u53() as Epoch];
  const seq = from.u53();
  const files: FileExtents[] = [];
  for (let left = from.u32(); left > 0; left--) {
    const op = decodeOp(from);
    if (op.kind !== 'extents') throw unknown(`operation ${op.kind} of an epoch`);
    files.push({ ino: op.ino, ranges: op.ranges });
  }
  from.end();
  return { kind: 'published', behind, epoch, seq, files };
}

function unknown(what: string): DfsError {
  return new DfsError('CORRUPT', `Cannot read a record of the write-ahead log: unknown ${what}`);
}
