import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import { assert, DfsError } from '../base/errors.ts';
import { CHUNK_ID_BYTES, type ChunkId, type Ino } from '../base/ids.ts';
import type { AttrPatch, ExtentRange, MetaOp, Time } from './ops.ts';

/** First byte of an encoded operation. Numbers are never reused: docs/formats/operations.md. */
const TAGS = {
  create: 1,
  link: 2,
  unlink: 3,
  rmdir: 4,
  rename: 5,
  setattr: 6,
  truncate: 7,
  grow: 8,
  setxattr: 9,
  removexattr: 10,
  reap: 11,
  chunk: 12,
  extents: 13,
  tmpfile: 14,
  punch: 15,
  clone: 16,
  inline: 17,
  forget: 18,
} as const satisfies Record<MetaOp['kind'], number>;

const PATCH_MODE = 1;
const PATCH_UID = 2;
const PATCH_GID = 4;
const PATCH_ATIME = 8;
const PATCH_MTIME = 16;
const HOLE = 0;
const STORED = 1;

const NSEC_MAX = 999_999_999;

function putTime(out: ByteWriter, time: Time): void {
  assert(time.nsec <= NSEC_MAX, `a time with ${time.nsec} nanoseconds`);
  out.i53(time.sec).u32(time.nsec);
}

function putPatch(out: ByteWriter, patch: AttrPatch): void {
  const mask =
    (patch.mode === undefined ? 0 : PATCH_MODE) |
    (patch.uid === undefined ? 0 : PATCH_UID) |
    (patch.gid === undefined ? 0 : PATCH_GID) |
    (patch.atime === undefined ? 0 : PATCH_ATIME) |
    (patch.mtime === undefined ? 0 : PATCH_MTIME);
  out.u8(mask);
  if (patch.mode !== undefined) out.u32(patch.mode);
  if (patch.uid !== undefined) out.u32(patch.uid);
  if (patch.gid !== undefined) out.u32(patch.gid);
  if (patch.atime !== undefined) putTime(out, patch.atime);
  if (patch.mtime !== undefined) putTime(out, patch.mtime);
}

function putRanges(out: ByteWriter, ranges: ExtentRange[]): void {
  out.u32(ranges.length);
  for (const range of ranges) {
    out.u53(range.offset).u53(range.lengthBytes);
    if (range.chunk === undefined) out.u8(HOLE);
    else out.u8(STORED).raw(range.chunk).u32(range.chunkOffset);
  }
}

/** Appends one operation to `out`: a tag byte, then its fields. */
export function encodeOp(out: ByteWriter, op: MetaOp): void {
  out.u8(TAGS[op.kind]);
  switch (op.kind) {
    case 'create':
      out.u53(op.parent).bytes(op.name).u53(op.ino).u32(op.mode).u32(op.uid).u32(op.gid);
      out.u32(op.rdev).bytes(op.target);
      return putTime(out, op.time);
    case 'tmpfile':
      out.u53(op.ino).u32(op.mode).u32(op.uid).u32(op.gid);
      return putTime(out, op.time);
    case 'link':
      out.u53(op.parent).bytes(op.name).u53(op.ino);
      return putTime(out, op.time);
    case 'unlink':
    case 'rmdir':
      out.u53(op.parent).bytes(op.name);
      return putTime(out, op.time);
    case 'rename':
      out.u53(op.parent).bytes(op.name).u53(op.newParent).bytes(op.newName);
      out.u8(op.exchange ? 1 : 0);
      return putTime(out, op.time);
    case 'setattr':
      out.u53(op.ino);
      putPatch(out, op.change);
      return putTime(out, op.time);
    case 'truncate':
      out.u53(op.ino).u53(op.sizeBytes);
      return putTime(out, op.time);
    case 'punch':
      out.u53(op.ino).u53(op.offset).u53(op.lengthBytes);
      return putTime(out, op.time);
    case 'clone':
      out.u53(op.ino).u53(op.offset).u53(op.source).u53(op.sourceOffset).u53(op.lengthBytes);
      return putTime(out, op.time);
    case 'grow':
      out.u53(op.ino).u53(op.sizeBytes);
      putTime(out, op.mtime);
      return putTime(out, op.ctime);
    case 'setxattr':
      out.u53(op.ino).bytes(op.name).bytes(op.value);
      return putTime(out, op.time);
    case 'removexattr':
      out.u53(op.ino).bytes(op.name);
      return putTime(out, op.time);
    case 'reap':
      out.u53(op.ino);
      return;
    case 'chunk':
      out.raw(op.chunk).u32(op.lengthBytes).text(op.scheme);
      return;
    case 'inline':
      out.raw(op.chunk).bytes(op.content);
      return;
    case 'extents':
      out.u53(op.ino);
      return putRanges(out, op.ranges);
    case 'forget':
      out.raw(op.chunk);
      return;
  }
}

const ino = (from: ByteReader): Ino => from.u53() as Ino;

function time(from: ByteReader): Time {
  const sec = from.i53();
  const nsec = from.u32();
  if (nsec > NSEC_MAX) throw corrupt(`time with ${nsec} nanoseconds`);
  return { sec, nsec };
}

const chunkId = (from: ByteReader): ChunkId => Buffer.from(from.raw(CHUNK_ID_BYTES)) as ChunkId;

function flag(from: ByteReader): boolean {
  const value = from.u8();
  if (value > 1) throw corrupt(`flag ${value}`);
  return value === 1;
}

function patch(from: ByteReader): AttrPatch {
  const mask = from.u8();
  const result: AttrPatch = {};
  if (mask & PATCH_MODE) result.mode = from.u32();
  if (mask & PATCH_UID) result.uid = from.u32();
  if (mask & PATCH_GID) result.gid = from.u32();
  if (mask & PATCH_ATIME) result.atime = time(from);
  if (mask & PATCH_MTIME) result.mtime = time(from);
  if (mask >= PATCH_MTIME * 2) throw corrupt(`attribute mask ${mask}`);
  return result;
}

function ranges(from: ByteReader): ExtentRange[] {
  const result: ExtentRange[] = [];
  for (let left = from.u32(); left > 0; left--) {
    const offset = from.u53();
    const lengthBytes = from.u53();
    const stored = from.u8();
    if (stored !== HOLE && stored !== STORED) throw corrupt(`extent type ${stored}`);
    const chunk = stored === STORED ? chunkId(from) : undefined;
    result.push({ offset, lengthBytes, chunk, chunkOffset: chunk ? from.u32() : 0 });
  }
  return result;
}

function corrupt(what: string): DfsError {
  return new DfsError('CORRUPT', `Cannot read a metadata operation: unknown ${what}`);
}

/** Reads one operation; throws CORRUPT for what {@link encodeOp} cannot have written. */
export function decodeOp(from: ByteReader): MetaOp {
  const tag = from.u8();
  switch (tag) {
    case TAGS.create:
      return {
        kind: 'create',
        parent: ino(from),
        name: from.bytes(),
        ino: ino(from),
        mode: from.u32(),
        uid: from.u32(),
        gid: from.u32(),
        rdev: from.u32(),
        target: from.bytes(),
        time: time(from),
      };
    case TAGS.link:
      return {
        kind: 'link',
        parent: ino(from),
        name: from.bytes(),
        ino: ino(from),
        time: time(from),
      };
    case TAGS.unlink:
      return { kind: 'unlink', parent: ino(from), name: from.bytes(), time: time(from) };
    case TAGS.rmdir:
      return { kind: 'rmdir', parent: ino(from), name: from.bytes(), time: time(from) };
    case TAGS.rename:
      return {
        kind: 'rename',
        parent: ino(from),
        name: from.bytes(),
        newParent: ino(from),
        newName: from.bytes(),
        exchange: flag(from),
        time: time(from),
      };
    case TAGS.setattr:
      return { kind: 'setattr', ino: ino(from), change: patch(from), time: time(from) };
    case TAGS.setxattr:
      return {
        kind: 'setxattr',
        ino: ino(from),
        name: from.bytes(),
        value: from.bytes(),
        time: time(from),
      };
    case TAGS.removexattr:
      return { kind: 'removexattr', ino: ino(from), name: from.bytes(), time: time(from) };
    case TAGS.tmpfile:
      return {
        kind: 'tmpfile',
        ino: ino(from),
        mode: from.u32(),
        uid: from.u32(),
        gid: from.u32(),
        time: time(from),
      };
    case TAGS.reap:
      return { kind: 'reap', ino: ino(from) };
    default:
      return decodeContentOp(tag, from);
  }
}

/** The operations on what files hold. */
function decodeContentOp(tag: number, from: ByteReader): MetaOp {
  switch (tag) {
    case TAGS.truncate:
      return { kind: 'truncate', ino: ino(from), sizeBytes: from.u53(), time: time(from) };
    case TAGS.grow:
      return {
        kind: 'grow',
        ino: ino(from),
        sizeBytes: from.u53(),
        mtime: time(from),
        ctime: time(from),
      };
    case TAGS.punch:
      return {
        kind: 'punch',
        ino: ino(from),
        offset: from.u53(),
        lengthBytes: from.u53(),
        time: time(from),
      };
    case TAGS.clone:
      return {
        kind: 'clone',
        ino: ino(from),
        offset: from.u53(),
        source: ino(from),
        sourceOffset: from.u53(),
        lengthBytes: from.u53(),
        time: time(from),
      };
    case TAGS.chunk:
      return { kind: 'chunk', chunk: chunkId(from), lengthBytes: from.u32(), scheme: from.text() };
    case TAGS.inline:
      return { kind: 'inline', chunk: chunkId(from), content: from.bytes() };
    case TAGS.extents:
      return { kind: 'extents', ino: ino(from), ranges: ranges(from) };
    case TAGS.forget:
      return { kind: 'forget', chunk: chunkId(from) };
    default:
      throw corrupt(`tag ${tag}`);
  }
}
