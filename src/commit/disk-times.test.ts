import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { DiskId } from '../base/ids.ts';
import { type DiskTrouble, decodeTroubles, encodeTroubles } from './disk-times.ts';

const golden = readFileSync(new URL('../../test/golden/disks-v1.txt', import.meta.url));
const troubles = new Map<DiskId, DiskTrouble>([
  [3 as DiskId, { downSinceMs: 1_764_518_400_000 }],
  [5 as DiskId, { failedByHand: true }],
]);

test('the golden times of disks are read, and written to the byte', () => {
  expect(decodeTroubles(golden)).toEqual(troubles);
  expect(encodeTroubles(troubles)).toBe(golden.toString());
  expect(decodeTroubles(Buffer.from(encodeTroubles(new Map())))).toEqual(new Map());
});

test('every truncation and every flipped bit is detected', () => {
  for (let length = 0; length < golden.length; length++) {
    expect(() => decodeTroubles(golden.subarray(0, length))).toThrow(/checksum/);
  }
  for (let bit = 0; bit < golden.length * 8; bit++) {
    const bytes = Buffer.from(golden);
    bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    expect(() => decodeTroubles(bytes)).toThrow(/checksum/);
  }
});

test('what a later version wrote is not read', () => {
  const later = golden.toString().replace('"version":1', '"version":2');
  expect(() => decodeTroubles(Buffer.from(later))).toThrow();
});
