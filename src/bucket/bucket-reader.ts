import { blake3 } from '@napi-rs/blake-hash';
import { ByteReader } from '../base/bytes.ts';
import { DfsError } from '../base/errors.ts';
import { CHUNK_ID_BYTES, type ChunkId } from '../base/ids.ts';
import { KIB } from '../base/limits.ts';
import { isChunkLength, pieceBytes, pieceCount, type Scheme } from '../chunk/mod.ts';
import {
  type BucketIdentity,
  CHECKSUM_BYTES,
  FILE_HEADER_BYTES,
  FILE_MAGIC,
  FORMAT_VERSION,
  RECORD_HEADER_BYTES,
  RECORD_MAGIC,
  type RecordHeader,
  VOLUME_TAG_BYTES,
} from './bucket-format.ts';
import type { RecordPlace } from './bucket-writer.ts';
import { schemeOfCode } from './scheme-code.ts';

const PREFIX_BYTES = 12;
const ZEROS = Buffer.alloc(64 * KIB);

/**
 * Verifies the first bytes of a bucket file: CORRUPT, NEWER_FORMAT, or FOREIGN when it is a good
 * header of another volume or disk.
 */
export function verifyFileHeader(bytes: Buffer, expected: BucketIdentity, what: string): void {
  const reader = openHeader({ bytes, magic: FILE_MAGIC, headerBytes: FILE_HEADER_BYTES, what });
  const volumeTag = reader.raw(VOLUME_TAG_BYTES);
  const diskId = reader.u16();
  const bucket = reader.u16();
  verifyZeros(reader.raw(24), what);
  verifyTag(volumeTag, expected.volumeTag, what);
  if (diskId !== expected.diskId) {
    throw new DfsError(
      'FOREIGN',
      `Cannot use ${what}: it belongs to disk ${diskId}, this is disk ${expected.diskId}`,
    );
  }
  if (bucket !== expected.bucket) throw corrupt(what, `it says it is bucket ${bucket}`);
}

/** Reads and verifies a record header that stands at `place`. */
export function decodeRecordHeader(bytes: Buffer, place: RecordPlace, what: string): RecordHeader {
  const reader = openHeader({ bytes, magic: RECORD_MAGIC, headerBytes: RECORD_HEADER_BYTES, what });
  verifyTag(reader.raw(VOLUME_TAG_BYTES), place.volumeTag, what);
  const bucket = reader.u16();
  const pieceIndex = reader.u16();
  const chunkId = Buffer.from(reader.raw(CHUNK_ID_BYTES)) as ChunkId;
  const scheme = decodeScheme(reader, what);
  verifyZeros(reader.raw(1), what);
  const chunkBytes = reader.u32();
  const payloadBytes = reader.u32();
  const payloadHash = Buffer.from(reader.raw(32));
  const offset = reader.u53();
  verifyZeros(reader.raw(4), what);
  if (bucket !== place.bucket || offset !== place.offset) {
    throw corrupt(what, `it was written for offset ${offset} of bucket ${bucket}`);
  }
  if (
    pieceIndex >= pieceCount(scheme) ||
    !isChunkLength(chunkBytes) ||
    payloadBytes !== pieceBytes(scheme, chunkBytes)
  ) {
    throw corrupt(what, 'its numbers contradict each other');
  }
  return { chunkId, pieceIndex, scheme, chunkBytes, payloadBytes, payloadHash };
}

/** Verifies what follows a record header: the piece and its padding. */
export function verifyRecordBody(body: Buffer, header: RecordHeader, what: string): Buffer {
  if (body.length < header.payloadBytes) {
    throw corrupt(what, `${body.length} of ${header.payloadBytes} bytes are there`);
  }
  const payload = body.subarray(0, header.payloadBytes);
  if (!blake3(payload).equals(header.payloadHash)) throw corrupt(what, 'its hash differs');
  verifyZeros(body.subarray(header.payloadBytes), what);
  return payload;
}

/** True when every byte is zero: a hole, or what a power cut left of a write. */
export function isZero(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const block = bytes.subarray(at, at + ZEROS.length);
    if (!block.equals(ZEROS.subarray(0, block.length))) return false;
  }
  return true;
}

interface HeaderSource {
  bytes: Buffer;
  magic: Buffer;
  headerBytes: number;
  what: string;
}

/** A reader behind the prefix of a header whose magic, checksum, version and length are right. */
function openHeader({ bytes, magic, headerBytes, what }: HeaderSource): ByteReader {
  if (bytes.length < headerBytes) throw corrupt(what, `only ${bytes.length} bytes are there`);
  if (!bytes.subarray(0, magic.length).equals(magic)) throw corrupt(what, 'no header is there');
  const version = bytes.readUInt16LE(8);
  const length = bytes.readUInt16LE(10);
  // A later version may be longer, but its checksum stands at its end, so that a flipped bit in
  // the version is never taken for a later version.
  if (length < PREFIX_BYTES + CHECKSUM_BYTES || length > bytes.length) {
    throw corrupt(what, `its header length ${length} is impossible`);
  }
  const checksum = bytes.subarray(length - CHECKSUM_BYTES, length);
  const content = bytes.subarray(0, length - CHECKSUM_BYTES);
  if (!blake3(content).subarray(0, CHECKSUM_BYTES).equals(checksum)) {
    throw corrupt(what, 'its header checksum differs');
  }
  if (version > FORMAT_VERSION) {
    throw new DfsError(
      'NEWER_FORMAT',
      `Cannot read ${what}: its format version is ${version}, known is up to ${FORMAT_VERSION}`,
    );
  }
  if (version < 1 || length !== headerBytes) throw corrupt(what, `its version is ${version}`);
  const reader = new ByteReader(content, what);
  reader.raw(PREFIX_BYTES);
  return reader;
}

function decodeScheme(reader: ByteReader, what: string): Scheme {
  const [kind, first, second] = [reader.u8(), reader.u8(), reader.u8()];
  try {
    return schemeOfCode((kind << 16) | (first << 8) | second);
  } catch (cause) {
    const text = `Cannot read ${what}: its scheme is ${kind}, ${first}, ${second}`;
    throw new DfsError('CORRUPT', text, { cause });
  }
}

function verifyTag(found: Buffer, expected: Buffer, what: string): void {
  if (found.equals(expected)) return;
  const [theirs, ours] = [found.toString('hex'), expected.toString('hex')];
  throw new DfsError('FOREIGN', `Cannot use ${what}: it belongs to volume ${theirs}, not ${ours}`);
}

function verifyZeros(bytes: Buffer, what: string): void {
  if (!isZero(bytes)) throw corrupt(what, 'its reserved bytes are not zero');
}

function corrupt(what: string, state: string): DfsError {
  return new DfsError('CORRUPT', `Cannot read ${what}: ${state}`);
}
