import fc from 'fast-check';
import { expect, test } from 'vitest';
import { codeOfThrown } from '../base/errors.ts';
import type { ChunkId, DiskId } from '../base/ids.ts';
import { pieceBytes, pieceCount, type Scheme } from '../chunk/mod.ts';
import type { RecordHeader } from './bucket-format.ts';
import { decodeRecordHeader, verifyFileHeader } from './bucket-reader.ts';
import { encodeFileHeader, encodeRecordHeader } from './bucket-writer.ts';

const volumeTag = Buffer.from('a1b2c3d4e5f60718', 'hex');

const anyScheme: fc.Arbitrary<Scheme> = fc.oneof(
  fc.record({ kind: fc.constant('replica' as const), copies: fc.integer({ min: 1, max: 16 }) }),
  fc.record({
    kind: fc.constant('ec' as const),
    dataPieces: fc.integer({ min: 1, max: 24 }),
    parityPieces: fc.integer({ min: 1, max: 6 }),
  }),
);

const anyHeader: fc.Arbitrary<RecordHeader> = fc
  .record({
    id: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    hash: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    index: fc.nat(29),
    scheme: anyScheme,
    chunkBytes: fc.integer({ min: 1, max: 4 * 1024 * 1024 }),
  })
  .map(({ id, hash, index, scheme, chunkBytes }) => ({
    chunkId: Buffer.from(id) as ChunkId,
    pieceIndex: index % pieceCount(scheme),
    scheme,
    chunkBytes,
    payloadBytes: pieceBytes(scheme, chunkBytes),
    payloadHash: Buffer.from(hash),
  }));

const anyPlace = fc.record({ bucket: fc.nat(65_535), offset: fc.nat(2 ** 36) });

test('a record header reads as it was written, at its place only', () => {
  fc.assert(
    fc.property(anyHeader, anyPlace, (header, at) => {
      const place = { volumeTag, ...at };
      const bytes = Buffer.from(encodeRecordHeader(place, header));
      expect(bytes.length).toBe(128);
      expect(decodeRecordHeader(bytes, place, 'x')).toEqual(header);
      const elsewhere = { ...place, offset: place.offset + 64 };
      expect(codeOfThrown(() => decodeRecordHeader(bytes, elsewhere, 'x'))).toBe('CORRUPT');
      const foreign = { ...place, volumeTag: Buffer.alloc(8) };
      expect(codeOfThrown(() => decodeRecordHeader(bytes, foreign, 'x'))).toBe('FOREIGN');
    }),
  );
});

test('decodeRecordHeader() notices every flipped bit and every truncation', () => {
  fc.assert(
    fc.property(anyHeader, anyPlace, (header, at) => {
      const place = { volumeTag, ...at };
      const bytes = encodeRecordHeader(place, header);
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const harmed = Buffer.from(bytes);
        harmed[bit >> 3] = (harmed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(codeOfThrown(() => decodeRecordHeader(harmed, place, 'x'))).toBe('CORRUPT');
      }
      for (let length = 0; length < bytes.length; length++) {
        const cut = bytes.subarray(0, length);
        expect(codeOfThrown(() => decodeRecordHeader(cut, place, 'x'))).toBe('CORRUPT');
      }
    }),
    { numRuns: 10 },
  );
});

test('verifyFileHeader() notices every flipped bit and every truncation', () => {
  const identity = { volumeTag, diskId: 7 as DiskId, bucket: 300 };
  const bytes = encodeFileHeader(identity);
  expect(bytes.length).toBe(64);
  verifyFileHeader(bytes, identity, 'x');
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const harmed = Buffer.from(bytes);
    harmed[bit >> 3] = (harmed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(codeOfThrown(() => verifyFileHeader(harmed, identity, 'x'))).toBe('CORRUPT');
  }
  for (let length = 0; length < bytes.length; length++) {
    const cut = bytes.subarray(0, length);
    expect(codeOfThrown(() => verifyFileHeader(cut, identity, 'x'))).toBe('CORRUPT');
  }
  const code = (other: object): unknown =>
    codeOfThrown(() => verifyFileHeader(bytes, { ...identity, ...other }, 'x'));
  expect(code({ volumeTag: Buffer.alloc(8) })).toBe('FOREIGN');
  expect(code({ diskId: 8 })).toBe('FOREIGN');
  expect(code({ bucket: 301 })).toBe('CORRUPT');
});
