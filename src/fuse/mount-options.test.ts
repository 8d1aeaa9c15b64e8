import { expect, test } from 'vitest';
import { flagBits, flagWords, parseMountOptions } from './mount-options.ts';

test('lists of options are read, the later counts', () => {
  expect(parseMountOptions(['ro,nosuid', 'rw,noatime'])).toEqual({
    readOnly: false,
    noSuid: true,
    noAtime: true,
  });
  expect(parseMountOptions(['noatime,relatime'])).toEqual({ noAtime: false });
  expect(parseMountOptions(['default_permissions'])).toEqual({});
  expect(parseMountOptions([])).toEqual({});
});

test.each(['strictatime', 'ro,', '', 'RO', 'ro=1'])('"%s" is no list of options', (list) => {
  expect(() => parseMountOptions([list])).toThrow(/^Cannot mount with "-o .*": it can be ro, rw/);
});

test('options become bits for the kernel and words for a helper', () => {
  const flags = parseMountOptions(['ro,nosuid,nodev,noexec,noatime,allow_other']);
  expect(flagBits(flags)).toBe(1 | 2 | 4 | 8 | 1024);
  expect(flagWords(flags)).toEqual(['ro', 'nosuid', 'nodev', 'noexec', 'noatime']);
  expect(flagBits(parseMountOptions(['rw,relatime']))).toBe(0);
});
