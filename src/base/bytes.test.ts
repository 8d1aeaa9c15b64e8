import { expect, test } from 'vitest';
import { ByteReader, ByteWriter } from './bytes.ts';

test('what is written while the writer grows is read again', () => {
  for (let capacity = 1; capacity < 64; capacity++) {
    const out = new ByteWriter(capacity);
    out
      .u8(1)
      .u16(2)
      .u32(3)
      .u53(2 ** 52 + 1)
      .i53(-5)
      .bytes(Buffer.from('abc'))
      .text('ü');
    out.raw(Buffer.alloc(100, 7));
    const from = new ByteReader(out.finish(), 'a test');
    expect([from.u8(), from.u16(), from.u32(), from.u53(), from.i53()]).toEqual([
      1,
      2,
      3,
      2 ** 52 + 1,
      -5,
    ]);
    expect(from.bytes().toString()).toBe('abc');
    expect(from.text()).toBe('ü');
    expect(from.raw(100)).toEqual(Buffer.alloc(100, 7));
    from.end();
  }
});

test('reading past the end, a length beyond it and left over bytes are corrupt', () => {
  expect(() => new ByteReader(Buffer.alloc(3), 'a test').u32()).toThrow('a test');
  expect(() => new ByteReader(Buffer.from([9, 0, 0, 0, 1]), 'a test').bytes()).toThrow('a test');
  expect(() => new ByteReader(Buffer.alloc(1), 'a test').end()).toThrow('left over');
  expect(() => new ByteReader(Buffer.alloc(8, 0xff), 'a test').u53()).toThrow('2^53');
});
