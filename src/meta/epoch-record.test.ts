import { readFileSync } from 'node:fs';
import { blake3 } from '@napi-rs/blake-hash';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeOfThrown } from '../base/errors.ts';
import type { Epoch } from '../base/ids.ts';
import { EPOCH_RECORD, NO_RECORD_ID } from './epoch-record-format.ts';
import { decodeEpochRecord, decodeEpochRecordHeader } from './epoch-record-reader.ts';
import { type EpochRecordFields, encodeEpochRecord } from './epoch-record-writer.ts';

const golden = (version: number): Buffer =>
  readFileSync(new URL(`../../test/golden/epoch-record-v${version}.bin`, import.meta.url));

const fields: EpochRecordFields = {
  volumeTag: Buffer.from('0102030405060708', 'hex'),
  epoch: 7 as Epoch,
  incarnation: 3,
  cutTimeMs: 1_700_000_000_123,
  lastSeq: 4242,
  previous: blake3('the record before'),
  body: Buffer.from('encoded operations of epoch 7'),
};

/** Changes header bytes and makes the checksum right again. */
function resealed(record: Buffer, change: (header: Buffer) => void): Buffer {
  const copy = Buffer.from(record);
  change(copy);
  const end = EPOCH_RECORD.headerBytes - 32;
  blake3(copy.subarray(0, end)).copy(copy, end);
  return copy;
}

describe('epoch record', () => {
  test('what is written is read again, for any values', () => {
    const u53 = fc.maxSafeNat();
    const bytes = (length: number): fc.Arbitrary<Buffer> =>
      fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array));
    const any = fc.record({
      volumeTag: bytes(8),
      epoch: u53 as fc.Arbitrary<Epoch>,
      incarnation: u53,
      cutTimeMs: u53,
      lastSeq: u53,
      previous: bytes(32),
      body: fc.uint8Array({ maxLength: 2000 }).map((array) => Buffer.from(array)),
    });
    fc.assert(
      fc.property(any, (one) => {
        const record = encodeEpochRecord(one);
        const { header, body } = decodeEpochRecord(record);
        const { volumeTag, epoch, incarnation, cutTimeMs, lastSeq, previous } = header;
        const read = { volumeTag, epoch, incarnation, cutTimeMs, lastSeq, previous, body };
        expect(read).toEqual(one);
        expect(header.id).toEqual(record.subarray(120, 152));
      }),
    );
  });

  test.each([1, 2])('the golden record of version %i is read', (version) => {
    const { header, body } = decodeEpochRecord(golden(version));
    expect({ epoch: header.epoch, body }).toEqual({ epoch: 7, body: fields.body });
  });

  test('version 2 is written to the byte', () => {
    expect(encodeEpochRecord(fields)).toEqual(golden(2));
  });

  test('every truncation is detected', () => {
    const record = encodeEpochRecord(fields);
    for (let length = 0; length < record.length; length++) {
      expect(codeOfThrown(() => decodeEpochRecord(record.subarray(0, length)))).toBe('CORRUPT');
    }
    expect(codeOfThrown(() => decodeEpochRecord(Buffer.concat([record, Buffer.of(0)])))).toBe(
      'CORRUPT',
    );
  });

  test('every bit flip is detected', () => {
    const record = encodeEpochRecord(fields);
    for (let bit = 0; bit < record.length * 8; bit++) {
      const copy = Buffer.from(record);
      copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(codeOfThrown(() => decodeEpochRecord(copy))).toBe('CORRUPT');
    }
  });

  test('an intact record of a later version is NEWER_FORMAT, a reserved byte CORRUPT', () => {
    const record = encodeEpochRecord(fields);
    const newer = resealed(record, (header) => header.writeUInt16LE(3, 4));
    expect(codeOfThrown(() => decodeEpochRecordHeader(newer))).toBe('NEWER_FORMAT');
    const older = resealed(record, (header) => header.writeUInt16LE(0, 4));
    expect(codeOfThrown(() => decodeEpochRecordHeader(older))).toBe('CORRUPT');
    const reserved = resealed(record, (header) => header.writeUInt8(1, 84));
    expect(codeOfThrown(() => decodeEpochRecordHeader(reserved))).toBe('CORRUPT');
    const huge = resealed(record, (header) => header.writeUInt32LE(0x1000_0001, 80));
    expect(codeOfThrown(() => decodeEpochRecordHeader(huge))).toBe('CORRUPT');
  });

  test('a header of an unusual length of a later version is understood as such', () => {
    const header = Buffer.alloc(200);
    header.write('DFSE', 'latin1');
    header.writeUInt16LE(9, 4);
    header.writeUInt16LE(200, 6);
    blake3(header.subarray(0, 168)).copy(header, 168);
    expect(codeOfThrown(() => decodeEpochRecordHeader(header))).toBe('NEWER_FORMAT');
  });

  test('the first record has no predecessor, and an empty body is a body', () => {
    const record = encodeEpochRecord({ ...fields, previous: NO_RECORD_ID, body: Buffer.alloc(0) });
    expect(decodeEpochRecord(record).body).toHaveLength(0);
  });
});
