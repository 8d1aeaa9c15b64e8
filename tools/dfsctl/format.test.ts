import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatBytes, formatDuration, formatTable, plain, styleFor } from './format.ts';

test.each([
  [0, '0 bytes'],
  [1, '1 byte'],
  [1023, '1023 bytes'],
  [1024, '1 KiB'],
  [1536, '1.5 KiB'],
  [2 ** 20 - 1, '1 MiB'],
  [123.4 * 2 ** 30, '123 GiB'],
  [64 * 2 ** 40, '64 TiB'],
  [5000 * 2 ** 50, '5000 PiB'],
])('formatBytes(%d) is "%s"', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test.each([
  [0, '0 ms'],
  [999.4, '999 ms'],
  [1000, '1 s'],
  [4210, '4.2 s'],
  [99_900, '99.9 s'],
  [100_000, '1 min 40 s'],
  [3_600_000, '1 h'],
  [7_800_000, '2 h 10 min'],
  [3 * 86_400_000 + 3_600_000, '3 d 1 h'],
])('formatDuration(%d) is "%s"', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test('formatBytes() is never off by more than its last digit', () => {
  const factors: Record<string, number> = {
    byte: 1,
    bytes: 1,
    KiB: 2 ** 10,
    MiB: 2 ** 20,
    GiB: 2 ** 30,
    TiB: 2 ** 40,
    PiB: 2 ** 50,
  };
  fc.assert(
    fc.property(fc.maxSafeNat(), (bytes) => {
      const [value = '', unit = ''] = formatBytes(bytes).split(' ');
      const shown = Number(value) * (factors[unit] ?? Number.NaN);
      expect(Math.abs(shown - bytes)).toBeLessThanOrEqual(Math.max(bytes * 0.051, 0));
    }),
  );
});

test('formatTable() aligns columns and leaves no trailing spaces', () => {
  const columns = [
    { heading: 'A' },
    { heading: 'SIZE', align: 'right' as const },
    { heading: 'B' },
  ];
  const rows = [
    ['x', '10', 'y'],
    ['long', '2', ''],
  ];
  expect(formatTable(columns, rows)).toEqual(['A     SIZE  B', 'x       10  y', 'long     2']);
});

test('colours are for terminals without NO_COLOR only', () => {
  expect(styleFor({ isTTY: true }, {}).bad('x')).toBe('\x1b[31mx\x1b[0m');
  expect(styleFor({ isTTY: true }, { NO_COLOR: '1' })).toBe(plain);
  expect(styleFor({ isTTY: true }, { NO_COLOR: '' }).bad('x')).not.toBe('x');
  expect(styleFor({ isTTY: true }, { TERM: 'dumb' })).toBe(plain);
  expect(styleFor({}, {})).toBe(plain);
});
