import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { GIB, MIB } from '../../src/base/limits.ts';
import { silentLog } from '../../src/base/log.ts';
import { diskPaths } from '../../src/commit/mod.ts';
import { homePaths, readConfig } from '../../src/home/mod.ts';
import { type InitRequest, initVolume } from '../../src/node/init.ts';
import { Receipts } from '../../src/node/receipts.ts';
import { type RecoverReport, recoverVolume } from '../../src/node/recover.ts';
import { bytesOf } from '../cache/fixture.ts';
import { VolumeRig } from '../commit/fixture.ts';

async function rigOf(options: { disks?: number; scheme?: string } = {}): Promise<VolumeRig> {
  const rig = await VolumeRig.create(options);
  onTestFinished(() => rig.remove());
  return rig;
}

/** A request that would succeed in a new place beside a rig's. */
function requestBeside(rig: VolumeRig): InitRequest {
  const folder = join(rig.home, '..', 'second');
  const disks = ['x', 'y'].map((name) => join(folder, name));
  for (const disk of disks) mkdirSync(disk, { recursive: true });
  const sizes = { bucketBytes: GIB, cacheBytes: 64 * MIB };
  return { home: join(folder, 'home'), disks, scheme: 'auto', ...sizes };
}

function recovered(rig: VolumeRig, disks: string[]): Promise<RecoverReport> {
  const home = join(rig.home, '..', 'recovered');
  return recoverVolume({
    home,
    disks,
    cacheBytes: 64 * MIB,
    log: silentLog,
    onProgress: () => undefined,
  });
}

describe('initVolume()', () => {
  test('makes a HOME that is its own, with the same map on every disk', async () => {
    const rig = await rigOf();
    const paths = homePaths(rig.home);
    const config = await readConfig(rig.home);
    expect(config).toMatchObject({ volumeUuid: rig.uuid, scheme: 'replica:2', mode: 'weak' });
    expect(config?.disks.map(({ path }) => path)).toEqual(rig.disks);
    const map = await readFile(paths.diskmap);
    for (const disk of rig.disks) {
      expect((await readFile(diskPaths(disk).diskmap)).equals(map)).toBe(true);
    }
    expect(rig.volume.head).toMatchObject({ epoch: 0, seq: 0, nextEpoch: 1 });
    expect(rig.meta.pendingOps).toBe(0);
    expect(readdirSync(rig.home).filter((name) => name.endsWith('.copy'))).toEqual([]);
  });

  test.each<[string, string, (request: InitRequest, rig: VolumeRig) => Partial<InitRequest>]>([
    ['no disk', 'BAD_ARGUMENT', () => ({ disks: [] })],
    ['a disk twice', 'BAD_ARGUMENT', ({ disks }) => ({ disks: [...disks, ...disks] })],
    ['a disk that is not there', 'BAD_ARGUMENT', ({ home }) => ({ disks: [`${home}-no`] })],
    ['a HOME on a disk', 'BAD_ARGUMENT', ({ disks }) => ({ home: `${disks[0]}/home` })],
    ['a scheme too wide', 'BAD_ARGUMENT', () => ({ scheme: 'replica:3' })],
    ['buckets too small', 'BAD_ARGUMENT', () => ({ bucketBytes: 4096 })],
    ['a cache too small', 'BAD_ARGUMENT', () => ({ cacheBytes: MIB })],
    ["another volume's disk", 'FOREIGN', (_request, rig) => ({ disks: rig.disks })],
    ["another volume's HOME", 'EXISTS', (_request, rig) => ({ home: rig.home })],
  ])('refuses %s and leaves nothing behind', async (_what, code, change) => {
    const rig = await rigOf();
    const request = requestBeside(rig);
    const bad = { ...request, ...change(request, rig) };
    await expect(initVolume(bad)).rejects.toMatchObject({ code });
    expect(existsSync(request.home)).toBe(false);
    for (const disk of request.disks) expect(readdirSync(disk)).toEqual([]);
    await rig.reopen();
    await initVolume(request);
  });
});

describe('recoverVolume()', () => {
  test('finds all that was committed, and what is degraded without one disk', async () => {
    const rig = await rigOf();
    await rig.file('a', bytesOf(1, 100_000));
    await rig.file('b', bytesOf(2, 200_000));
    await rig.committer.commit();
    await rig.file('not committed', bytesOf(3, 10));
    await rig.crash();
    const report = await recovered(rig, rig.disks.slice(1));
    expect(report).toMatchObject({
      volumeUuid: rig.uuid,
      epoch: 1,
      files: 3,
      fileBytes: 300_000,
      chunks: 2,
      scheme: 'replica:2',
      lost: [],
    });
    expect(report.disks.map(({ problem }) => problem === undefined)).toEqual([false, true, true]);
    const config = await readConfig(join(rig.home, '..', 'recovered'));
    expect(config?.disks.map(({ id }) => id)).toEqual([2, 3]);
    renameSync(join(rig.home, '..', 'recovered'), `${rig.home}-new`);
    rmSync(rig.home, { recursive: true });
    renameSync(`${rig.home}-new`, rig.home);
    await rig.open({ without: [1] });
    expect(rig.committedNames()).toEqual(['a', 'b']);
    expect((await rig.content('b'))?.equals(bytesOf(2, 200_000))).toBe(true);
    await rig.file('c', bytesOf(4, 5000));
    expect(await rig.committer.commit()).toBe(2);
  });

  test('names the files that are lost with too many disks', async () => {
    const rig = await rigOf({ scheme: 'replica:1' });
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    for (const [at, name] of names.entries()) await rig.file(name, bytesOf(at, 5000 + at));
    await rig.committer.commit();
    await rig.file('last', bytesOf(50, 10));
    await rig.committer.commit();
    const withChunk = new Map<string, number>();
    for (const { entry, buckets } of rig.volume.disks) {
      for (const { chunkId } of (await buckets?.list(undefined, 1000)) ?? []) {
        withChunk.set(chunkId.toString('hex'), entry.id);
      }
    }
    await rig.crash();
    const report = await recovered(rig, rig.disks.slice(1));
    const lost = [...withChunk.values()].filter((disk) => disk === 1).length;
    // The last epoch is only taken if its own chunk is there.
    expect(report.lost.length).toBeGreaterThanOrEqual(lost - 1);
    for (const { paths } of report.lost) expect(paths[0]).toMatch(/^\/([a-h]|last)$/);
  });

  test('refuses disks that do not belong together, and leaves no HOME', async () => {
    const [one, two] = [await rigOf(), await rigOf()];
    for (const rig of [one, two]) await rig.crash();
    const mixed = [...one.disks, two.disks[0] ?? ''];
    await expect(recovered(one, mixed)).rejects.toMatchObject({ code: 'FOREIGN' });
    expect(existsSync(join(one.home, '..', 'recovered'))).toBe(false);
    for (const disk of one.disks) {
      const { meta } = diskPaths(disk);
      for (const name of readdirSync(meta)) writeFileSync(join(meta, name), 'not a snapshot');
    }
    await expect(recovered(one, one.disks)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(existsSync(join(one.home, '..', 'recovered'))).toBe(false);
  });
});

describe('a receipt', () => {
  test('says how far a file, and a folder with all in it, have come', async () => {
    const rig = await rigOf();
    const { meta, cache, committer } = rig;
    const receipts = new Receipts({ meta, cache, committer, scheme: () => 'replica:2' });
    const ino = await rig.file('a', bytesOf(1, 10_000));
    expect(receipts.of(ino)).toMatchObject({ state: 'cached', epoch: 0, bytesLeft: 12_288 });
    expect(receipts.text(ino)).toBe('cached');
    await committer.commit();
    await expect.poll(() => receipts.text(ino)).toBe('committed@1');
    expect(receipts.of(ino)).toMatchObject({ bytesLeft: 0, oldestUncommittedMs: undefined });
    await rig.write(ino, 0, Buffer.from('x'));
    // No operation waits, only bytes.
    expect(meta.pendingOps).toBe(0);
    for (const one of [ino, 1 as typeof ino]) {
      expect(await receipts.of(one)).toMatchObject({ state: 'cached', bytesLeft: 4096 });
    }
    expect((await receipts.of(ino)).oldestUncommittedMs).toBeGreaterThanOrEqual(0);
    const other = await rig.file('b', bytesOf(2, 10));
    await committer.commit();
    await expect.poll(() => receipts.text(other)).toBe('committed@2');
    expect(receipts.text(ino)).toBe('committed@2');
  });

  test('of a large folder is made in turns, and knows the last file in it', async () => {
    const rig = await rigOf();
    const { meta, cache, committer } = rig;
    const receipts = new Receipts({ meta, cache, committer, scheme: () => 'replica:2' });
    const ino = await rig.file('dirty', bytesOf(1, 5000));
    const owner = { mode: 0o100644, uid: 0, gid: 0, rdev: 0, target: Buffer.alloc(0) };
    const parent = 1 as typeof ino;
    for (let count = 0; count < 650; count++) {
      const name = Buffer.from(`file-${count}`);
      const time = { sec: 1, nsec: 0 };
      meta.run([{ kind: 'create', parent, name, ino: meta.allocateIno(), ...owner, time }]);
    }
    await committer.commit();
    await rig.write(ino, 0, Buffer.from('x'));
    let turns = 0;
    let isMade = false;
    const made = Promise.resolve(receipts.of(parent)).finally(() => (isMade = true));
    while (!isMade) {
      await new Promise((done) => setImmediate(done));
      turns++;
    }
    expect(turns).toBeGreaterThanOrEqual(4);
    expect(await made).toMatchObject({ state: 'cached', bytesLeft: 4096 });
    expect(await receipts.text(parent)).toBe('cached');
  });
});
