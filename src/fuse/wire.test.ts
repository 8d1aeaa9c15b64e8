import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { Ino } from '../base/ids.ts';
import type { Attr } from '../vfs/mod.ts';
import { EntryPacker, forEachLookup } from './entry-packer.ts';
import { encodeDeleteEntry, encodeInvalidateEntry, encodeInvalidateInode } from './notifier.ts';
import { RequestView } from './request.ts';
import { negotiate, putInitOut, readInitOffer } from './session.ts';
import {
  getI64,
  getU64,
  putAttr,
  putAttrOut,
  putDirent,
  putEntry,
  putNoEntry,
  putOpen,
  putStatFs,
  putU64,
} from './wire.ts';
import { putStatx } from './wire-statx.ts';

const CACHE = { entry: 60, attr: 30, negative: 10 };
const ATTR: Attr = {
  ino: 0x1_0000_0005 as Ino,
  mode: 0o100644,
  nlink: 3,
  uid: 1000,
  gid: 1001,
  rdev: 0x801,
  sizeBytes: 0x12_0000_0034,
  blocks: 77,
  atimeSec: 1,
  atimeNsec: 999_999_999,
  mtimeSec: -2,
  mtimeNsec: 5,
  ctimeSec: 0x1_0000_0000,
  ctimeNsec: 6,
  btimeSec: 0,
  btimeNsec: 0,
};

/** A request as the kernel sends it: header, then `body`. */
function requestOf(opcode: number, body: Buffer, unique = 2n, ino = 1n): RequestView {
  const view = new RequestView(4096);
  const length = 40 + body.length;
  view.buffer.fill(0xee);
  view.buffer.writeUInt32LE(length, 0);
  view.buffer.writeUInt32LE(opcode, 4);
  view.buffer.writeBigUInt64LE(unique, 8);
  view.buffer.writeBigUInt64LE(ino, 16);
  view.buffer.writeUInt32LE(1000, 24);
  view.buffer.writeUInt32LE(1001, 28);
  view.buffer.writeUInt32LE(4242, 32);
  view.buffer.writeUInt32LE(0, 36);
  body.copy(view.buffer, 40);
  view.load(length);
  return view;
}

describe('integers', () => {
  test('64-bit integers survive a round trip as two words', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        const buffer = Buffer.alloc(8);
        putU64(buffer, 0, value);
        expect(buffer.readBigInt64LE(0)).toBe(BigInt(value));
        expect(getI64(buffer, 0)).toBe(value);
        if (value >= 0) expect(getU64(buffer, 0)).toBe(value);
      }),
    );
  });
});

describe('replies', () => {
  test('attributes lie where struct fuse_attr has them', () => {
    const at = Buffer.alloc(88, 0xee);
    putAttr(at, 0, ATTR);
    expect(at.readBigUInt64LE(0)).toBe(0x1_0000_0005n);
    expect(at.readBigUInt64LE(8)).toBe(0x12_0000_0034n);
    expect(at.readBigUInt64LE(16)).toBe(77n);
    expect(at.readBigInt64LE(24)).toBe(1n);
    expect(at.readBigInt64LE(32)).toBe(-2n);
    expect(at.readBigInt64LE(40)).toBe(0x1_0000_0000n);
    const words = [48, 52, 56, 60, 64, 68, 72, 76, 80, 84].map((offset) => at.readUInt32LE(offset));
    expect(words).toEqual([999_999_999, 5, 6, 0o100644, 3, 1000, 1001, 0x801, 4096, 0]);
  });

  test('statx carries the time of birth and the device in two numbers', () => {
    const at = Buffer.alloc(288, 0xee);
    const attr = { ...ATTR, btimeSec: 12, btimeNsec: 13, rdev: 0xabc1_23ef };
    expect(putStatx(at, 0, attr, CACHE)).toBe(288);
    expect([getU64(at, 0), getU64(at, 8), at.readUInt32LE(32)]).toEqual([30, 0, 0xfff]);
    expect([48, 52, 56].map((offset) => at.readUInt32LE(offset))).toEqual([3, 1000, 1001]);
    expect([at.readUInt16LE(60), at.readUInt16LE(62)]).toEqual([0o100644, 0]);
    expect([64, 72, 80, 88].map((offset) => getU64(at, offset))).toEqual([
      ATTR.ino,
      ATTR.sizeBytes,
      77,
      0,
    ]);
    expect([96, 112, 128, 144].map((offset) => getI64(at, offset))).toEqual([1, 12, 2 ** 32, -2]);
    expect([120, 160, 164, 168].map((offset) => at.readUInt32LE(offset))).toEqual([
      13, 0x123, 0xa_bcef, 0,
    ]);
  });

  test('an entry carries its timeouts, a missing name inode 0', () => {
    const at = Buffer.alloc(128, 0xee);
    expect(putEntry(at, 0, ATTR, CACHE)).toBe(128);
    expect([getU64(at, 0), getU64(at, 8), getU64(at, 16), getU64(at, 24)]).toEqual([
      ATTR.ino,
      0,
      60,
      30,
    ]);
    expect(getU64(at, 32)).toBe(0);
    expect(getU64(at, 40)).toBe(ATTR.ino);
    expect(putNoEntry(at, 0, 10)).toBe(128);
    expect(getU64(at, 16)).toBe(10);
    expect(at.readUInt32LE(40 + 60)).toBe(0);
    expect(getU64(at, 0)).toBe(0);
    expect(putAttrOut(at, 0, ATTR, CACHE)).toBe(104);
    expect([getU64(at, 0), getU64(at, 8), getU64(at, 16)]).toEqual([30, 0, ATTR.ino]);
  });

  test('open and statfs replies have their lengths and flags', () => {
    const at = Buffer.alloc(80, 0xee);
    expect(putOpen(at, 0, { keepCache: true, noFlush: true })).toBe(16);
    expect([getU64(at, 0), at.readUInt32LE(8), at.readUInt32LE(12)]).toEqual([0, 0x22, 0]);
    // The kernel refuses KEEP_CACHE beside PASSTHROUGH.
    const passed = { keepCache: true, noFlush: true, handle: 1 };
    putOpen(at, 0, { ...passed, backing: { id: 7, isDirect: false } });
    expect([getU64(at, 0), at.readUInt32LE(8), at.readUInt32LE(12)]).toEqual([1, 0xa0, 7]);
    putOpen(at, 0, { ...passed, backing: { id: 7, isDirect: true } });
    expect(at.readUInt32LE(8)).toBe(0xa1);
    const stat = {
      blockBytes: 4096,
      blocks: 10,
      blocksFree: 9,
      blocksAvailable: 8,
      files: 7,
      filesFree: 6,
      nameBytesMax: 255,
    };
    expect(putStatFs(at, 0, stat)).toBe(80);
    expect([0, 8, 16, 24, 32].map((offset) => getU64(at, offset))).toEqual([10, 9, 8, 7, 6]);
    expect([40, 44, 48, 52].map((offset) => at.readUInt32LE(offset))).toEqual([4096, 255, 4096, 0]);
  });

  test('directory entries are padded to eight bytes with zeros', () => {
    const at = Buffer.alloc(64, 0xee);
    expect(putDirent(at, 0, { ino: 9, type: 8, cookie: 4, name: Buffer.from('abc') })).toBe(32);
    expect([getU64(at, 0), getU64(at, 8), at.readUInt32LE(16), at.readUInt32LE(20)]).toEqual([
      9, 4, 3, 8,
    ]);
    expect(at.subarray(24, 33)).toEqual(Buffer.from('abc\0\0\0\0\0\xee', 'latin1'));
  });

  test('a packer stops at its end, goes on in its own buffer, and knows its lookups', () => {
    const buffer = Buffer.alloc(1024, 0xee);
    const packer = new EntryPacker({ buffer, start: 16, bytes: 400, cache: CACHE });
    const name = Buffer.from('n');
    expect(packer.sinkPlus(name, 1 as Ino, 4, 1, undefined)).toBe(true);
    packer.detach();
    buffer.fill(0);
    expect(packer.sinkPlus(name, ATTR.ino, 8, 2, ATTR)).toBe(true);
    expect(packer.sinkPlus(name, ATTR.ino, 8, 3, ATTR)).toBe(false);
    expect(packer.length).toBe(320);
    const lookups: number[] = [];
    forEachLookup(packer.packed(), (ino) => lookups.push(ino));
    expect(lookups).toEqual([ATTR.ino]);
    expect(getU64(packer.packed(), 128)).toBe(1);
  });
});

describe('requests', () => {
  test('the header gives the context, and bit 63 of the unique says resent', () => {
    const request = requestOf(
      1,
      Buffer.from('name\0'),
      (1n << 63n) | 0x2_0000_0004n,
      0x3_0000_0007n,
    );
    expect(request.ino).toBe(0x3_0000_0007);
    expect(request.context).toEqual({
      uid: 1000,
      gid: 1001,
      pid: 4242,
      umask: 0,
      unique: 0x2_0000_0004,
      resent: true,
    });
    expect([request.uniqueLow, request.uniqueHigh]).toEqual([4, 0x8000_0002]);
    expect(request.name(40).toString()).toBe('name');
  });

  test('a length that is not the header is refused, and so is reading behind the end', () => {
    const request = requestOf(1, Buffer.from('name'));
    expect(() => request.load(30)).toThrow('Cannot take a request: it has 30 bytes');
    expect(() => request.load(43)).toThrow('Cannot take a request');
    expect(() => request.name(40)).toThrow('at least');
    expect(() => request.u32(44)).toThrow('at least 48 are needed');
    expect(() => request.u64(40)).toThrow('at least 48 are needed');
    expect(() => request.bytes(40, 5)).toThrow('at least 45 are needed');
    expect(() => request.attrChange()).toThrow('at least 128 are needed');
  });

  test('SETATTR gives only the fields of its mask', () => {
    const body = Buffer.alloc(88);
    const put = (valid: number): RequestView => {
      body.writeUInt32LE(valid, 0);
      return requestOf(4, body);
    };
    body.writeBigUInt64LE(0x5_0000_0000n, 16); // size
    body.writeBigInt64LE(-1n, 32); // atime
    body.writeBigUInt64LE(7n, 40); // mtime
    body.writeUInt32LE(11, 56); // atimensec
    body.writeUInt32LE(12, 60); // mtimensec
    body.writeUInt32LE(0o100600, 68); // mode
    body.writeUInt32LE(21, 76); // uid
    body.writeUInt32LE(22, 80); // gid
    expect(put(0).attrChange()).toEqual({});
    expect(put(0x1 | 0x2 | 0x4 | 0x8).attrChange()).toEqual({
      mode: 0o100600,
      uid: 21,
      gid: 22,
      sizeBytes: 0x5_0000_0000,
    });
    expect(put(0x10 | 0x20).attrChange()).toEqual({
      atime: { sec: -1, nsec: 11 },
      mtime: { sec: 7, nsec: 12 },
    });
    expect(put(0x10 | 0x20 | 0x80 | 0x100 | 0x800).attrChange()).toEqual({
      atime: 'now',
      mtime: 'now',
      killSuidGid: true,
    });
  });
});

describe('negotiation', () => {
  function offer(minor: number, flags: number, flags2: number): Buffer {
    const body = Buffer.alloc(64);
    [7, minor, 131072, flags >>> 0, flags2].forEach((word, i) => body.writeUInt32LE(word, i * 4));
    return requestOf(26, body).buffer;
  }

  test('a current kernel gets 1 MiB requests, resend, passthrough and maps', () => {
    const negotiated = negotiate(readInitOffer(offer(45, 0xffff_ffff, 0xffff_ffff), 104));
    expect(negotiated).toMatchObject({ minor: 40, flags2: 0xb0, maxWriteBytes: 1 << 20 });
    const out = Buffer.alloc(64, 0xee);
    expect(putInitOut(out, 0, negotiated ?? expect.fail())).toBe(64);
    expect([out.readUInt32LE(0), out.readUInt32LE(4), out.readUInt32LE(20)]).toEqual([
      7,
      40,
      1 << 20,
    ]);
    expect([out.readUInt16LE(16), out.readUInt16LE(18), out.readUInt16LE(28)]).toEqual([
      64, 48, 256,
    ]);
    expect([out.readUInt32LE(24), out.readUInt32LE(32)]).toEqual([1, 0xb0]);
    const stackDepth = 1;
    expect(out.readUInt32LE(36)).toBe(stackDepth);
    expect(out.subarray(40).every((byte) => byte === 0)).toBe(true);
    const flags = out.readUInt32LE(12);
    // Locks, O_TRUNC, write-back, opens without a request.
    const refused = [1, 3, 10, 12, 16, 17, 19];
    for (const bit of refused) expect(flags & (1 << bit)).toBe(0);
    const keepsListings = 24;
    expect(flags & (1 << keepsListings)).not.toBe(0);
  });

  test('an older kernel gets what it offers and no more', () => {
    const old = negotiate(readInitOffer(offer(27, 0x1, 0xffff_ffff), 56));
    expect(old).toMatchObject({ minor: 27, flags: 1, flags2: 0, maxWriteBytes: 128 * 1024 });
    expect(negotiate(readInitOffer(offer(22, 0xffff_ffff, 0), 104))).toBeUndefined();
  });
});

describe('notifications', () => {
  test('messages carry their code, unique 0 and names that end with a NUL', () => {
    const inode = encodeInvalidateInode(5 as Ino, -1, 0);
    expect([inode.length, inode.readUInt32LE(0), inode.readInt32LE(4)]).toEqual([40, 40, 2]);
    expect([getU64(inode, 8), getU64(inode, 16), getI64(inode, 24)]).toEqual([0, 5, -1]);
    const entry = encodeInvalidateEntry(6 as Ino, Buffer.from('ab'));
    expect([entry.length, entry.readInt32LE(4), getU64(entry, 16)]).toEqual([35, 3, 6]);
    expect([entry.readUInt32LE(24), entry.toString('latin1', 32)]).toEqual([2, 'ab\0']);
    const gone = encodeDeleteEntry(6 as Ino, 7 as Ino, Buffer.from('ab'));
    expect([gone.length, gone.readInt32LE(4), getU64(gone, 24)]).toEqual([43, 6, 7]);
    expect([gone.readUInt32LE(32), gone.toString('latin1', 40)]).toEqual([2, 'ab\0']);
  });
});
