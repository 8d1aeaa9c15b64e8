import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as bucketId from './bucket-id.ts';

const uuid = '0b4d2c1e-9f7a-4c55-8a21-3f0e6d5c4b3a';
const byte = fc.integer({ min: 1, max: 255 });
const location = fc.record({
  room: byte,
  row: byte,
  rack: byte,
  machine: byte,
  disk: fc.integer({ min: 1, max: 65_535 }),
  bucket: fc.integer({ min: 0, max: 65_535 }),
});

function numbersOf(place: bucketId.BucketLocation): number[] {
  return [place.room, place.row, place.rack, place.machine, place.disk, place.bucket];
}

describe('bucket ids', () => {
  const tag = bucketId.volumeTag(uuid);

  it('are what they were in version 1', () => {
    const id = bucketId.encodeBucketId(tag, bucketId.parseLocation('1.1.1.3.2.117'));
    expect(id.subarray(8).toString('hex')).toBe('0101010300020075');
    expect(id.subarray(0, 8)).toEqual(tag);
  });

  it('survive encoding and text', () => {
    fc.assert(
      fc.property(location, (place) => {
        const decoded = bucketId.decodeBucketId(bucketId.encodeBucketId(tag, place));
        expect(decoded).toEqual({ tag, location: place });
        expect(bucketId.parseLocation(bucketId.formatLocation(place))).toEqual(place);
      }),
    );
  });

  it('sort as the tree does', () => {
    fc.assert(
      fc.property(location, location, (a, b) => {
        const [left, right] = [numbersOf(a), numbersOf(b)];
        const at = left.findIndex((number, index) => number !== right[index]);
        const order = at < 0 ? 0 : Math.sign((left[at] as number) - (right[at] as number));
        const ids = [bucketId.encodeBucketId(tag, a), bucketId.encodeBucketId(tag, b)] as const;
        expect(Buffer.compare(...ids)).toBe(order);
      }),
    );
  });

  it('differ between volumes, whatever the letters of the UUID', () => {
    const other = bucketId.volumeTag('0b4d2c1e-9f7a-4c55-8a21-3f0e6d5c4b3b');
    expect(other.equals(tag)).toBe(false);
    expect(() => bucketId.volumeTag(uuid.toUpperCase())).toThrow(/lower-case/);
  });

  it.each([
    '',
    '1.1.1.3.2',
    '1.1.1.3.2.117.1',
    '1.1.1.3.2.x',
    '01.1.1.3.2.117',
    '0.1.1.3.2.117',
    '256.1.1.3.2.117',
    '1.1.1.3.65536.117',
    '1.1.1.3.2.65536',
    '1.1.1.3.2.-1',
    ' 1.1.1.3.2.117',
  ])('refuse the text "%s"', (text) => {
    expect(() => bucketId.parseLocation(text)).toThrow(/Cannot/);
  });

  it('are CORRUPT with a zero where numbers begin at 1, or with a wrong length', () => {
    const id = bucketId.encodeBucketId(tag, bucketId.parseLocation('1.1.1.3.2.117'));
    expect(() => bucketId.decodeBucketId(id.subarray(1))).toThrow(/15 of 16/);
    id[8] = 0;
    expect(() => bucketId.decodeBucketId(id)).toThrow(/0.1.1.3.2.117 is no location/);
  });
});
