import { readFile } from 'node:fs/promises';
import { blake3 } from '@napi-rs/blake-hash';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { codeOfThrown } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import type { SlotBallot, SlotCopy } from './slot-format.ts';
import { compareBallots, NO_BALLOT } from './slot-format.ts';
import { decodeSlot } from './slot-reader.ts';
import { encodeSlot, type SlotOwner } from './slot-writer.ts';

const GOLDEN = new URL('../../test/golden/slot-v1.bin', import.meta.url);
const OWNER: SlotOwner = {
  volumeTag: Buffer.from('d15ca11ab1e5eed5', 'hex'),
  diskId: 258 as DiskId,
};

const anyBallot: fc.Arbitrary<SlotBallot> = fc.record({
  map: fc.integer({ min: 1, max: 2 ** 53 - 1 }),
  counter: fc.integer({ min: 0, max: 2 ** 53 - 1 }),
  incarnation: fc.integer({ min: 0, max: 2 ** 53 - 1 }),
});

const anyContent = fc.option(
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  { nil: undefined },
);

const anyCopy: fc.Arbitrary<SlotCopy> = fc
  .record({
    path: fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }),
    ballots: fc.tuple(anyBallot, anyBallot),
    content: anyContent,
    isAccepted: fc.boolean(),
  })
  .map(({ path, ballots, content, isAccepted }) => {
    const [ballot, promised] = [...ballots].sort(compareBallots) as [SlotBallot, SlotBallot];
    const version = { counter: ballot.counter, incarnation: ballot.incarnation };
    const accepted = isAccepted ? { ballot, state: { version, content } } : undefined;
    return { path, promised, accepted };
  });

test('a slot reads as it was written, by its owner only', () => {
  fc.assert(
    fc.property(anyCopy, (copy) => {
      const bytes = encodeSlot(OWNER, copy);
      expect(decodeSlot(bytes, OWNER)).toEqual(copy);
      const others = [
        { ...OWNER, diskId: 7 as DiskId },
        { ...OWNER, volumeTag: Buffer.alloc(8) },
      ];
      for (const other of others) {
        expect(codeOfThrown(() => decodeSlot(bytes, other))).toBe('FOREIGN');
      }
    }),
  );
});

test('decodeSlot() notices every truncation, every flipped bit and what is left over', () => {
  fc.assert(
    fc.property(anyCopy, (copy) => {
      const bytes = encodeSlot(OWNER, copy);
      for (let length = 0; length < bytes.length; length++) {
        expect(codeOfThrown(() => decodeSlot(bytes.subarray(0, length), OWNER))).toBe('CORRUPT');
      }
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const harmed = Buffer.from(bytes);
        harmed[bit >> 3] = (harmed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(codeOfThrown(() => decodeSlot(harmed, OWNER))).toBe('CORRUPT');
      }
      const longer = Buffer.concat([bytes, Buffer.of(0)]);
      expect(codeOfThrown(() => decodeSlot(longer, OWNER))).toBe('CORRUPT');
    }),
    { numRuns: 20 },
  );
});

/** The bytes with another header, sealed as if it were meant. */
function resealed(bytes: Buffer, change: (header: Buffer) => void): Buffer {
  const changed = Buffer.from(bytes);
  change(changed);
  blake3(changed.subarray(0, 128)).copy(changed, 128);
  return changed;
}

test('what contradicts itself is CORRUPT, and a later version NEWER_FORMAT', () => {
  const ballot = { map: 3, counter: 4, incarnation: 5 };
  const state = { version: { counter: 4, incarnation: 5 }, content: Buffer.from('x') };
  const bytes = encodeSlot(OWNER, { path: 'a', promised: ballot, accepted: { ballot, state } });
  const code = (change: (header: Buffer) => void): unknown =>
    codeOfThrown(() => decodeSlot(resealed(bytes, change), OWNER));
  expect(code(() => undefined)).toBeUndefined();
  expect(code((header) => header.writeUInt16LE(2, 4))).toBe('NEWER_FORMAT');
  expect(code((header) => header.writeUInt8(0, 18))).toBe('CORRUPT');
  expect(code((header) => header.writeUInt8(2, 18))).toBe('CORRUPT');
  expect(code((header) => header.writeUInt8(3, 18))).toBe('CORRUPT');
  expect(code((header) => header.writeUInt8(1, 19))).toBe('CORRUPT');
  expect(code((header) => header.writeUInt16LE(0, 20))).toBe('CORRUPT');
  expect(code((header) => header.writeUInt32LE(2, 32))).toBe('CORRUPT');
});

test('the golden slot of version 1 is read, and written to the byte', async () => {
  const golden = await readFile(GOLDEN);
  const copy: SlotCopy = {
    path: 'cluster/leases/shard-7',
    promised: { map: 12, counter: 345, incarnation: 0x1f_ffff_ffff_ffff },
    accepted: {
      ballot: { map: 12, counter: 344, incarnation: 987_654_321 },
      state: {
        version: { counter: 340, incarnation: 123_456_789 },
        content: Buffer.from('held by node 3 until epoch 4711\n'),
      },
    },
  };
  expect(decodeSlot(golden, OWNER)).toEqual(copy);
  expect(encodeSlot(OWNER, copy)).toEqual(golden);
});

test('ballots are in the order of map, counter and incarnation', () => {
  const ordered: SlotBallot[] = [
    NO_BALLOT,
    { map: 1, counter: 9, incarnation: 9 },
    { map: 2, counter: 1, incarnation: 7 },
    { map: 2, counter: 1, incarnation: 8 },
    { map: 2, counter: 2, incarnation: 1 },
  ];
  expect([...ordered].reverse().sort(compareBallots)).toEqual(ordered);
});
