import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DfsError } from '../../src/base/errors.ts';
import type { DiskId } from '../../src/base/ids.ts';
import { parseScheme, pieceCount } from '../../src/chunk/mod.ts';
import { withDeadline } from '../../src/store/mod.ts';
import { chunkOf, diskFolders, openDisks, storeOf } from './fixture.ts';
import { MemoryDisk } from './memory-disk.ts';

const memoryDisks = (count: number): MemoryDisk[] =>
  Array.from({ length: count }, () => new MemoryDisk());
const ioError = new DfsError('IO', 'Cannot write: EIO');

for (const name of ['replica:2', 'ec:2+1']) {
  const scheme = parseScheme(name);

  test(`get() of ${name} returns every chunk when any 1 of 3 disks is gone`, async () => {
    const folders = await diskFolders(3);
    const chunks = [1, 2, 3, 4, 5, 6, 7, 8].map((seed) => chunkOf(seed, 1 + seed * 9000, scheme));
    const writer = storeOf(await openDisks(folders));
    await writer.putMany(chunks);
    expect(await writer.sync()).toEqual(new Set([1, 2, 3]));
    await writer.close();
    for (let lost = 0; lost < 3; lost++) {
      const disks = await openDisks(folders);
      await disks[lost]?.close();
      const reader = storeOf(disks.map((disk, at) => (at === lost ? undefined : disk)));
      for (const chunk of chunks) {
        expect((await reader.get(chunk)).equals(chunk.content)).toBe(true);
        const healths = (await reader.locate(chunk)).map(({ health }) => health);
        expect(new Set(healths).has('missing')).toBe(false);
        expect((await reader.verify(chunk)).readable).toBe(true);
      }
      expect((await reader.health()).map(({ status }) => status)[lost]).toBe('missing');
      await reader.close();
    }
  });

  test(`get() of ${name} returns the chunk past a flipped bit and counts the piece`, async () => {
    const folders = await diskFolders(3);
    const disks = await openDisks(folders);
    const store = storeOf(disks);
    const chunk = chunkOf(1, 50_000, scheme);
    await store.put(chunk);
    await store.sync();
    const [first] = await store.locate(chunk);
    const folder = join(folders[(first?.diskId ?? 1) - 1] ?? '', 'buckets');
    const [file] = await readdir(folder);
    const bytes = await readFile(join(folder, file ?? ''));
    bytes[5000] = (bytes[5000] ?? 0) ^ 32;
    await writeFile(join(folder, file ?? ''), bytes, { flag: 'r+' });
    expect((await store.get(chunk)).equals(chunk.content)).toBe(true);
    expect(store.counters).toEqual({ badPieces: 1, degradedReads: 1 });
    expect((await store.get(chunk)).equals(chunk.content)).toBe(true);
    expect(store.counters).toEqual({ badPieces: 1, degradedReads: 2 });
    expect((await store.locate(chunk))[0]).toEqual({ ...first, health: 'bad' });
    const bad = (await store.health()).map(({ badPieces }) => badPieces ?? 0);
    expect(bad.reduce((sum, count) => sum + count)).toBe(1);
    const report = await store.verify(chunk);
    expect(report.readable).toBe(true);
    const [bad0, ...others] = report.pieces.map(({ health }) => health);
    expect([bad0, new Set(others), others.length]).toEqual([
      'bad',
      new Set(['ok']),
      pieceCount(scheme) - 1,
    ]);
    await store.put(chunk);
    expect((await store.verify(chunk)).pieces.map(({ health }) => health)).not.toContain('bad');
    expect((await store.health()).map(({ badPieces }) => badPieces)).toEqual([0, 0, 0]);
  });
}

test('put() says how many disks are needed and which are down', async () => {
  const [first, second] = memoryDisks(2);
  const store = storeOf([first, second, undefined]);
  const chunk = chunkOf(1, 5000, parseScheme('ec:2+1'));
  const refused = {
    code: 'UNAVAILABLE',
    message: expect.stringMatching(
      /ec:2\+1 takes 3 disks, 2 can be used; disk 3 is missing/,
    ) as string,
  };
  await expect(store.put(chunk)).rejects.toMatchObject(refused);
  expect([first?.appendCount, second?.appendCount]).toEqual([0, 0]);
});

test('a disk that fails a write is down and its pieces go to the others', async () => {
  const disks = memoryDisks(4);
  const store = storeOf(disks);
  const chunks = Array.from({ length: 40 }, (_, at) => chunkOf(at, 3000, parseScheme('replica:2')));
  disks[1]?.failing.set('append', ioError);
  await store.putMany(chunks);
  const health = await store.health();
  expect(health.map(({ status }) => status)).toEqual(['up', 'down', 'up', 'up']);
  expect(health[1]?.reason).toBe('Cannot write: EIO');
  expect(disks[1]?.appendCount).toBe(0);
  expect(await store.sync()).toEqual(new Set([1, 3, 4]));
  for (const chunk of chunks) {
    const pieces = await store.locate(chunk);
    expect(pieces.map((piece) => piece.health)).toEqual(['ok', 'ok']);
    expect(new Set(pieces.map(({ diskId }) => diskId)).size).toBe(2);
    expect((await store.get(chunk)).equals(chunk.content)).toBe(true);
  }
});

test('a full disk takes no more pieces, still reads, and is up again after a removal', async () => {
  const disks = memoryDisks(3);
  const store = storeOf(disks);
  const scheme = parseScheme('replica:2');
  const before = Array.from({ length: 10 }, (_, at) => chunkOf(at, 3000, scheme));
  await store.putMany(before);
  disks[0]?.failing.set('append', new DfsError('NO_SPACE', 'Cannot write: ENOSPC'));
  const after = Array.from({ length: 10 }, (_, at) => chunkOf(100 + at, 3000, scheme));
  await store.putMany(after);
  expect((await store.health()).map(({ status }) => status)).toEqual(['full', 'up', 'up']);
  disks[0]?.failing.clear();
  for (const chunk of [...before, ...after]) await store.get(chunk);
  expect(store.counters.degradedReads).toBe(0);
  for (const chunk of before) expect(await store.remove(chunk)).toBe(2);
  expect((await store.health()).map(({ status }) => status)).toEqual(['up', 'up', 'up']);
  await expect(store.get(before[0] ?? chunkOf(0, 1, scheme))).rejects.toMatchObject({
    code: 'UNAVAILABLE',
  });
});

test('a full disk is tried again, later each time, and is up when it has taken a piece', async () => {
  let nowMs = 0;
  const disks = memoryDisks(3);
  const store = storeOf(disks, 3, () => nowMs);
  const scheme = parseScheme('replica:2');
  const [first] = disks;
  const full = new DfsError('NO_SPACE', 'Cannot write: ENOSPC');
  let next = 0;
  /** Stores some more, of which every disk would get a part: how the first disk is. */
  const putSome = async (): Promise<string | undefined> => {
    const chunks = Array.from({ length: 10 }, () => chunkOf(next++, 3000, scheme));
    await store.putMany(chunks);
    return (await store.health())[0]?.status;
  };
  first?.failing.set('append', full);
  expect(await putSome()).toBe('full');
  first?.failing.clear();
  expect(await putSome()).toBe('full');
  nowMs += 10_000;
  first?.failing.set('append', full);
  expect(await putSome()).toBe('full');
  first?.failing.clear();
  nowMs += 19_999;
  expect(await putSome()).toBe('full');
  nowMs += 1;
  expect(await putSome()).toBe('up');
});

test('chunks that disks have no room for are NO_SPACE, if there were enough disks', async () => {
  const disks = memoryDisks(3);
  const store = storeOf(disks);
  const scheme = parseScheme('replica:2');
  for (const disk of disks.slice(0, 2)) {
    disk.failing.set('append', new DfsError('NO_SPACE', 'Cannot write: ENOSPC'));
  }
  await expect(store.put(chunkOf(1, 3000, scheme))).rejects.toMatchObject({ code: 'NO_SPACE' });
  for (const disk of disks.slice(1)) {
    disk.failing.set('sync', new DfsError('UNAVAILABLE', 'Cannot sync: EIO'));
  }
  await store.sync();
  const refused = store.put(chunkOf(3, 3000, scheme));
  await expect(refused).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});

test('a disk whose sync fails is down, and putting again finds other disks', async () => {
  const disks = memoryDisks(3);
  const store = storeOf(disks);
  const chunks = Array.from({ length: 20 }, (_, at) => chunkOf(at, 3000, parseScheme('replica:2')));
  await store.putMany(chunks);
  disks[2]?.failing.set('sync', ioError);
  expect(await store.sync()).toEqual(new Set([1, 2]));
  await store.putMany(chunks);
  expect(await store.sync()).toEqual(new Set([1, 2]));
  for (const chunk of chunks) {
    const pieces = await store.locate(chunk);
    expect(pieces.map(({ health }) => health)).toEqual(['ok', 'ok']);
    expect(pieces.map(({ diskId }) => diskId)).not.toContain(3);
  }
});

test('inService tells of a disk that went down with pieces that were never synced', async () => {
  const disks = memoryDisks(3);
  const store = storeOf(disks);
  const chunks = Array.from({ length: 20 }, (_, at) => chunkOf(at, 3000, parseScheme('replica:2')));
  await store.putMany(chunks);
  disks[0]?.failing.set('append', ioError);
  await store.putMany(chunks);
  expect(store.inService).toEqual([1, 2, 3]);
  expect(await store.sync()).toEqual(new Set([2, 3]));
  await store.putMany(chunks);
  expect(store.inService).toEqual([2, 3]);
  expect(await store.sync()).toEqual(new Set([2, 3]));
});

test('get() names the pieces that keep it from reading', async () => {
  const disks = memoryDisks(3);
  const store = storeOf(disks);
  const chunk = chunkOf(1, 5000, parseScheme('ec:2+1'));
  await expect(store.get(chunk)).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('0 of the 2 pieces that ec:2+1 needs could be read') as string,
  });
  await store.put(chunk);
  for (const { index, diskId } of (await store.locate(chunk)).slice(0, 2)) {
    disks[(diskId ?? 1) - 1]?.flip({ chunkId: chunk.id, scheme: chunk.scheme, pieceIndex: index });
  }
  for (let attempt = 0; attempt < 2; attempt++) {
    await expect(store.get(chunk)).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringMatching(/1 of the 2 pieces.*piece 0: .*piece 1: /) as string,
    });
  }
  expect((await store.verify(chunk)).readable).toBe(false);
});

test('a disk that does not answer in time is down', async () => {
  const disks = memoryDisks(3);
  const silent = new MemoryDisk();
  silent.append = () => new Promise(() => undefined);
  silent.find = () => new Promise(() => undefined);
  const store = storeOf([disks[0], withDeadline(silent, 'disk 2', 20), disks[2]]);
  const chunks = Array.from({ length: 10 }, (_, at) => chunkOf(at, 3000, parseScheme('replica:2')));
  await store.putMany(chunks);
  const health = await store.health();
  expect(health[1]).toMatchObject({
    status: 'down',
    reason: expect.stringContaining('20 ms') as string,
  });
  for (const chunk of chunks) {
    expect((await store.get(chunk)).equals(chunk.content)).toBe(true);
  }
});

test('get() returns right bytes or an error, whatever happens to pieces and disks', async () => {
  const event = fc.record({
    kind: fc.constantFrom('lose', 'flip', 'read error'),
    disk: fc.nat(4),
    piece: fc.nat(5),
  });
  const scheme = fc.constantFrom('replica:1', 'replica:3', 'ec:2+1', 'ec:3+2').map(parseScheme);
  const run = fc.asyncProperty(
    scheme,
    fc.integer({ min: 1, max: 20_000 }),
    fc.array(event, { maxLength: 6 }),
    async (chosen, bytes, events) => {
      const disks = memoryDisks(5);
      const store = storeOf(disks);
      const chunk = chunkOf(bytes, bytes, chosen);
      await store.put(chunk);
      const harmed = new Set<DiskId>();
      for (const { kind, disk, piece } of events) {
        const [target, diskId] = [disks[disk], (disk + 1) as DiskId];
        const at = (await store.locate(chunk)).find((one) => one.diskId === diskId);
        if (at === undefined || harmed.has(diskId) || piece > 4) continue;
        harmed.add(diskId);
        const key = { chunkId: chunk.id, scheme: chosen, pieceIndex: at.index };
        if (kind === 'lose') await target?.remove([key]);
        else if (kind === 'flip') target?.flip(key);
        else target?.failing.set('read', ioError);
      }
      const enough =
        pieceCount(chosen) - harmed.size >= (chosen.kind === 'ec' ? chosen.dataPieces : 1);
      if (enough) expect((await store.get(chunk)).equals(chunk.content)).toBe(true);
      else await expect(store.get(chunk)).rejects.toBeInstanceOf(DfsError);
      expect((await store.verify(chunk)).readable).toBe(enough);
    },
  );
  await fc.assert(run, { numRuns: 150 });
});

test('a store whose disk folder is deleted under it goes on with the others', async () => {
  const folders = await diskFolders(3);
  const store = storeOf(await openDisks(folders));
  const scheme = parseScheme('replica:2');
  const chunks = Array.from({ length: 12 }, (_, at) => chunkOf(at, 3000, scheme));
  await store.putMany(chunks);
  await store.sync();
  await store.close();
  const again = storeOf(await openDisks(folders));
  await rm(folders[1] ?? '', { recursive: true });
  for (const chunk of chunks) {
    expect((await again.get(chunk)).equals(chunk.content)).toBe(true);
  }
});
