import { closeSync, constants, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { blake3 } from '@napi-rs/blake-hash';
import { DfsError, messageOf } from '../base/errors.ts';
import { MIB } from '../base/limits.ts';
import { readFully } from '../base/read-fully.ts';
import { syncData } from '../base/sync-data.ts';

const MAGIC = 0x4c53_4644; // "DFSL"
const VERSION = 1;
const HEADER_BYTES = 40;
const CHECKSUM_BYTES = 16;
/** Bytes a file has from its start, so that appending changes no metadata of its file system. */
export const LOG_FILE_BYTES: number = 2 * MIB;

/** One record, its payload a view of what was read. */
export interface LogRecord {
  number: number;
  payload: Buffer;
}

/**
 * One file of a {@link WriteAheadLog}: records one after the other, over what an earlier use of the
 * file left. docs/formats/write-ahead-log.md
 *
 * A record: magic u32, payload length u32, salt u32, version u16, zero u16, number u53, checksum 16 bytes (BLAKE3
 * of the 24 bytes before it and the payload), payload. Numbers go up by one, so the first record
 * that does not fit ends the file's content.
 */
export class LogFile {
  readonly #path: string;
  readonly #fd: number;
  readonly #salt: number;
  #tail = 0;
  #lastStart = 0;
  /** Whether all that was appended is on the device. */
  isSynced = true;

  constructor(path: string, salt: number) {
    this.#path = path;
    this.#salt = salt;
    this.#fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    const { size } = fstatSync(this.#fd);
    if (size < LOG_FILE_BYTES) {
      writeSync(this.#fd, Buffer.alloc(LOG_FILE_BYTES - size), 0, LOG_FILE_BYTES - size, size);
    }
  }

  /** Whether `bytes` of payload fit, or the file is empty: a record longer than the file is taken. */
  hasRoom(bytes: number): boolean {
    return this.#tail === 0 || this.#tail + HEADER_BYTES + bytes <= LOG_FILE_BYTES;
  }

  /** Begins anew at the start of the file. */
  rewind(): void {
    this.#tail = 0;
    this.#lastStart = 0;
    this.isSynced = true;
    if (fstatSync(this.#fd).size > LOG_FILE_BYTES) ftruncateSync(this.#fd, LOG_FILE_BYTES);
  }

  /**
   * Appends `frame`, a record whose first bytes, up to the payload, are filled in here. NO_SPACE or
   * IO with nothing appended.
   */
  append(frame: Buffer, number: number): void {
    seal(frame, number, this.#salt);
    let written = 0;
    try {
      while (written < frame.length) {
        written += writeSync(
          this.#fd,
          frame,
          written,
          frame.length - written,
          this.#tail + written,
        );
      }
    } catch (error) {
      const isFull = (error as NodeJS.ErrnoException).code === 'ENOSPC';
      const state = `Cannot write ${this.#path}: ${isFull ? 'its device is full' : messageOf(error)}`;
      throw new DfsError(isFull ? 'NO_SPACE' : 'IO', state, { cause: error });
    }
    this.#lastStart = this.#tail;
    this.#tail += frame.length;
    this.isSynced = false;
  }

  /** Takes the last record back. Once after each append. */
  takeBack(): void {
    writeSync(this.#fd, Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, this.#lastStart);
    this.#tail = this.#lastStart;
  }

  /** What was appended since the last rewind. */
  records(): LogRecord[] {
    return recordsIn(this.#fd, this.#salt, this.#path);
  }

  async sync(): Promise<void> {
    this.isSynced = true;
    try {
      await syncData(this.#fd, this.#path);
    } catch (error) {
      this.isSynced = false;
      throw error;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** The records of the file at `path`, which another process wrote. */
export function readRecords(path: string, salt: number): LogRecord[] {
  const fd = openSync(path, 'r');
  try {
    return recordsIn(fd, salt, path);
  } finally {
    closeSync(fd);
  }
}

/** The records from the start of a file on, up to what does not verify. */
function recordsIn(fd: number, salt: number, path: string): LogRecord[] {
  const bytes = Buffer.alloc(fstatSync(fd).size);
  readFully(fd, bytes, 0, path);
  const records: LogRecord[] = [];
  for (let at = 0; ; ) {
    const record = recordAt(bytes, at, salt);
    const last = records.at(-1);
    if (record === undefined || (last !== undefined && record.number !== last.number + 1)) break;
    records.push(record);
    at += HEADER_BYTES + record.payload.length;
  }
  return records;
}

/** Bytes a frame keeps free for {@link LogFile.append} in front of its payload. */
export const FRAME_HEADER: Buffer = Buffer.alloc(HEADER_BYTES);

function seal(frame: Buffer, number: number, salt: number): void {
  frame.writeUInt32LE(MAGIC, 0);
  frame.writeUInt32LE(frame.length - HEADER_BYTES, 4);
  frame.writeUInt32LE(salt, 8);
  frame.writeUInt16LE(VERSION, 12);
  frame.writeUInt16LE(0, 14);
  frame.writeBigUInt64LE(BigInt(number), 16);
  checksumOf(frame).copy(frame, 24);
}

function checksumOf(frame: Buffer): Buffer {
  // The checksum's own place is zero while it is computed.
  frame.fill(0, 24, HEADER_BYTES);
  return blake3(frame).subarray(0, CHECKSUM_BYTES);
}

function recordAt(bytes: Buffer, at: number, salt: number): LogRecord | undefined {
  if (at + HEADER_BYTES > bytes.length) return undefined;
  if (bytes.readUInt32LE(at) !== MAGIC || bytes.readUInt32LE(at + 8) !== salt) return undefined;
  const length = bytes.readUInt32LE(at + 4);
  if (at + HEADER_BYTES + length > bytes.length) return undefined;
  const frame = bytes.subarray(at, at + HEADER_BYTES + length);
  const stored = Buffer.from(frame.subarray(24, HEADER_BYTES));
  if (!checksumOf(frame).equals(stored)) return undefined;
  const version = frame.readUInt16LE(12);
  if (version > VERSION) {
    const state = `it has version ${version}, this program knows ${VERSION}`;
    throw new DfsError('NEWER_FORMAT', `Cannot read the write-ahead log: ${state}`);
  }
  if (version !== VERSION || frame.readUInt16LE(14) !== 0) return undefined;
  return { number: Number(frame.readBigUInt64LE(16)), payload: frame.subarray(HEADER_BYTES) };
}
