import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ChunkId, DiskId } from '../../src/base/ids.ts';
import { BucketDisk } from '../../src/bucket/mod.ts';
import { encodePieces, hashChunk, parseScheme } from '../../src/chunk/mod.ts';
import { readPieces } from './pieces.ts';

const volumeTag = Buffer.from('season!!');
const scheme = parseScheme('replica:2');

describe('readPieces()', () => {
  let folder = '';
  const ids: ChunkId[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dfs-pieces-'));
    ids.length = 0;
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const disks = [1, 2].map((id) => ({
    id,
    get folder(): string {
      return join(folder, String(id));
    },
  }));

  /** Two chunks of two copies each, on two disks, as HOME says. */
  async function store(): Promise<void> {
    const chunks = ['one', 'two'].map((text) => Buffer.alloc(5000, text));
    const database = new Database(join(folder, 'committed.sqlite'));
    database.exec('create table chunk (id blob, scheme text, refs integer)');
    for (const chunk of chunks) {
      const id = hashChunk(chunk);
      ids.push(id);
      database.prepare('insert into chunk values (?, ?, 1)').run(id, 'replica:2');
    }
    database.close();
    for (const { id, folder: place } of disks) {
      mkdirSync(join(place, 'dfs'), { recursive: true });
      const disk = await BucketDisk.open({
        folder: join(place, 'dfs'),
        volumeTag,
        diskId: id as DiskId,
        create: true,
      });
      for (const [at, chunk] of chunks.entries()) {
        const payload = (await encodePieces(scheme, chunk))[id - 1] as Buffer;
        const key = { chunkId: ids[at] as ChunkId, scheme, pieceIndex: id - 1 };
        await disk.append([{ ...key, bucket: 1, chunkBytes: chunk.length, payload }]);
      }
      await disk.sync();
      await disk.close();
    }
  }

  it('finds every piece that is there', async () => {
    await store();
    const found = await readPieces(folder, disks, volumeTag);
    expect(found).toMatchObject({ chunks: 2, missing: [], surplusBytes: 0, bytes: 20_000 });
  });

  it('misses what is on a disk that is not read', async () => {
    await store();
    expect((await readPieces(folder, disks.slice(1), volumeTag)).missing.length).toBe(2);
  });

  it('misses a piece with one wrong bit, and no other', async () => {
    await store();
    const path = join(folder, '1/dfs/buckets/00001');
    const bytes = readFileSync(path);
    bytes[bytes.indexOf('two') + 100] = 0;
    writeFileSync(path, bytes);
    const { missing } = await readPieces(folder, disks, volumeTag);
    expect(missing).toEqual([
      expect.stringContaining((ids[1] as Buffer).toString('hex').toUpperCase()),
    ]);
  });

  it('does not take a second copy on one disk for two', async () => {
    await store();
    const twice = disks.map(({ folder: place }) => ({ id: 1, folder: place }));
    expect((await readPieces(folder, twice, volumeTag)).missing.length).toBe(2);
  });
});
