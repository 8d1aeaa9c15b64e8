import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blake3 } from '@napi-rs/blake-hash';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DiskId } from '../base/ids.ts';
import type { DiskIdentity } from './disk-identity-format.ts';
import { decodeDiskIdentity, readDiskIdentity } from './disk-identity-reader.ts';
import { encodeDiskIdentity, writeDiskIdentity } from './disk-identity-writer.ts';

const GOLDEN = new URL('../../test/golden/disk-identity-v1.bin', import.meta.url);

const identity: DiskIdentity = {
  volumeUuid: '00112233-4455-6677-8899-aabbccddeeff',
  diskUuid: 'fedcba98-7654-3210-fedc-ba9876543210',
  diskId: 513 as DiskId,
  createdMs: 1_700_000_000_123,
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dfs-identity-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe('disk identity', () => {
  test('what is written is read again, and nothing is there before', async () => {
    const path = join(folder, 'dfs', 'identity');
    expect(await readDiskIdentity(path)).toBeUndefined();
    await writeDiskIdentity(path, identity);
    expect(await readDiskIdentity(path)).toEqual(identity);
  });

  test('the golden identity of version 1 is read, and written to the byte', async () => {
    const golden = await readFile(GOLDEN);
    expect(decodeDiskIdentity(golden)).toEqual(identity);
    expect(encodeDiskIdentity(identity)).toEqual(golden);
  });

  test('every truncation and every bit flip is detected', () => {
    const bytes = encodeDiskIdentity(identity);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeDiskIdentity(bytes.subarray(0, length))).toThrow(/Cannot read/);
    }
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const copy = Buffer.from(bytes);
      copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => decodeDiskIdentity(copy)).toThrow(/Cannot read/);
    }
    expect(() => decodeDiskIdentity(Buffer.concat([bytes, Buffer.of(0)]))).toThrow(/left over/);
  });

  test('a later version says so, and errors name the file', async () => {
    const bytes = encodeDiskIdentity(identity);
    bytes.writeUInt16LE(2, 4);
    blake3(bytes.subarray(0, 56)).copy(bytes, 56);
    const path = join(folder, 'identity');
    await writeFile(path, bytes);
    await expect(readDiskIdentity(path)).rejects.toMatchObject({ code: 'NEWER_FORMAT' });
    await writeFile(path, bytes.subarray(0, 50));
    await expect(readDiskIdentity(path)).rejects.toThrow(path);
    await writeFile(path, '');
    await expect(readDiskIdentity(path)).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  test('a text that is no UUID is refused', () => {
    const bad = { ...identity, diskUuid: 'disk-1' };
    expect(() => encodeDiskIdentity(bad)).toThrow(/not a UUID/);
  });
});
