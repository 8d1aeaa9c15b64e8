import { blake3 } from '@napi-rs/blake-hash';
import { DfsError } from '../base/errors.ts';
import { HEADER_BYTES_MAX, VOLUME_TAG_BYTES } from '../base/sealed-header.ts';
import { type LogWindow, WINDOW_BYTES } from './disk-log-window.ts';
import {
  EPOCH_RECORD,
  EPOCH_RECORD_TAG_OFFSET,
  type EpochRecordHeader,
} from './epoch-record-format.ts';
import { decodeEpochRecordHeader } from './epoch-record-reader.ts';

const ZEROS: Buffer = Buffer.alloc(WINDOW_BYTES);
const MAGIC: Buffer = Buffer.from(EPOCH_RECORD.magic, 'latin1');

/** How much of a record's body a scan looks at: gives it, only verifies it, or passes over it. */
export type BodyUse = 'read' | 'verify' | 'skip';

/** A record that verifies as far as was asked; `body` is there when it was to be read. */
export interface ScannedRecord {
  kind: 'record';
  offset: number;
  /** Length of the whole record. */
  bytes: number;
  header: EpochRecordHeader;
  body: Buffer | undefined;
}

/** Bytes that are no record. `header` is there when only the body does not verify. */
export interface ScannedDamage {
  kind: 'damage';
  offset: number;
  bytes: number;
  reason: string;
  header: EpochRecordHeader | undefined;
}

export interface ScanOptions {
  window: LogWindow;
  volumeTag: Buffer;
  bodyUse: (header: EpochRecordHeader) => BodyUse;
}

/**
 * Everything in one log file, in order. After damage the next record is looked for by its magic,
 * and must be of a later epoch than the last one: file content in a damaged body may hold an old
 * log, and that must not come back to life. Zeros up to the end are nothing. Throws NEWER_FORMAT and FOREIGN for intact records of
 * that kind.
 */
export async function* scanLogFile(
  options: ScanOptions,
): AsyncGenerator<ScannedRecord | ScannedDamage, void, void> {
  const { window } = options;
  let lastEpoch = -1;
  for (let offset = 0; offset < window.sizeBytes; ) {
    const item = await scanOne(options, offset);
    if (item.header === undefined) {
      const next = await findHeader(options, offset + 1, lastEpoch);
      // Room for records to come: see DiskLog.
      if (next === window.sizeBytes && (await isZero(window, offset))) return;
      item.bytes = next - offset;
    } else {
      lastEpoch = item.header.epoch;
    }
    offset += item.bytes;
    yield item;
  }
}

async function scanOne(
  options: ScanOptions,
  offset: number,
): Promise<ScannedRecord | ScannedDamage> {
  const { window, volumeTag, bodyUse } = options;
  const left = window.sizeBytes - offset;
  let header: EpochRecordHeader;
  try {
    header = decodeEpochRecordHeader(await window.view(offset, HEADER_BYTES_MAX));
  } catch (error) {
    if (!(error instanceof DfsError) || error.code === 'IO') throw error;
    const place = `${window.path}, byte ${offset}`;
    if (error.code !== 'CORRUPT') throw new DfsError(error.code, `${error.message} (${place})`);
    return { kind: 'damage', offset, bytes: left, reason: error.message, header: undefined };
  }
  if (!header.volumeTag.equals(volumeTag)) {
    const state = `it belongs to the volume with tag ${header.volumeTag.toString('hex')}`;
    throw new DfsError('FOREIGN', `Cannot use ${window.path}: ${state}`);
  }
  const bodyOffset = offset + EPOCH_RECORD.headerBytes;
  const recordBytes = EPOCH_RECORD.headerBytes + header.bodyBytes;
  if (recordBytes > left) {
    const reason = `Epoch ${header.epoch} ends after ${left} of ${recordBytes} bytes`;
    return { kind: 'damage', offset, bytes: left, reason, header };
  }
  const use = bodyUse(header);
  const body = use === 'read' ? await window.read(bodyOffset, header.bodyBytes) : undefined;
  if (use !== 'skip') {
    const found =
      body === undefined ? await window.hash(bodyOffset, header.bodyBytes) : blake3(body);
    if (!found.equals(header.bodyChecksum)) {
      const reason = `The checksum of epoch ${header.epoch}'s body is wrong`;
      return { kind: 'damage', offset, bytes: recordBytes, reason, header };
    }
  }
  return { kind: 'record', offset, bytes: recordBytes, header, body };
}

/** Whether nothing but zeros stands behind `from`. */
async function isZero(window: LogWindow, from: number): Promise<boolean> {
  for (let offset = from; offset < window.sizeBytes; ) {
    const bytes = await window.view(offset, WINDOW_BYTES);
    if (!bytes.equals(ZEROS.subarray(0, bytes.length))) return false;
    offset += bytes.length;
  }
  return true;
}

/** Where the next header of a later epoch of this volume stands; the end of the file if nowhere. */
async function findHeader(options: ScanOptions, from: number, lastEpoch: number): Promise<number> {
  const { window } = options;
  for (let offset = from; offset < window.sizeBytes; ) {
    const bytes = await window.view(offset, WINDOW_BYTES);
    const found = bytes.indexOf(MAGIC);
    if (found === -1) {
      // The magic may lie across the edge of two windows.
      offset += Math.max(1, bytes.length - MAGIC.length + 1);
      continue;
    }
    offset += found;
    if (await isLaterHeader(options, offset, lastEpoch)) return offset;
    offset++;
  }
  return window.sizeBytes;
}

async function isLaterHeader(
  { window, volumeTag }: ScanOptions,
  offset: number,
  lastEpoch: number,
): Promise<boolean> {
  const bytes = await window.view(offset, HEADER_BYTES_MAX);
  const tag = bytes.subarray(EPOCH_RECORD_TAG_OFFSET, EPOCH_RECORD_TAG_OFFSET + VOLUME_TAG_BYTES);
  if (!tag.equals(volumeTag)) return false;
  try {
    return decodeEpochRecordHeader(bytes).epoch > lastEpoch;
  } catch (error) {
    // A later version's record of this volume must not be taken for a torn tail and cut.
    if (error instanceof DfsError && error.code === 'CORRUPT') return false;
    throw error;
  }
}
