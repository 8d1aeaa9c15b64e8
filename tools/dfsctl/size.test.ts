import fc from 'fast-check';
import { expect, test } from 'vitest';
import { UsageError } from './report.ts';
import { parseSize } from './size.ts';

test.each([
  ['64GiB', 64 * 2 ** 30],
  ['10GB', 10e9],
  ['512MiB', 512 * 2 ** 20],
  ['1.5TiB', 1.5 * 2 ** 40],
  ['7kib', 7 * 1024],
  ['1048576', 2 ** 20],
  ['1048576B', 2 ** 20],
  ['0.5KiB', 512],
])('parseSize() reads %s', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each([
  '',
  'GiB',
  '64G',
  '-1GiB',
  '0',
  '0GiB',
  '1.5',
  '1e3',
  '1 GiB',
  ' 1',
  '1GiB ',
  '9999999PiB',
])('parseSize() refuses "%s" and shows what would do', (text) => {
  expect(() => parseSize(text)).toThrow(UsageError);
  expect(() => parseSize(text)).toThrow(/^Cannot use ".*" as a size: .*64GiB/);
});

test('parseSize() reads every whole number of bytes, and no text makes it answer nonsense', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (bytes) => {
      expect(parseSize(String(bytes))).toBe(bytes);
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        const bytes = parseSize(text);
        expect(Number.isSafeInteger(bytes) && bytes > 0).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
      }
    }),
  );
});
