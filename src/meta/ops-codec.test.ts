import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { codeOfThrown, type DfsError } from '../base/errors.ts';
import type { ChunkId, Ino } from '../base/ids.ts';
import type { AttrPatch, ExtentRange, MetaOp } from './ops.ts';
import { decodeOp, encodeOp } from './ops-codec.ts';

const goldenFile = (version: number): Buffer =>
  readFileSync(new URL(`../../test/golden/operations-v${version}.bin`, import.meta.url));

function encode(...ops: MetaOp[]): Buffer {
  const out = new ByteWriter(16);
  for (const op of ops) encodeOp(out, op);
  return out.finish();
}

/** The bytes of the golden operation of a kind. */
function golden(wanted: MetaOp['kind']): Buffer {
  return encode(...GOLDEN_OPS.filter((op) => op.kind === wanted));
}

function decode(bytes: Buffer): MetaOp[] {
  const reader = new ByteReader(bytes, 'a test');
  const ops: MetaOp[] = [];
  while (reader.remaining > 0) ops.push(decodeOp(reader));
  return ops;
}

const chunkOf = (byte: number): ChunkId => Buffer.alloc(32, byte) as ChunkId;

/** One of every kind, all fields different; never to be changed, only added to. */
const GOLDEN_OPS: MetaOp[] = [
  {
    kind: 'create',
    parent: 1 as Ino,
    name: Buffer.from('größe'),
    ino: (2 ** 40 + 5) as Ino,
    mode: 0o120777,
    uid: 1000,
    gid: 0xffff_ffff,
    rdev: 0x0801,
    target: Buffer.from('../elsewhere'),
    time: { sec: 1_700_000_000, nsec: 999_999_999 },
  },
  {
    kind: 'link',
    parent: 2 as Ino,
    name: Buffer.from([0xff, 0xfe]),
    ino: 3 as Ino,
    time: { sec: -1, nsec: 1 },
  },
  { kind: 'unlink', parent: 4 as Ino, name: Buffer.from('a'), time: { sec: 0, nsec: 0 } },
  { kind: 'rmdir', parent: 5 as Ino, name: Buffer.from('b'), time: { sec: 1, nsec: 2 } },
  {
    kind: 'rename',
    parent: 6 as Ino,
    name: Buffer.from('old'),
    newParent: 7 as Ino,
    newName: Buffer.from('new name'),
    exchange: true,
    time: { sec: 3, nsec: 4 },
  },
  {
    kind: 'setattr',
    ino: 8 as Ino,
    change: {
      mode: 0o100644,
      uid: 9,
      gid: 10,
      atime: { sec: 11, nsec: 12 },
      mtime: { sec: 13, nsec: 14 },
    },
    time: { sec: 15, nsec: 16 },
  },
  { kind: 'setattr', ino: 17 as Ino, change: { gid: 18 }, time: { sec: 19, nsec: 20 } },
  { kind: 'truncate', ino: 21 as Ino, sizeBytes: 2 ** 44 - 4096, time: { sec: 22, nsec: 23 } },
  {
    kind: 'grow',
    ino: 24 as Ino,
    sizeBytes: 25,
    mtime: { sec: 26, nsec: 27 },
    ctime: { sec: 28, nsec: 29 },
  },
  {
    kind: 'setxattr',
    ino: 30 as Ino,
    name: Buffer.from('user.colour'),
    value: Buffer.from('blue\0'),
    time: { sec: 31, nsec: 32 },
  },
  {
    kind: 'removexattr',
    ino: 33 as Ino,
    name: Buffer.from('user.x'),
    time: { sec: 34, nsec: 35 },
  },
  { kind: 'reap', ino: 36 as Ino },
  { kind: 'chunk', chunk: chunkOf(37), lengthBytes: 4_194_304, scheme: 'ec:2+1' },
  {
    kind: 'extents',
    ino: 38 as Ino,
    ranges: [
      { offset: 2 ** 40, lengthBytes: 40, chunk: chunkOf(41), chunkOffset: 42 },
      { offset: 43, lengthBytes: 44, chunk: undefined, chunkOffset: 0 },
    ],
  },
  {
    kind: 'tmpfile',
    ino: 45 as Ino,
    mode: 0o100600,
    uid: 46,
    gid: 47,
    time: { sec: 48, nsec: 49 },
  },
  { kind: 'punch', ino: 50 as Ino, offset: 51, lengthBytes: 52, time: { sec: 53, nsec: 54 } },
  {
    kind: 'clone',
    ino: 55 as Ino,
    offset: 56,
    source: 57 as Ino,
    sourceOffset: 58,
    lengthBytes: 59,
    time: { sec: 60, nsec: 61 },
  },
  { kind: 'inline', chunk: chunkOf(62), content: Buffer.from('a page') },
  { kind: 'forget', chunk: chunkOf(63) },
];

const u32 = fc.nat(0xffff_ffff);
const u53 = fc.nat(Number.MAX_SAFE_INTEGER);
const ino = u53.map((value) => value as Ino);
const name = fc.uint8Array({ maxLength: 255 }).map((bytes) => Buffer.from(bytes));
const time = fc.record({
  sec: fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }),
  nsec: fc.nat(999_999_999),
});
const chunk = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes) as ChunkId);
const range: fc.Arbitrary<ExtentRange> = fc.oneof(
  fc.record({ offset: u53, lengthBytes: u53, chunk, chunkOffset: u32 }),
  fc.record({
    offset: u53,
    lengthBytes: u53,
    chunk: fc.constant(undefined),
    chunkOffset: fc.constant(0),
  }),
);
const change = fc.record(
  { mode: u32, uid: u32, gid: u32, atime: time, mtime: time },
  { requiredKeys: [] },
) as fc.Arbitrary<AttrPatch>;
const kind = <K extends MetaOp['kind']>(value: K): fc.Arbitrary<K> => fc.constant(value);

const anyOp: fc.Arbitrary<MetaOp> = fc.oneof(
  fc.record({
    kind: kind('create'),
    parent: ino,
    name,
    ino,
    mode: u32,
    uid: u32,
    gid: u32,
    rdev: u32,
    target: name,
    time,
  }),
  fc.record({ kind: kind('link'), parent: ino, name, ino, time }),
  fc.record({ kind: kind('unlink'), parent: ino, name, time }),
  fc.record({ kind: kind('rmdir'), parent: ino, name, time }),
  fc.record({
    kind: kind('rename'),
    parent: ino,
    name,
    newParent: ino,
    newName: name,
    exchange: fc.boolean(),
    time,
  }),
  fc.record({ kind: kind('setattr'), ino, change, time }),
  fc.record({ kind: kind('truncate'), ino, sizeBytes: u53, time }),
  fc.record({ kind: kind('grow'), ino, sizeBytes: u53, mtime: time, ctime: time }),
  fc.record({ kind: kind('setxattr'), ino, name, value: name, time }),
  fc.record({ kind: kind('removexattr'), ino, name, time }),
  fc.record({ kind: kind('reap'), ino }),
  fc.record({ kind: kind('tmpfile'), ino, mode: u32, uid: u32, gid: u32, time }),
  fc.record({ kind: kind('punch'), ino, offset: u53, lengthBytes: u53, time }),
  fc.record({
    kind: kind('clone'),
    ino,
    offset: u53,
    source: ino,
    sourceOffset: u53,
    lengthBytes: u53,
    time,
  }),
  fc.record({ kind: kind('inline'), chunk, content: name }),
  fc.record({ kind: kind('forget'), chunk }),
  fc.record({ kind: kind('chunk'), chunk, lengthBytes: u32, scheme: fc.string() }),
  fc.record({ kind: kind('extents'), ino, ranges: fc.array(range, { maxLength: 5 }) }),
);

describe('encodeOp() and decodeOp()', () => {
  test('give back every operation, also many in a row', () => {
    fc.assert(
      fc.property(fc.array(anyOp, { maxLength: 4 }), (ops) => {
        expect(decode(encode(...ops))).toEqual(ops);
      }),
      { numRuns: 400 },
    );
  });

  test('write a decoded operation as it was: there is one encoding of each', () => {
    fc.assert(
      fc.property(anyOp, fc.nat(), fc.nat(7), (op, at, bit) => {
        const bytes = encode(op);
        const place = at % bytes.length;
        bytes[place] = (bytes[place] ?? 0) ^ (1 << bit);
        let decoded: MetaOp[];
        try {
          decoded = decode(bytes);
        } catch (error) {
          expect((error as DfsError).code).toBe('CORRUPT');
          return;
        }
        // Text that is no UTF-8 is the exception: a scheme is checked by who parses it.
        if (decoded.some(({ kind: known }) => known === 'chunk')) return;
        expect(encode(...decoded)).toEqual(bytes);
      }),
      { numRuns: 1000 },
    );
  });

  test('every truncation is CORRUPT', () => {
    for (const op of GOLDEN_OPS) {
      const bytes = encode(op);
      for (let length = 0; length < bytes.length; length++) {
        const cut = new ByteReader(bytes.subarray(0, length), 'a test');
        expect(codeOfThrown(() => decodeOp(cut))).toBe('CORRUPT');
      }
    }
  });

  test('an unknown tag is CORRUPT', () => {
    const known = new Set(GOLDEN_OPS.map((op) => encode(op)[0]));
    expect([...known]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]);
    for (let tag = 0; tag < 256; tag++) {
      if (known.has(tag)) continue;
      expect(codeOfThrown(() => decode(Buffer.alloc(200, tag)))).toBe('CORRUPT');
    }
  });

  test('flags, masks, extent types and times out of range are CORRUPT', () => {
    const exchange = golden('rename');
    exchange[exchange.length - 13] = 2;
    const nsec = golden('unlink');
    nsec.writeUInt32LE(1_000_000_000, nsec.length - 4);
    const mask = encode({ kind: 'setattr', ino: 1 as Ino, change: {}, time: { sec: 0, nsec: 0 } });
    mask[9] = 32;
    const range = golden('extents');
    range[range.length - 1] = 2;
    for (const bytes of [exchange, nsec, mask, range]) {
      expect(codeOfThrown(() => decode(bytes))).toBe('CORRUPT');
    }
  });

  test('the operations of version 1 are read', () => {
    expect(decode(goldenFile(1))).toEqual(GOLDEN_OPS.slice(0, -1));
  });

  test('those of version 2 are read, and written to the byte', () => {
    expect(decode(goldenFile(2))).toEqual(GOLDEN_OPS);
    expect(encode(...GOLDEN_OPS).equals(goldenFile(2))).toBe(true);
  });
});
