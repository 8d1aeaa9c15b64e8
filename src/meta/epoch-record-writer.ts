import { blake3 } from '@napi-rs/blake-hash';
import { assert, DfsError } from '../base/errors.ts';
import type { Epoch } from '../base/ids.ts';
import { beginHeader, sealHeader, VOLUME_TAG_BYTES } from '../base/sealed-header.ts';
import {
  EPOCH_BODY_BYTES_MAX,
  EPOCH_RECORD,
  EPOCH_RECORD_RESERVED_BYTES,
  RECORD_ID_BYTES,
} from './epoch-record-format.ts';

export interface EpochRecordFields {
  volumeTag: Buffer;
  epoch: Epoch;
  incarnation: number;
  cutTimeMs: number;
  lastSeq: number;
  previous: Buffer;
  /** Encoded operations; opaque here. */
  body: Buffer;
}

/**
 * The record as it is appended to the log of every disk; BAD_ARGUMENT for a body over the limit.
 */
export function encodeEpochRecord(fields: EpochRecordFields): Buffer {
  const { volumeTag, epoch, incarnation, cutTimeMs, lastSeq, previous, body } = fields;
  assert(volumeTag.length === VOLUME_TAG_BYTES, `a volume tag of ${volumeTag.length} bytes`);
  assert(previous.length === RECORD_ID_BYTES, `a record id of ${previous.length} bytes`);
  for (const value of [epoch, incarnation, cutTimeMs, lastSeq]) {
    assert(Number.isSafeInteger(value) && value >= 0, `an epoch record field of ${value}`);
  }
  if (body.length > EPOCH_BODY_BYTES_MAX) {
    const state = `its ${body.length} bytes exceed ${EPOCH_BODY_BYTES_MAX}`;
    throw new DfsError('BAD_ARGUMENT', `Cannot write epoch ${epoch}: ${state}`);
  }
  const writer = beginHeader(EPOCH_RECORD)
    .raw(volumeTag)
    .u53(epoch)
    .u53(incarnation)
    .u53(cutTimeMs)
    .u53(lastSeq)
    .raw(previous)
    .u32(body.length)
    .raw(Buffer.alloc(EPOCH_RECORD_RESERVED_BYTES))
    .raw(blake3(body));
  return Buffer.concat([sealHeader(EPOCH_RECORD, writer), body]);
}
