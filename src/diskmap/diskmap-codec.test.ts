import { readFileSync } from 'node:fs';
import { blake3 } from '@napi-rs/blake-hash';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codeOfThrown } from '../base/errors.ts';
import { createDiskMap, DISK_STATES, type DiskMap, withDisk } from './diskmap.ts';
import { decodeDiskMap } from './diskmap-reader.ts';
import { encodeDiskMap } from './diskmap-writer.ts';
import { testDisk, testMap, testUuid } from './test-maps.ts';

const goldenV1 = readFileSync(new URL('../../test/golden/diskmap-v1.bin', import.meta.url));
const golden = readFileSync(new URL('../../test/golden/diskmap-v2.bin', import.meta.url));

/** Two rooms, an empty label, one that is not ASCII, one disk that was out. */
function goldenMapV1(): DiskMap {
  const map = testMap(3, (index) => ({ room: index + 1, weight: 100 * (index + 1) }));
  const changed = withDisk(map, testDisk(2, { room: 2, state: 'failed', label: '' }));
  return withDisk(changed, testDisk(65_535, { weight: 65_535, label: 'Größe ✓' }));
}

/** The same with a disk in every state; the removed one stands where another does now. */
function goldenMap(): DiskMap {
  const draining = withDisk(goldenMapV1(), testDisk(7, { state: 'draining', label: 'old' }));
  return withDisk(draining, testDisk(9, { state: 'removed', disk: 7 }));
}

/** The bytes with a change, and the checksum right again. */
function forge(bytes: Buffer, change: (inner: Buffer) => void): Buffer {
  const inner = Buffer.from(bytes.subarray(0, -32));
  change(inner);
  return Buffer.concat([inner, blake3(inner)]);
}

const mapArbitrary = fc
  .record({
    version: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    scheme: fc.string({ unit: 'grapheme', maxLength: 20 }),
    bucketBytes: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    ids: fc.uniqueArray(fc.integer({ min: 1, max: 65_535 }), { maxLength: 20 }),
    weight: fc.integer({ min: 1, max: 65_535 }),
    label: fc.string({ unit: 'grapheme', maxLength: 20 }),
    state: fc.constantFrom(...DISK_STATES),
  })
  .map(({ ids, weight, label, state, ...rest }) => {
    const disks = ids.map((id) => testDisk(id, { weight, label, state }));
    return createDiskMap({ ...rest, volumeUuid: testUuid(77), disks });
  });

describe('the encoding of a diskmap', () => {
  it('is the golden file of version 2, and that of version 1 is read', () => {
    expect(encodeDiskMap(goldenMap()).toString('hex')).toBe(golden.toString('hex'));
    expect(decodeDiskMap(golden)).toEqual(goldenMap());
    expect(decodeDiskMap(goldenV1)).toEqual(goldenMapV1());
  });

  it('has the states of its time in version 1', () => {
    const older = forge(golden, (inner) => inner.writeUInt16LE(1, 4));
    expect(codeOfThrown(() => decodeDiskMap(older))).toBe('CORRUPT');
  });

  it('is read back as it was written, and is the same for any order of disks', () => {
    fc.assert(
      fc.property(mapArbitrary, (map) => {
        const bytes = encodeDiskMap(map);
        expect(decodeDiskMap(bytes)).toEqual(map);
        expect(encodeDiskMap({ ...map, disks: [...map.disks].reverse() }).equals(bytes)).toBe(true);
      }),
    );
  });

  it('is CORRUPT at every truncation and with anything behind it', () => {
    for (let end = 0; end < golden.length; end++) {
      expect(codeOfThrown(() => decodeDiskMap(golden.subarray(0, end)))).toBe('CORRUPT');
    }
    expect(codeOfThrown(() => decodeDiskMap(Buffer.concat([golden, Buffer.alloc(1)])))).toBe(
      'CORRUPT',
    );
  });

  it('is CORRUPT with any bit flipped', () => {
    for (let bit = 0; bit < golden.length * 8; bit++) {
      const bytes = Buffer.from(golden);
      bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(
        codeOfThrown(() => decodeDiskMap(bytes)),
        `bit ${bit}`,
      ).toBe('CORRUPT');
    }
  });

  it('is NEWER_FORMAT with a later version that verifies', () => {
    const later = forge(golden, (inner) => inner.writeUInt16LE(3, 4));
    expect(codeOfThrown(() => decodeDiskMap(later))).toBe('NEWER_FORMAT');
  });

  const first = 64 + 'replica:2'.length;
  it.each([
    ['version 0', (inner: Buffer) => inner.writeUInt16LE(0, 4)],
    ['reserved bytes of the header', (inner: Buffer) => inner.writeUInt8(1, 6)],
    ['reserved bytes behind the scheme length', (inner: Buffer) => inner.writeUInt8(1, 63)],
    ['reserved bytes of a disk', (inner: Buffer) => inner.writeUInt8(1, first + 10)],
    ['an unknown state', (inner: Buffer) => inner.writeUInt8(4, first + 2)],
    ['a room 0', (inner: Buffer) => inner.writeUInt8(0, first + 3)],
    ['a weight 0', (inner: Buffer) => inner.writeUInt32LE(0, first + 12)],
    ['disks out of order', (inner: Buffer) => inner.writeUInt16LE(9, first)],
    ['too many disks', (inner: Buffer) => inner.writeUInt32LE(0xffff_ffff, 12)],
    ['too few disks', (inner: Buffer) => inner.writeUInt32LE(1, 12)],
    ['a map version 0', (inner: Buffer) => inner.fill(0, 16, 24)],
    ['a scheme that is not UTF-8', (inner: Buffer) => inner.writeUInt8(0xff, 64)],
  ])('is CORRUPT with %s, even when the checksum is right', (_, change) => {
    expect(codeOfThrown(() => decodeDiskMap(forge(golden, change)))).toBe('CORRUPT');
  });
});

describe('a diskmap', () => {
  it('gets the next version with a new or changed disk and stays as it was itself', () => {
    const map = testMap(3);
    const next = withDisk(map, testDisk(2, { weight: 7 }));
    expect([next.version, next.disks.length, next.disks[1]?.weight]).toEqual([2, 3, 7]);
    expect([map.version, map.disks[1]?.weight]).toEqual([1, 100]);
    expect(() => Object.assign(map, { version: 9 })).toThrow();
  });

  it.each([
    ['the id 1', { disks: [testDisk(1), testDisk(1, { disk: 2, uuid: testUuid(2) })] }],
    ['the UUID', { disks: [testDisk(1), testDisk(2, { uuid: testUuid(1) })] }],
    ['the location 1.1.1.1.1', { disks: [testDisk(1), testDisk(2, { disk: 1 })] }],
    ['weight of disk 1 is 0', { disks: [testDisk(1, { weight: 0 })] }],
    ['disk id is 65536', { disks: [testDisk(65_536, { disk: 1 })] }],
    ['map version is 0', { version: 0 }],
    ['bucket size is 1.5', { bucketBytes: 1.5 }],
    ['scheme has 256 bytes', { scheme: 'x'.repeat(256) }],
    ['scheme is not valid Unicode', { scheme: '\ud800' }],
  ])('is refused when %s does not fit', (state, change) => {
    expect(() => createDiskMap({ ...testMap(1), ...change })).toThrow(state);
  });
});
