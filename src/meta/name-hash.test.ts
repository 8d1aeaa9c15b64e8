import { expect, test } from 'vitest';
import { nameHash } from './name-hash.ts';

test('a name has the hash it always had', () => {
  const hashes = ['', 'a', 'b', 'ab', 'ba', 'Makefile', 'größe', 'x'.repeat(255)].map((name) =>
    nameHash(Buffer.from(name)).toString(16),
  );
  expect(hashes).toMatchInlineSnapshot(`
    [
      "11fd03688dd92",
      "a25258cafb368",
      "8f313a48db1fd",
      "c87301af0e6b9",
      "fe73126b88e57",
      "bbfb9d237a92e",
      "aa4444adc8cdf",
      "cb59be09e1c17",
    ]
  `);
});

test('a hash is a whole number below 2^52', () => {
  for (let byte = 0; byte < 256; byte++) {
    const hash = nameHash(Buffer.from([byte, 255 - byte]));
    expect(Number.isSafeInteger(hash) && hash >= 0 && hash < 2 ** 52).toBe(true);
  }
});

test('names that differ a little have different hashes', () => {
  const seen = new Set<number>();
  for (let index = 0; index < 50_000; index++) seen.add(nameHash(Buffer.from(`file-${index}`)));
  expect(seen.size).toBe(50_000);
});
