import { readFile, writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DfsError } from '../../src/base/errors.ts';
import { type BucketPiece, recordBytes } from '../../src/bucket/mod.ts';
import { bucketPath, openDisk, removeIndex, replica, temporaryFolder } from './fixture.ts';

// Every test harms a copy of one small bucket file and asks for its pieces: right bytes, no piece,
// or an error are answers; wrong bytes are not.

const PIECES = [replica(1, 70), replica(2, 100), replica(3, 64)];

async function smallBucket(): Promise<{ folder: string; bytes: Buffer }> {
  const folder = await temporaryFolder();
  const disk = await openDisk(folder);
  await disk.append(PIECES);
  await disk.sync();
  await disk.close();
  return { folder, bytes: await readFile(bucketPath(folder)) };
}

type Answer = 'right' | 'missing' | 'CORRUPT' | 'FOREIGN' | 'NEWER_FORMAT';

async function answers(
  folder: string,
  pieces: readonly BucketPiece[],
): Promise<{ answers: Answer[]; damaged: boolean }> {
  const disk = await openDisk(folder);
  const result: Answer[] = [];
  for (const piece of pieces) {
    try {
      const stored = await disk.read(piece);
      if (stored !== undefined) expect(stored.payload.equals(piece.payload)).toBe(true);
      result.push(stored === undefined ? 'missing' : 'right');
    } catch (error) {
      if (!(error instanceof DfsError)) throw error;
      result.push(error.code as Answer);
    }
  }
  const damaged = disk.damage.length > 0;
  await disk.close();
  return { answers: result, damaged };
}

test('read() notices every flipped bit of a record, and the others stay right', async () => {
  const { folder, bytes } = await smallBucket();
  const disk = await openDisk(folder);
  const [first, second, third] = PIECES;
  if (!first || !second || !third) throw new Error('three pieces');
  const start = 64 + recordBytes(70);
  const end = start + recordBytes(100);
  for (let bit = start * 8; bit < end * 8; bit++) {
    const harmed = Buffer.from(bytes);
    harmed[bit >> 3] = (harmed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    await writeFile(bucketPath(folder), harmed, { flag: 'r+' });
    await expect(disk.read(second)).rejects.toMatchObject({
      code: 'CORRUPT',
      details: { diskId: 3, bucket: 1, offset: start, chunkId: second.chunkId.toString('hex') },
    });
  }
  expect((await disk.read(first))?.payload.equals(first.payload)).toBe(true);
  expect((await disk.read(third))?.payload.equals(third.payload)).toBe(true);
});

test('open() without an index notices flipped bits of headers', async () => {
  const { folder, bytes } = await smallBucket();
  const recordAt = 64 + recordBytes(70);
  // Each bit of the codecs is the matter of codecs.test.ts; here every 13th goes through open().
  const headerBits = [...Array(64 * 8).keys(), ...Array(128 * 8).keys()]
    .map((bit, at) => (at < 64 * 8 ? bit : recordAt * 8 + bit))
    .filter((_, at) => at % 13 === 0);
  for (const bit of headerBits) {
    const harmed = Buffer.from(bytes);
    harmed[bit >> 3] = (harmed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    await removeIndex(folder);
    await writeFile(bucketPath(folder), harmed);
    const found = await answers(folder, PIECES);
    expect(found.damaged).toBe(true);
    const second: Answer = bit < 64 * 8 ? 'right' : 'missing';
    expect(found.answers).toEqual(['right', second, 'right']);
  }
});

test('open() notices a truncation anywhere, with and without an index', async () => {
  const { folder, bytes } = await smallBucket();
  const index = await readFile(`${folder}/index.sqlite`);
  for (let length = 0; length < bytes.length; length += length % 64 === 63 ? 1 : 3) {
    for (const indexed of [true, false]) {
      await removeIndex(folder);
      if (indexed) await writeFile(`${folder}/index.sqlite`, index);
      await writeFile(bucketPath(folder), bytes.subarray(0, length));
      const found = await answers(folder, PIECES);
      let end = 64;
      const expected = PIECES.map(({ payload }) => {
        end += recordBytes(payload.length);
        return end <= length ? 'right' : 'missing';
      });
      expect([length, ...found.answers]).toEqual([length, ...expected]);
    }
  }
});

test('no random harm to file or index makes a disk answer with wrong bytes', async () => {
  const { folder, bytes } = await smallBucket();
  const index = await readFile(`${folder}/index.sqlite`);
  const harm = fc.array(fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) }), {
    maxLength: 20,
  });
  const apply = (target: Buffer, changes: { at: number; value: number }[]): Buffer => {
    const harmed = Buffer.from(target);
    for (const { at, value } of changes) harmed[at % harmed.length] = value;
    return harmed;
  };
  await fc.assert(
    fc.asyncProperty(harm, harm, async (inFile, inIndex) => {
      await removeIndex(folder);
      await writeFile(bucketPath(folder), apply(bytes, inFile));
      await writeFile(`${folder}/index.sqlite`, apply(index, inIndex));
      const { answers: found } = await answers(folder, PIECES);
      if (inFile.length === 0 && inIndex.length === 0)
        expect(found).toEqual(Array(3).fill('right'));
    }),
    { numRuns: 150 },
  );
});

test('a newer format is refused and left alone, a flipped version bit is damage', async () => {
  const { blake3 } = await import('@napi-rs/blake-hash');
  for (const [start, length] of [
    [0, 64],
    [64, 128],
  ] as const) {
    const { folder, bytes } = await smallBucket();
    const newer = Buffer.from(bytes);
    newer[start + 8] = 2;
    blake3(newer.subarray(start, start + length - 16)).copy(newer, start + length - 16, 0, 16);
    await removeIndex(folder);
    await writeFile(bucketPath(folder), newer);
    await expect(openDisk(folder)).rejects.toMatchObject({ code: 'NEWER_FORMAT' });
    expect((await readFile(bucketPath(folder))).equals(newer)).toBe(true);
  }
});
