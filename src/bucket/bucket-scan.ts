import type { FileHandle } from 'node:fs/promises';
import { DfsError } from '../base/errors.ts';
import { KIB, MIB } from '../base/limits.ts';
import {
  ALIGN_BYTES,
  alignUp,
  FILE_HEADER_BYTES,
  HEADER_BYTES_MAX,
  RECORD_HEADER_BYTES,
  RECORD_MAGIC,
  type RecordHeader,
  recordBytes,
} from './bucket-format.ts';
import { decodeRecordHeader, isZero, verifyRecordBody } from './bucket-reader.ts';
import { readAt } from './file-io.ts';

// The scan walks from record to record. Where none begins it steps by ALIGN_BYTES to the next one
// that verifies. What it stepped over is damage, unless all of it is zero: then it is a hole.

const WINDOW_BYTES = MIB;
/** Enough to see a header between two large pieces without reading either. */
const NARROW_WINDOW_BYTES = 4 * KIB;
const LARGE_RECORD_BYTES = 256 * KIB;

/** A stretch of a bucket that is neither a record nor a hole. */
export interface DamagedRange {
  readonly offset: number;
  readonly bytes: number;
}

/** What a scan found. */
export interface ScanResult {
  /** Where the last record ends; what follows is torn, or a hole. */
  readonly end: number;
  /** Between records; what follows the last one is not in here. */
  readonly damaged: DamagedRange[];
}

/** What to scan. */
export interface ScanRange {
  readonly handle: FileHandle;
  readonly fileBytes: number;
  readonly from: number;
  readonly volumeTag: Buffer;
  readonly bucket: number;
  /** How to name the file in errors. */
  readonly what: string;
  /** Also read and verify the pieces; otherwise their headers only. */
  readonly pieces: boolean;
  readonly onRecord: (header: RecordHeader, offset: number) => void;
}

/** Finds the records of a bucket from an offset on; NEWER_FORMAT if a later version wrote one. */
export async function scanBucket(range: ScanRange): Promise<ScanResult> {
  const window = new Window(range.handle);
  const damaged: DamagedRange[] = [];
  let at = Math.max(alignUp(range.from), FILE_HEADER_BYTES);
  let end = at;
  let dirtySince: number | undefined;
  while (at + RECORD_HEADER_BYTES <= range.fileBytes) {
    const header = await recordAt(window, range, at);
    if (header === undefined) {
      const gap = await window.gapAt(at);
      if (!gap.zero) dirtySince ??= at;
      at += gap.bytes;
      continue;
    }
    if (dirtySince !== undefined) damaged.push({ offset: dirtySince, bytes: at - dirtySince });
    dirtySince = undefined;
    range.onRecord(header, at);
    at += recordBytes(header.payloadBytes);
    end = at;
  }
  return { end, damaged };
}

async function recordAt(
  window: Window,
  range: ScanRange,
  offset: number,
): Promise<RecordHeader | undefined> {
  const bytes = await window.read(offset, HEADER_BYTES_MAX);
  if (!bytes.subarray(0, RECORD_MAGIC.length).equals(RECORD_MAGIC)) return undefined;
  const { volumeTag, bucket, what } = range;
  const place = { volumeTag, bucket, offset };
  try {
    const header = decodeRecordHeader(bytes, place, `the record at ${offset} of ${what}`);
    const bodyBytes = recordBytes(header.payloadBytes) - RECORD_HEADER_BYTES;
    const bodyAt = offset + RECORD_HEADER_BYTES;
    if (bodyAt + bodyBytes > range.fileBytes) return undefined;
    if (range.pieces) verifyRecordBody(await window.read(bodyAt, bodyBytes), header, what);
    else window.expect(bodyBytes);
    return header;
  } catch (error) {
    // A record of another volume is as useless here as a damaged one, but not fatal.
    if (error instanceof DfsError && (error.code === 'CORRUPT' || error.code === 'FOREIGN')) {
      return undefined;
    }
    throw error;
  }
}

/** Reads ahead, so that small records and the steps between them do not cost a call each. */
class Window {
  readonly #handle: FileHandle;
  #buffer: Buffer = Buffer.alloc(0);
  #offset = 0;
  #atEnd = false;
  #readBytes = WINDOW_BYTES;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Adapts the reading ahead to the size of the records. */
  expect(bodyBytes: number): void {
    this.#readBytes = bodyBytes < LARGE_RECORD_BYTES ? WINDOW_BYTES : NARROW_WINDOW_BYTES;
  }

  /** Up to `bytes` at `offset`, fewer at the end of the file. */
  async read(offset: number, bytes: number): Promise<Buffer> {
    const skip = offset - this.#offset;
    if (skip < 0 || (skip + bytes > this.#buffer.length && !this.#atEnd)) {
      const wanted = Math.max(bytes, this.#readBytes);
      this.#buffer = await readAt(this.#handle, offset, wanted);
      this.#offset = offset;
      this.#atEnd = this.#buffer.length < wanted;
      return this.#buffer.subarray(0, bytes);
    }
    return this.#buffer.subarray(skip, skip + bytes);
  }

  /** How far it is from `offset`, where no record begins, to where the next one may. */
  async gapAt(offset: number): Promise<{ bytes: number; zero: boolean }> {
    const ahead = await this.read(offset, WINDOW_BYTES);
    let next = ahead.indexOf(RECORD_MAGIC, ALIGN_BYTES);
    while (next > 0 && next % ALIGN_BYTES !== 0) next = ahead.indexOf(RECORD_MAGIC, next + 1);
    const bytes = next > 0 ? next : alignUp(ahead.length);
    return { bytes, zero: isZero(ahead.subarray(0, bytes)) };
  }
}
