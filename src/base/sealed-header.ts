import { blake3 } from '@napi-rs/blake-hash';
import { ByteReader, ByteWriter } from './bytes.ts';
import { assert, DfsError } from './errors.ts';

/**
 * Bytes that every sealed header of every version begins with: magic 4, version u16, length u16.
 */
export const HEADER_PRELUDE_BYTES = 8;
/** The BLAKE3 that every sealed header ends with, over everything before it. */
export const HEADER_CHECKSUM_BYTES = 32;
/** Of any version; bounds what is read on the word of a length field. */
export const HEADER_BYTES_MAX = 4096;
/** First bytes of a volume's UUID hash: tells our disks from foreign ones. */
export const VOLUME_TAG_BYTES = 8;

export interface HeaderKind {
  /** Four ASCII characters. */
  magic: string;
  /** The one that is written. */
  version: number;
  headerBytes: number;
  /** Header lengths of older versions, which are read as well. */
  older?: ReadonlyMap<number, number>;
  /** For messages: "the epoch record". */
  what: string;
}

/** Begins a header; the caller writes the fields, then {@link sealHeader}. */
export function beginHeader(kind: HeaderKind): ByteWriter {
  return new ByteWriter(kind.headerBytes)
    .raw(Buffer.from(kind.magic, 'latin1'))
    .u16(kind.version)
    .u16(kind.headerBytes);
}

/** Appends the checksum and gives the finished header. */
export function sealHeader(kind: HeaderKind, writer: ByteWriter): Buffer {
  writer.raw(blake3(writer.view()));
  assert(writer.length === kind.headerBytes, `${kind.what} has ${writer.length} header bytes`);
  return writer.finish();
}

/**
 * Verifies magic, length, checksum and version, and gives a reader standing on the first field. The
 * place of length and checksum is the same in every version, so that a damaged version field is
 * CORRUPT, and NEWER_FORMAT is said only of bytes that are intact.
 */
export function openHeader(kind: HeaderKind, buffer: Buffer): ByteReader {
  const { what } = kind;
  if (buffer.length < HEADER_PRELUDE_BYTES) {
    throw new DfsError('CORRUPT', `Cannot read ${what}: it ends after ${buffer.length} bytes`);
  }
  if (buffer.toString('latin1', 0, 4) !== kind.magic) {
    throw new DfsError('CORRUPT', `Cannot read ${what}: it does not begin with ${kind.magic}`);
  }
  const version = buffer.readUInt16LE(4);
  const headerBytes = buffer.readUInt16LE(6);
  const end = headerBytes - HEADER_CHECKSUM_BYTES;
  if (end < HEADER_PRELUDE_BYTES || headerBytes > HEADER_BYTES_MAX) {
    throw new DfsError('CORRUPT', `Cannot read ${what}: a header of ${headerBytes} bytes`);
  }
  if (headerBytes > buffer.length) {
    const state = `${buffer.length} of ${headerBytes} header bytes are there`;
    throw new DfsError('CORRUPT', `Cannot read ${what}: ${state}`);
  }
  if (!blake3(buffer.subarray(0, end)).equals(buffer.subarray(end, headerBytes))) {
    throw new DfsError('CORRUPT', `Cannot read ${what}: the header's checksum is wrong`);
  }
  if (version > kind.version) {
    const state = `it has version ${version}, this software reads up to ${kind.version}`;
    throw new DfsError('NEWER_FORMAT', `Cannot read ${what}: ${state}`);
  }
  const known = version === kind.version ? kind.headerBytes : kind.older?.get(version);
  if (headerBytes !== known) {
    const state = `version ${version} with a header of ${headerBytes} bytes does not exist`;
    throw new DfsError('CORRUPT', `Cannot read ${what}: ${state}`);
  }
  const reader = new ByteReader(buffer.subarray(0, end), what);
  reader.raw(HEADER_PRELUDE_BYTES);
  return reader;
}

/** The version in a header that {@link openHeader} has verified. */
export function versionOf(buffer: Buffer): number {
  return buffer.readUInt16LE(4);
}

/** The length of one, the same. */
export function headerBytesOf(buffer: Buffer): number {
  return buffer.readUInt16LE(6);
}

/** Reads reserved bytes, which must be zero, so that a later version may give them a meaning. */
export function readReserved(reader: ByteReader, bytes: number, what: string): void {
  const nonZero = reader.raw(bytes).some((byte) => byte !== 0);
  if (nonZero) throw new DfsError('CORRUPT', `Cannot read ${what}: a reserved byte is not zero`);
}
