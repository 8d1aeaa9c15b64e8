import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { DfsError } from '../../src/base/errors.ts';
import type { DiskId } from '../../src/base/ids.ts';
import type { BucketDisk } from '../../src/bucket/mod.ts';
import { hashChunk, parseScheme, pieceKeysOf } from '../../src/chunk/mod.ts';
import { diskPaths } from '../../src/commit/mod.ts';
import { homePaths } from '../../src/home/mod.ts';
import { fsck } from '../../src/node/fsck.ts';
import { PutSession } from '../../src/store/mod.ts';
import { VolumeRig } from './fixture.ts';

async function rigOf(options: { disks?: number; scheme?: string } = {}): Promise<VolumeRig> {
  const rig = await VolumeRig.create(options);
  onTestFinished(() => rig.remove());
  return rig;
}

/** Loses HOME's metadata and cache: what comes back comes from the disks. */
async function loseHome(rig: VolumeRig): Promise<void> {
  const { meta, committed, cache } = homePaths(rig.home);
  for (const path of [meta, committed]) {
    for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
  }
  for (const name of readdirSync(cache)) rmSync(join(cache, name), { recursive: true });
  await rig.open();
}

function logFile(rig: VolumeRig, disk: number): string {
  const folder = diskPaths(rig.disks[disk - 1] ?? '').meta;
  const last = readdirSync(folder)
    .filter((name) => name.startsWith('log-'))
    .sort()
    .at(-1);
  return join(folder, last ?? 'none');
}

function flip(path: string, fromEnd: number): void {
  const bytes = readFileSync(path);
  const at = bytes.length - fromEnd;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

/** Bytes like random ones that follow from `seed`. */
function bytesOf(seed: number, lengthBytes: number): Buffer {
  return createHash('shake256', { outputLength: lengthBytes }).update(`${seed}`).digest();
}

/** Harms every piece that has the first bytes of this content. */
function harmPieces(rig: VolumeRig, content: Buffer): void {
  for (const disk of rig.disks) {
    const folder = join(diskPaths(disk).root, 'buckets');
    for (const name of readdirSync(folder)) {
      const bytes = readFileSync(join(folder, name));
      const at = bytes.indexOf(content.subarray(0, 1000));
      if (at >= 0) flip(join(folder, name), bytes.length - at - 500);
    }
  }
}

const ONE = bytesOf(1, 50_000);
const TWO = bytesOf(2, 50_000);
/** Too much for a record that has all of its epoch. */
const LARGE = bytesOf(3, 300_000);

describe('a published epoch', () => {
  test.each(['replica:2', 'replica:3', 'ec:2+1'])(
    'survives the loss of HOME (%s)',
    async (scheme) => {
      const rig = await rigOf({ scheme });
      await rig.file('a', ONE);
      expect(await rig.committer.commit()).toBe(1);
      await rig.file('b', TWO);
      expect(await rig.committer.commit()).toBe(2);
      await rig.file('never committed', ONE);
      await rig.crash();
      await loseHome(rig);
      expect(rig.volume.head.epoch).toBe(2);
      expect(rig.committedNames()).toEqual(['a', 'b']);
      expect(await rig.content('a')).toEqual(ONE);
      expect(await rig.content('b')).toEqual(TWO);
      expect(rig.volume.committed.inconsistencies()).toEqual([]);
    },
  );

  test('stores the same content once', async () => {
    const rig = await rigOf();
    await rig.file('a', ONE);
    await rig.file('b', ONE);
    await rig.committer.commit();
    await rig.file('c', ONE);
    await rig.committer.commit();
    expect(rig.volume.committed.totals()).toMatchObject({
      chunks: 1,
      chunkBytes: ONE.length,
      extentBytes: 3 * ONE.length,
    });
    let pieces = 0;
    for (const { buckets } of rig.volume.disks) pieces += (await buckets?.usage())?.pieces ?? 0;
    expect(pieces).toBe(2);
  });

  test('costs one parallel round of syncs, each touched file once', async () => {
    const rig = await rigOf();
    const ino = await rig.file('a', ONE);
    await rig.committer.commit();
    for (let round = 0; round < 5; round++) {
      await rig.write(ino, 4096 * round, bytesOf(100 + round, 4096));
      const counts = (): number[][] =>
        rig.volume.disks.map((disk) => [
          disk.log?.syncCount ?? 0,
          (disk.buckets as BucketDisk).syncCount,
        ]);
      const before = counts();
      const files = rig.disks.map((disk) => readdirSync(join(diskPaths(disk).root, 'buckets')));
      await rig.committer.commit();
      const after = counts();
      let pieces = 0;
      for (const [at, [logBefore = 0, bucketBefore = 0]] of before.entries()) {
        const [logAfter = 0, bucketAfter = 0] = after[at] ?? [];
        expect(logAfter - logBefore).toBe(1);
        const now = readdirSync(join(diskPaths(rig.disks[at] ?? '').root, 'buckets'));
        // A bucket's first piece makes a file, whose folder is synced beside it.
        const isNew = now.length > (files[at]?.length ?? 0);
        if (bucketAfter > bucketBefore) pieces++;
        expect(bucketAfter - bucketBefore).toBeLessThanOrEqual(isNew ? 2 : 1);
      }
      expect(pieces).toBe(2);
    }
  });
});

describe('an epoch that was not published', () => {
  test('is not taken when its pieces do not verify', async () => {
    const rig = await rigOf();
    await rig.file('a', ONE);
    await rig.committer.commit();
    await rig.file('b', TWO);
    await rig.committer.commit();
    await rig.crash();
    harmPieces(rig, TWO);
    await loseHome(rig);
    expect(rig.volume.head.epoch).toBe(1);
    expect(rig.committedNames()).toEqual(['a']);
    expect(rig.volume.head.nextEpoch).toBe(3);
    await rig.file('c', ONE);
    expect(await rig.committer.commit()).toBe(3);
    await rig.crash();
    await loseHome(rig);
    expect(rig.committedNames()).toEqual(['a', 'c']);
  });

  test('is passed over by the next one, which has what it had', async () => {
    const rig = await rigOf();
    await rig.file('a', ONE);
    await rig.committer.commit();
    await rig.file('b', TWO);
    // Record and pieces are on all disks, but one of them says that they may not be.
    const sync = vi.spyOn(PutSession.prototype, 'sync').mockResolvedValueOnce([1 as DiskId]);
    await expect(rig.committer.commit()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    sync.mockRestore();
    await rig.file('c', ONE);
    expect(await rig.committer.commit()).toBe(3);
    expect(rig.committedNames()).toEqual(['a', 'b', 'c']);
    await rig.crash();
    await loseHome(rig);
    expect(rig.volume.head.epoch).toBe(3);
    expect(await rig.content('b')).toEqual(TWO);
    expect(rig.volume.committed.inconsistencies()).toEqual([]);
  });

  test('with its record on one disk only is taken when all of it verifies', async () => {
    const rig = await rigOf();
    await rig.file('a', ONE);
    await rig.committer.commit();
    await rig.crash();
    const sizes = [1, 2, 3].map((disk) => readFileSync(logFile(rig, disk)).length);
    await rig.open();
    await rig.file('b', TWO);
    await rig.committer.commit();
    await rig.crash();
    for (const disk of [2, 3]) truncateSync(logFile(rig, disk), sizes[disk - 1]);
    await loseHome(rig);
    expect(rig.committedNames()).toEqual(['a', 'b']);
    await rig.file('c', ONE);
    await rig.committer.commit();
    await rig.crash();
    // Those that did not have it got a snapshot, and do without the first disk now.
    renameSync(rig.disks[0] ?? '', `${rig.disks[0]}-gone`);
    await loseHome(rig);
    expect(rig.committedNames()).toEqual(['a', 'b', 'c']);
    expect(await rig.content('b')).toEqual(TWO);
  });

  test('and is taken with a piece less gets that piece again', async () => {
    const rig = await rigOf();
    await rig.file('a', ONE);
    await rig.committer.commit();
    await rig.file('b', LARGE);
    await rig.committer.commit();
    const chunk = { id: hashChunk(LARGE), scheme: parseScheme('replica:2') };
    const isWhole = async (): Promise<boolean> =>
      (await rig.volume.chunks.locate(chunk)).every(({ health }) => health === 'ok');
    expect(await isWhole()).toBe(true);
    const removals = rig.volume.disks.map(
      ({ buckets }) =>
        () =>
          buckets?.remove([{ chunkId: chunk.id, scheme: chunk.scheme, pieceIndex: 0 }]),
    );
    for (const remove of removals) await remove();
    expect(await isWhole()).toBe(false);
    await rig.crash();
    await loseHome(rig);
    expect(rig.committedNames()).toEqual(['a', 'b']);
    expect(await isWhole()).toBe(true);
  });
});

describe('a disk', () => {
  test('that fails its sync fails the commit, and the next one does without it', async () => {
    const rig = await rigOf();
    await rig.file('a', ONE);
    await rig.committer.commit();
    const broken = rig.volume.disks[0]?.buckets;
    if (broken === undefined) throw new Error('there is a disk');
    vi.spyOn(broken, 'sync').mockRejectedValue(new DfsError('UNAVAILABLE', 'Cannot sync: EIO'));
    await rig.file('b', TWO);
    await expect(rig.committer.commit()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(rig.cache.dirtyBytes).toBeGreaterThanOrEqual(TWO.length);
    await rig.committer.commit();
    expect(rig.cache.dirtyBytes).toBe(0);
    vi.restoreAllMocks();
    await rig.crash();
    renameSync(rig.disks[0] ?? '', `${rig.disks[0]}-gone`);
    await loseHome(rig);
    expect(await rig.content('a')).toEqual(ONE);
    expect(await rig.content('b')).toEqual(TWO);
  });

  test('whose log fails takes no more records, the others do', async () => {
    const rig = await rigOf();
    const log = rig.volume.disks[1]?.log;
    if (log === undefined) throw new Error('there is a log');
    vi.spyOn(log, 'appendSynced').mockRejectedValue(new DfsError('IO', 'Cannot write: EIO'));
    await rig.file('a', ONE);
    expect(await rig.committer.commit()).toBe(1);
    const [, second] = rig.volume.disks;
    expect(second && rig.volume.hardware.logFailure(second.entry.id)).toContain('EIO');
    vi.restoreAllMocks();
    await rig.crash();
    await loseHome(rig);
    expect(rig.committedNames()).toEqual(['a']);
  });

  test('too few of which take the record fail the commit, and nothing is lost', async () => {
    const rig = await rigOf();
    for (const disk of rig.volume.disks.slice(1)) {
      if (disk.log === undefined) throw new Error('there is a log');
      vi.spyOn(disk.log, 'appendSynced').mockRejectedValue(new DfsError('IO', 'Cannot write: EIO'));
    }
    await rig.file('a', ONE);
    await expect(rig.committer.commit()).rejects.toThrow('1 of 2 disks took its record');
    vi.restoreAllMocks();
    await rig.reopen();
    expect(await rig.content('a')).toEqual(ONE);
    await rig.committer.commit();
    expect(rig.committedNames()).toEqual(['a']);
  });

  test('that was away is caught up, also when it knows of another epoch of the same number', async () => {
    const rig = await rigOf();
    await rig.file('a', ONE);
    await rig.committer.commit();
    // Epoch 2 of this life is on the first disk alone, and on no disk whole.
    for (const disk of rig.volume.disks.slice(1)) {
      if (disk.log === undefined) throw new Error('there is a log');
      vi.spyOn(disk.log, 'appendSynced').mockRejectedValue(new DfsError('IO', 'Cannot write: EIO'));
    }
    await rig.file('b', TWO);
    await expect(rig.committer.commit()).rejects.toThrow('1 of 2');
    vi.restoreAllMocks();
    await rig.reopen({ without: [1] });
    await rig.file('c', ONE);
    expect(await rig.committer.commit()).toBe(2);
    await rig.reopen();
    const first = diskPaths(rig.disks[0] ?? '').meta;
    expect(readdirSync(first)).toContain('snapshot-000000000002');
    await rig.file('d', ONE);
    expect(await rig.committer.commit()).toBe(3);
    expect(rig.committedNames()).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('damage', () => {
  test('of one log leaves the others', async () => {
    const rig = await rigOf();
    for (const name of ['a', 'b', 'c']) {
      await rig.file(name, bytesOf(name.charCodeAt(0), 10_000));
      await rig.committer.commit();
    }
    await rig.crash();
    flip(logFile(rig, 1), 3);
    flip(logFile(rig, 2), readFileSync(logFile(rig, 2)).length - 200);
    await loseHome(rig);
    expect(rig.volume.head.epoch).toBe(3);
    expect(rig.committedNames()).toEqual(['a', 'b', 'c']);
  });

  test('of an old chunk costs its file, and no epoch', async () => {
    const rig = await rigOf();
    for (const [name, content] of [
      ['a', ONE],
      ['b', TWO],
    ] as const) {
      await rig.file(name, content);
      await rig.committer.commit();
    }
    await rig.file('c', bytesOf(3, 10_000));
    await rig.committer.commit();
    await rig.crash();
    harmPieces(rig, TWO);
    harmPieces(rig, bytesOf(3, 10_000));
    await loseHome(rig);
    // The last one may never have been published; the one before it was, as the last one names it.
    expect(rig.volume.head.epoch).toBe(2);
    expect(await rig.content('a')).toEqual(ONE);
    await expect(rig.content('b')).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  test('of one snapshot leaves the others', async () => {
    const rig = await rigOf();
    await rig.file('a', ONE);
    await rig.committer.commit();
    await rig.crash();
    for (const disk of rig.disks.slice(0, 2)) {
      flip(join(diskPaths(disk).meta, 'snapshot-000000000000'), 20);
    }
    await loseHome(rig);
    expect(rig.committedNames()).toEqual(['a']);
  });

  test('of all snapshots is an error that says so', async () => {
    const rig = await rigOf();
    await rig.crash();
    for (const disk of rig.disks) {
      flip(join(diskPaths(disk).meta, 'snapshot-000000000000'), 20);
    }
    await expect(loseHome(rig)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    for (const disk of rig.disks) {
      flip(join(diskPaths(disk).meta, 'snapshot-000000000000'), 20);
    }
    await rig.open();
    expect(rig.volume.head.epoch).toBe(0);
  });

  test.each(['gone', 'garbage', 'empty'])('of committed.sqlite is made good (%s)', async (how) => {
    const rig = await rigOf();
    await rig.file('a', ONE);
    await rig.committer.commit();
    await rig.crash();
    const { committed } = homePaths(rig.home);
    for (const suffix of ['', '-wal', '-shm']) rmSync(committed + suffix, { force: true });
    if (how === 'garbage') writeFileSync(committed, bytesOf(1, 30_000));
    if (how === 'empty') writeFileSync(committed, '');
    await rig.open();
    expect(rig.committedNames()).toEqual(['a']);
    await rig.file('b', TWO);
    expect(await rig.committer.commit()).toBe(2);
  });
});

test('a HOME older than the snapshots on its disks goes on from them', async () => {
  const rig = await rigOf();
  await rig.file('a', ONE);
  await rig.committer.commit();
  await rig.crash();
  const old = `${rig.home}-old`;
  cpSync(rig.home, old, { recursive: true });
  await rig.open();
  for (const name of ['b', 'c', 'd']) {
    await rig.file(name, TWO);
    await rig.committer.commit();
    // A snapshot on every disk each time; the log before the oldest kept one goes.
    const { committed } = homePaths(rig.home);
    await rig.crash();
    for (const disk of rig.disks) {
      const { meta } = diskPaths(disk);
      for (const file of readdirSync(meta)) if (file.startsWith('log-')) rmSync(join(meta, file));
    }
    expect(existsSync(committed)).toBe(true);
    await rig.open();
  }
  await rig.crash();
  rmSync(rig.home, { recursive: true });
  renameSync(old, rig.home);
  await rig.open();
  expect(rig.volume.head.epoch).toBe(4);
  expect(rig.committedNames()).toEqual(['a', 'b', 'c', 'd']);
  expect(await rig.content('d')).toEqual(TWO);
});

describe('a chunk that is stored anew under another scheme', () => {
  test('is read by it, although the read began by the one before', async () => {
    const rig = await rigOf();
    await rig.file('a', LARGE);
    await rig.committer.commit();
    const id = hashChunk(LARGE);
    const { volume } = rig;
    const before = pieceKeysOf(id, parseScheme('replica:2'));
    const scheme = parseScheme('replica:3');
    let isStoredAnew = false;
    const storeAnew = async (): Promise<void> => {
      isStoredAnew = true;
      const session = volume.chunks.session();
      await session.put({ id, content: LARGE, scheme });
      expect(await session.sync()).toEqual([]);
      const stored = [{ id, lengthBytes: LARGE.length, scheme: 'replica:3' }];
      const noted = volume.maintain({ forget: [], stored });
      await rig.file('b', ONE);
      await rig.committer.commit();
      await noted;
      expect(await volume.chunks.removeUnneeded(before, () => false)).toBe(2);
    };
    for (const { buckets } of volume.disks) {
      if (buckets === undefined) continue;
      const find = buckets.find.bind(buckets);
      buckets.find = async (key) => {
        if (!isStoredAnew && key.chunkId.equals(id)) await storeAnew();
        return find(key);
      };
    }
    const path = join(rig.home, 'fetched');
    writeFileSync(path, '');
    const parts = [{ offset: 0, chunkOffset: 0, lengthBytes: LARGE.length }];
    await volume.fetch({ path, chunk: id, parts });
    expect(isStoredAnew).toBe(true);
    expect(readFileSync(path).equals(LARGE)).toBe(true);
    const isBad = (await fsck(volume, () => undefined)).pieces;
    expect(isBad).toMatchObject({ missing: 0, bad: 0 });
  });
});
