import { randomFillSync } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { blake3 } from '@napi-rs/blake-hash';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Epoch } from '../base/ids.ts';
import { MIB } from '../base/limits.ts';
import { listSnapshots, removeSnapshots } from './snapshot-files.ts';
import { readSnapshot, readSnapshotHeader } from './snapshot-reader.ts';
import { writeSnapshot } from './snapshot-writer.ts';

const golden = (version: number): URL =>
  new URL(`../../test/golden/snapshot-v${version}.bin`, import.meta.url);

/** Length of the header. */
const HEAD = 120;

const header = {
  volumeTag: Buffer.from('0102030405060708', 'hex'),
  epoch: 7 as Epoch,
  incarnation: 3,
  recordId: blake3('epoch 7'),
  cutTimeMs: 1_700_000_000_123,
};

let folder: string;
let source: string;
let target: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dfs-snapshot-'));
  source = join(folder, 'source');
  target = join(folder, 'target');
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** Half of it compresses, half does not. */
function content(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes, 'pages of a database ');
  randomFillSync(bytes, sizeBytes >> 1);
  return bytes;
}

async function written(bytes: Buffer): Promise<string> {
  await writeFile(source, bytes);
  return (await writeSnapshot({ folder, header, source })).path;
}

describe('snapshot', () => {
  test.each([0, 1, MIB - 1, MIB, MIB + 1, 7 * MIB + 12_345])('%i bytes come back', async (size) => {
    const bytes = content(size);
    const path = await written(bytes);
    const read = await readSnapshot({ path, targetPath: target, volumeTag: header.volumeTag });
    expect(read).toEqual({ ...header, contentBytes: size });
    expect((await readFile(target)).equals(bytes)).toBe(true);
    expect(await readSnapshotHeader(path)).toEqual(read);
    expect((await readdir(folder)).sort()).toEqual(['snapshot-000000000007', 'source', 'target']);
  });

  test('the size that is answered is the size of the file, and it is compressed', async () => {
    await writeFile(source, Buffer.alloc(3 * MIB, 'a'));
    const { path, sizeBytes } = await writeSnapshot({ folder, header, source });
    expect((await stat(path)).size).toBe(sizeBytes);
    expect(sizeBytes).toBeLessThan(MIB);
  });

  test.each([
    [1, undefined],
    [2, header.cutTimeMs],
  ])('the golden snapshot of version %i is read', async (version, cutTimeMs) => {
    const read = await readSnapshot({ path: fileURLToPath(golden(version)), targetPath: target });
    expect(read).toEqual({ ...header, cutTimeMs, contentBytes: 1000 });
    expect((await readFile(target)).equals(Buffer.alloc(1000, 'golden '))).toBe(true);
  });

  test('every truncation and every bit flip is detected, and leaves no target', async () => {
    const good = await readFile(await written(Buffer.from('small enough to try every bit')));
    const path = join(folder, 'damaged');
    const refused = async (bytes: Buffer): Promise<void> => {
      await writeFile(path, bytes);
      const reading = readSnapshot({ path, targetPath: target });
      await expect(reading).rejects.toMatchObject({ code: 'CORRUPT' });
    };
    for (let length = 0; length < good.length; length++) await refused(good.subarray(0, length));
    for (let bit = 0; bit < good.length * 8; bit++) {
      const copy = Buffer.from(good);
      copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      await refused(copy);
    }
    await refused(Buffer.concat([good, Buffer.of(0)]));
    expect((await readdir(folder)).includes('target')).toBe(false);
  });

  test('a flipped bit anywhere in a large one is detected', async () => {
    const good = await readFile(await written(content(3 * MIB + 77)));
    const path = join(folder, 'damaged');
    const flip = fc.nat(good.length * 8 - 1);
    await fc.assert(
      fc.asyncProperty(flip, async (bit) => {
        const copy = Buffer.from(good);
        copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        await writeFile(path, copy);
        const reading = readSnapshot({ path, targetPath: target });
        await expect(reading).rejects.toMatchObject({ code: 'CORRUPT' });
      }),
      { numRuns: 25 },
    );
  });

  test('two frames that changed places are detected', async () => {
    const good = await readFile(await written(Buffer.alloc(2 * MIB, 'a')));
    const frameBytes = 48 + good.readUInt32LE(HEAD + 12);
    const first = good.subarray(HEAD, HEAD + frameBytes);
    const second = good.subarray(HEAD + frameBytes, HEAD + 2 * frameBytes);
    expect(second.readUInt32LE(4)).toBe(1);
    const path = join(folder, 'swapped');
    const rest = good.subarray(HEAD + 2 * frameBytes);
    await writeFile(path, Buffer.concat([good.subarray(0, HEAD), second, first, rest]));
    await expect(readSnapshot({ path, targetPath: target })).rejects.toThrow(/another index/);
  });

  test("another volume's, a later version's and a misnamed one are refused", async () => {
    const path = await written(content(100));
    const volumeTag = Buffer.alloc(8, 9);
    const foreign = readSnapshot({ path, targetPath: target, volumeTag });
    await expect(foreign).rejects.toMatchObject({ code: 'FOREIGN' });
    const bytes = await readFile(path);
    const misnamed = join(folder, 'snapshot-000000000008');
    await writeFile(misnamed, bytes);
    await expect(readSnapshotHeader(misnamed)).rejects.toThrow(/is of epoch 7/);
    bytes.writeUInt16LE(3, 4);
    blake3(bytes.subarray(0, HEAD - 32)).copy(bytes, HEAD - 32);
    await writeFile(path, bytes);
    await expect(readSnapshotHeader(path)).rejects.toMatchObject({ code: 'NEWER_FORMAT' });
  });

  test('a source that is not there leaves nothing behind', async () => {
    await expect(written(content(10)).then(() => rm(source))).resolves.toBeUndefined();
    const failing = writeSnapshot({ folder, header: { ...header, epoch: 8 as Epoch }, source });
    await expect(failing).rejects.toMatchObject({ code: 'IO' });
    expect(await readdir(folder)).toEqual(['snapshot-000000000007']);
  });

  test('those that are not kept go, and leftovers, but never the newest', async () => {
    await writeFile(source, content(10));
    for (const epoch of [5, 30, 100, 7] as Epoch[]) {
      await writeSnapshot({ folder, header: { ...header, epoch }, source });
    }
    await writeFile(join(folder, 'snapshot-000000000200.0a1b2c3d.tmp'), 'half');
    expect(await removeSnapshots(folder, (epoch) => epoch === 30)).toEqual([100, 30]);
    expect((await listSnapshots(folder)).map(({ epoch }) => epoch)).toEqual([100, 30]);
    expect(await readdir(folder)).toHaveLength(3);
    expect(await removeSnapshots(folder, () => false)).toEqual([100]);
    expect(await listSnapshots(join(folder, 'nowhere'))).toEqual([]);
  });
});
