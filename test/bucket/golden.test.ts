import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { DiskId } from '../../src/base/ids.ts';
import { BucketDisk, type BucketPiece } from '../../src/bucket/mod.ts';
import { encodePieces, hashChunk, parseScheme } from '../../src/chunk/mod.ts';
import { bucketPath, openDisk, temporaryFolder } from './fixture.ts';

const GOLDEN = new URL('../golden/bucket-v1.bin', import.meta.url);
const OWNER = { volumeTag: Buffer.from('d15ca11ab1e5eed5', 'hex'), diskId: 258 as DiskId };

async function goldenPieces(): Promise<BucketPiece[]> {
  const pieces: BucketPiece[] = [];
  for (const [text, bytes] of [
    ['replica:3', 100],
    ['ec:2+1', 333],
    ['replica:1', 1],
  ] as const) {
    const scheme = parseScheme(text);
    const content = Buffer.alloc(bytes, `${text} `);
    const chunkId = hashChunk(content);
    const payloads = await encodePieces(scheme, content);
    const pieceIndex = payloads.length - 1;
    const payload = payloads[pieceIndex] ?? content;
    pieces.push({ bucket: 4660, chunkId, pieceIndex, scheme, chunkBytes: bytes, payload });
  }
  return pieces;
}

test('a bucket of version 1 is read, and written today as it was then', async () => {
  const golden = await readFile(GOLDEN);
  const pieces = await goldenPieces();
  const folder = await temporaryFolder();
  const writer = await openDisk(folder, OWNER);
  await writer.append(pieces);
  await writer.close();
  expect((await readFile(bucketPath(folder, 4660))).equals(golden)).toBe(true);

  const old = await temporaryFolder();
  await mkdir(join(old, 'buckets'));
  await writeFile(bucketPath(old, 4660), golden);
  const reader = await BucketDisk.open({ folder: old, ...OWNER, readOnly: true });
  for (const piece of pieces) {
    const { payload, scheme, chunkBytes } = piece;
    const stored = await reader.read(piece);
    expect(stored).toMatchObject({ scheme, chunkBytes });
    expect(stored?.payload.equals(payload)).toBe(true);
  }
  expect(reader.damage).toEqual([]);
  await reader.close();
});
