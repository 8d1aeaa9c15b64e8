import { blake3 } from '@napi-rs/blake-hash';
import { DfsError } from '../base/errors.ts';
import type { Epoch } from '../base/ids.ts';
import { openHeader, readReserved, VOLUME_TAG_BYTES } from '../base/sealed-header.ts';
import {
  EPOCH_BODY_BYTES_MAX,
  EPOCH_RECORD,
  EPOCH_RECORD_RESERVED_BYTES,
  type EpochRecordHeader,
  RECORD_ID_BYTES,
} from './epoch-record-format.ts';

/**
 * The header at the start of `buffer`, verified, in copies of its own. CORRUPT or NEWER_FORMAT;
 * says nothing of the body, for which {@link decodeEpochRecord} is there.
 */
export function decodeEpochRecordHeader(buffer: Buffer): EpochRecordHeader {
  const reader = openHeader(EPOCH_RECORD, buffer);
  const volumeTag = Buffer.from(reader.raw(VOLUME_TAG_BYTES));
  const epoch = reader.u53() as Epoch;
  const incarnation = reader.u53();
  const cutTimeMs = reader.u53();
  const lastSeq = reader.u53();
  const previous = Buffer.from(reader.raw(RECORD_ID_BYTES));
  const bodyBytes = reader.u32();
  readReserved(reader, EPOCH_RECORD_RESERVED_BYTES, EPOCH_RECORD.what);
  const bodyChecksum = Buffer.from(reader.raw(RECORD_ID_BYTES));
  reader.end();
  if (bodyBytes > EPOCH_BODY_BYTES_MAX) {
    const state = `a body of ${bodyBytes} bytes exceeds ${EPOCH_BODY_BYTES_MAX}`;
    throw new DfsError('CORRUPT', `Cannot read epoch record ${epoch}: ${state}`);
  }
  const id = Buffer.from(
    buffer.subarray(EPOCH_RECORD.headerBytes - RECORD_ID_BYTES, EPOCH_RECORD.headerBytes),
  );
  const header = { volumeTag, epoch, incarnation, cutTimeMs, lastSeq, previous };
  return { ...header, bodyBytes, bodyChecksum, id };
}

/** A whole record and nothing after it, verified; the body is a view of `buffer`. */
export function decodeEpochRecord(buffer: Buffer): { header: EpochRecordHeader; body: Buffer } {
  const header = decodeEpochRecordHeader(buffer);
  const body = buffer.subarray(EPOCH_RECORD.headerBytes);
  if (body.length !== header.bodyBytes) {
    const state = `${body.length} of ${header.bodyBytes} body bytes are there`;
    throw new DfsError('CORRUPT', `Cannot read epoch record ${header.epoch}: ${state}`);
  }
  if (!blake3(body).equals(header.bodyChecksum)) {
    const state = "the body's checksum is wrong";
    throw new DfsError('CORRUPT', `Cannot read epoch record ${header.epoch}: ${state}`);
  }
  return { header, body };
}
