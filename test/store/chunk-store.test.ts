import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DfsError } from '../../src/base/errors.ts';
import type { DiskId } from '../../src/base/ids.ts';
import { parseScheme, pieceCount, pieceKeysOf } from '../../src/chunk/mod.ts';
import { withDeadline } from '../../src/store/mod.ts';
import { chunkOf, diskFolders, openDisks, placerOf, storeOf } from './fixture.ts';
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
    const session = writer.session();
    await session.putMany(chunks);
    expect(await session.sync()).toEqual([]);
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
    const session = store.session();
    await session.put(chunk);
    expect(await session.sync()).toEqual([]);
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
    await store.session().put(chunk);
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
  await expect(store.session().put(chunk)).rejects.toMatchObject(refused);
  expect([first?.appendCount, second?.appendCount]).toEqual([0, 0]);
});

test('a disk that fails a write is down and its pieces go to the others', async () => {
  const disks = memoryDisks(4);
  const store = storeOf(disks);
  const chunks = Array.from({ length: 40 }, (_, at) => chunkOf(at, 3000, parseScheme('replica:2')));
  disks[1]?.failing.set('append', ioError);
  const session = store.session();
  await session.putMany(chunks);
  const health = await store.health();
  expect(health.map(({ status }) => status)).toEqual(['up', 'down', 'up', 'up']);
  expect(health[1]?.reason).toBe('Cannot write: EIO');
  expect(disks[1]?.appendCount).toBe(0);
  expect(await session.sync()).toEqual([]);
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
  await store.session().putMany(before);
  disks[0]?.failing.set('append', new DfsError('NO_SPACE', 'Cannot write: ENOSPC'));
  const after = Array.from({ length: 10 }, (_, at) => chunkOf(100 + at, 3000, scheme));
  await store.session().putMany(after);
  expect((await store.health()).map(({ status }) => status)).toEqual(['full', 'up', 'up']);
  disks[0]?.failing.clear();
  for (const chunk of [...before, ...after]) await store.get(chunk);
  expect(store.counters.degradedReads).toBe(0);
  const pieces = before.flatMap(({ id }) => pieceKeysOf(id, scheme));
  expect(await store.removeUnneeded(pieces, () => false)).toBe(2 * before.length);
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
    await store.session().putMany(chunks);
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
  await expect(store.session().put(chunkOf(1, 3000, scheme))).rejects.toMatchObject({
    code: 'NO_SPACE',
  });
  for (const disk of disks.slice(1)) {
    disk.failing.set('find', new DfsError('UNAVAILABLE', 'Cannot use the disk: EIO'));
  }
  await store.health();
  const refused = store.session().put(chunkOf(3, 3000, scheme));
  await expect(refused).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});

test('a disk whose sync fails is down, and putting again finds other disks', async () => {
  const disks = memoryDisks(3);
  const store = storeOf(disks);
  const chunks = Array.from({ length: 20 }, (_, at) => chunkOf(at, 3000, parseScheme('replica:2')));
  const session = store.session();
  await session.putMany(chunks);
  disks[2]?.failing.set('sync', ioError);
  expect(await session.sync()).toEqual([3]);
  const again = store.session();
  await again.putMany(chunks);
  expect(await again.sync()).toEqual([]);
  for (const chunk of chunks) {
    const pieces = await store.locate(chunk);
    expect(pieces.map(({ health }) => health)).toEqual(['ok', 'ok']);
    expect(pieces.map(({ diskId }) => diskId)).not.toContain(3);
  }
});

test('a disk that does not answer in time is down', async () => {
  const disks = memoryDisks(3);
  const silent = new MemoryDisk();
  silent.append = () => new Promise(() => undefined);
  silent.find = () => new Promise(() => undefined);
  const store = storeOf([disks[0], withDeadline(silent, 'disk 2', 20), disks[2]]);
  const chunks = Array.from({ length: 10 }, (_, at) => chunkOf(at, 3000, parseScheme('replica:2')));
  await store.session().putMany(chunks);
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
      await store.session().put(chunk);
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
  const session = store.session();
  await session.putMany(chunks);
  expect(await session.sync()).toEqual([]);
  await store.close();
  const again = storeOf(await openDisks(folders));
  await rm(folders[1] ?? '', { recursive: true });
  for (const chunk of chunks) {
    expect((await again.get(chunk)).equals(chunk.content)).toBe(true);
  }
});

test('useMap() places by the new map, and waits for puts that the old one placed', async () => {
  const disks = memoryDisks(4);
  const store = storeOf(disks, 2);
  const scheme = parseScheme('replica:2');
  const chunks = Array.from({ length: 20 }, (_, at) => chunkOf(at, 3000, scheme));
  const old = chunks.slice(0, 10);
  await store.session().putMany(old);
  let isPut = false;
  const put = store
    .session()
    .putMany(chunks.slice(10, 12))
    .then(() => {
      isPut = true;
    });
  await store.useMap(placerOf(4));
  expect(isPut).toBe(true);
  await put;
  await store.session().putMany(chunks.slice(12));
  const placesOf = async (some: typeof chunks): Promise<Set<number | undefined>> => {
    const reports = await Promise.all(some.map((chunk) => store.locate(chunk)));
    return new Set(reports.flat().map(({ diskId }) => diskId));
  };
  expect(await placesOf(old)).toEqual(new Set([1, 2]));
  expect(await placesOf(chunks.slice(12))).toEqual(new Set([1, 2, 3, 4]));
  for (const chunk of chunks) {
    expect((await store.get(chunk)).equals(chunk.content)).toBe(true);
  }
});

test('a disk that is down is released, opened again and attached, and takes pieces', async () => {
  const folders = await diskFolders(2);
  const disks = await openDisks(folders);
  const store = storeOf(disks);
  const scheme = parseScheme('replica:2');
  const chunk = chunkOf(1, 3000, scheme);
  const session = store.session();
  await session.put(chunk);
  expect(await session.sync()).toEqual([]);
  const second = 2 as DiskId;
  await expect(store.release(second)).rejects.toMatchObject({ code: 'BUSY' });
  const gone = new DfsError('UNAVAILABLE', 'Cannot use the disk: it is gone');
  await expect(store.ask(second, () => Promise.reject(gone))).rejects.toBe(gone);
  expect((await store.health())[1]).toMatchObject({ status: 'down', reason: gone.message });
  expect(await store.ask(second, (disk) => disk.usage())).toBe(undefined);
  await store.release(second);
  expect((await store.health())[1]).toMatchObject({ status: 'down', reason: gone.message });
  const [, again] = await openDisks([`${folders[0]}-other`, folders[1] ?? '']);
  if (again === undefined) throw new Error('two disks');
  await store.attach(second, again);
  await expect(store.attach(second, again)).rejects.toMatchObject({ code: 'BUSY' });
  expect((await store.health())[1]).toMatchObject({ status: 'up', reason: '' });
  expect((await store.verify(chunk)).pieces.map(({ health }) => health)).toEqual(['ok', 'ok']);
  await store.session().put(chunkOf(2, 3000, scheme));
  await store.detach(second);
  expect((await store.health()).map(({ diskId }) => diskId)).toEqual([1]);
  await expect(again.usage()).rejects.toMatchObject({ code: 'CLOSED' });
});

test('a call to a disk that was replaced meanwhile says nothing of the new one', async () => {
  const [first, second] = memoryDisks(2);
  if (!first || !second) throw new Error('two disks');
  const store = storeOf([first]);
  const id = 1 as DiskId;
  let fail = (_error: DfsError): void => undefined;
  const late = store.ask(
    id,
    () =>
      new Promise<void>((_resolve, reject) => {
        fail = reject;
      }),
  );
  const gone = new DfsError('TIMEOUT', 'Cannot read: no answer');
  await expect(store.ask(id, () => Promise.reject(gone))).rejects.toBe(gone);
  await store.attach(id, second);
  fail(gone);
  await expect(late).rejects.toBe(gone);
  expect((await store.health()).map(({ status }) => status)).toEqual(['up']);
});

test('whoever listens hears of pieces that a read finds bad or missing', async () => {
  const disks = memoryDisks(3);
  const store = storeOf(disks);
  const scheme = parseScheme('ec:2+1');
  const chunk = chunkOf(1, 5000, scheme);
  await store.session().put(chunk);
  const heard: string[] = [];
  store.onTroubled(({ chunk: { id }, pieceIndex, diskId }) => {
    heard.push(`${id.equals(chunk.id)} ${pieceIndex} ${diskId}`);
  });
  await store.get(chunk);
  expect(heard).toEqual([]);
  const places = await store.locate(chunk);
  const [bad, missing] = places.map(({ diskId }) => diskId);
  const [first, second] = pieceKeysOf(chunk.id, scheme);
  if (!first || !second || !bad || !missing) throw new Error('three pieces');
  disks[bad - 1]?.flip(first);
  await store.get(chunk);
  expect(heard).toEqual([`true 0 ${bad}`]);
  // Known to be bad it is passed over, and told of again.
  await store.get(chunk);
  expect(heard).toEqual([`true 0 ${bad}`, `true 0 ${bad}`]);
  await disks[missing - 1]?.remove([second]);
  await expect(store.get(chunk)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(heard).toContain('true 1 undefined');
});
