import { renameSync, rmSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { DfsError } from '../../src/base/errors.ts';
import type { BucketDisk } from '../../src/bucket/mod.ts';
import { homePaths } from '../../src/home/mod.ts';
import { INLINE_SCHEME, LiveMeta } from '../../src/meta/mod.ts';
import { recoverVolume } from '../../src/node/recover.ts';
import { bytesOf } from '../cache/fixture.ts';
import { VolumeRig } from './fixture.ts';

const PAGE = 4096;

async function rigOf(scheme = 'replica:2'): Promise<VolumeRig> {
  const rig = await VolumeRig.create({ scheme });
  onTestFinished(() => rig.remove());
  return rig;
}

/** Until the live metadata has it as well, which takes a moment longer. */
async function urgent(rig: VolumeRig): Promise<number> {
  const epoch = await rig.committer.commit({ isUrgent: true });
  await nextTurn();
  return epoch;
}

/** Until all disks have what was committed: the slowest may have it a moment later. */
async function settled(rig: VolumeRig): Promise<void> {
  await Promise.all(rig.volume.disks.map(async ({ log }) => log?.sync()));
}

/** Syncs of each disk's log, of its buckets, and of the log of HOME. */
async function syncsOf(rig: VolumeRig): Promise<number[]> {
  await settled(rig);
  const { disks } = rig.volume;
  const logs = disks.map(({ log }) => log?.syncCount ?? 0);
  const buckets = disks.map((disk) => (disk.buckets as BucketDisk).syncCount);
  return [...logs, ...buckets, rig.meta.wal.syncCount];
}

/** From now on the log of a disk takes records only when it is let go, or never. */
function slowLog(rig: VolumeRig, at: number): { letGo(): Promise<void>; fail(error: Error): void } {
  const log = rig.volume.disks[at]?.log;
  if (log === undefined) throw new Error('there is a log');
  const append = log.appendSynced.bind(log);
  let go: (error?: Error) => void = () => undefined;
  const gate = new Promise<Error | undefined>((resolve) => {
    go = resolve;
  });
  vi.spyOn(log, 'appendSynced').mockImplementation(async (record, header) => {
    const error = await gate;
    if (error !== undefined) throw error;
    await append(record, header);
  });
  const letGo = async (): Promise<void> => {
    go();
    await nextTurn(); // Those that wait are in the log's own queue then.
  };
  return { letGo, fail: (error) => go(error) };
}

/** Until all disks but the last have the record of an epoch, and a turn later. */
async function othersHave(rig: VolumeRig, epoch: number): Promise<string> {
  const others = rig.volume.disks.slice(0, -1);
  while (others.some(({ log }) => log?.head()?.epoch !== epoch)) await nextTurn();
  await Promise.all(others.map(async ({ log }) => log?.sync()));
  for (let turns = 0; turns < 5; turns++) await nextTurn();
  return 'the others have it';
}

/** Schemes of all chunks that are known. */
function schemesOf(rig: VolumeRig): string[] {
  const rows = rig.volume.committed.db.prepare('select scheme from chunk order by scheme').raw();
  return (rows.all() as [string][]).map(([scheme]) => scheme);
}

async function loseHome(rig: VolumeRig, disks: string[] = rig.disks): Promise<void> {
  rmSync(rig.home, { recursive: true, force: true });
  await recoverVolume({
    home: rig.home,
    disks,
    cacheBytes: 1 << 26,
    log: () => undefined,
    onProgress: () => undefined,
  });
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('an urgent commit of little data', () => {
  for (const scheme of ['replica:2', 'ec:2+1']) {
    test(`costs one sync of each disk's log, all at once, and no other (${scheme})`, async () => {
      const rig = await rigOf(scheme);
      const ino = await rig.file('a', bytesOf(1, 3 * PAGE));
      // The first one makes the logs' files, whose names are synced, too.
      await urgent(rig);
      for (let round = 0; round < 20; round++) {
        await rig.write(ino, PAGE * (round % 5), bytesOf(10 + round, PAGE));
        const before = await syncsOf(rig);
        let most = 0;
        let now = 0;
        for (const { log } of rig.volume.disks) {
          if (log === undefined) throw new Error('there is a log');
          const append = log.appendSynced.bind(log);
          vi.spyOn(log, 'appendSynced').mockImplementation(async (record, header) => {
            most = Math.max(most, ++now);
            await append(record, header);
            now--;
          });
        }
        await urgent(rig);
        await settled(rig);
        vi.restoreAllMocks();
        expect(most).toBe(3);
        const after = await syncsOf(rig);
        expect(after.map((count, at) => count - (before[at] ?? 0))).toEqual([1, 1, 1, 0, 0, 0, 0]);
      }
      expect(rig.meta.pendingOps).toBe(0);
      expect(rig.cache.dirtyBytes).toBe(0);
    });
  }

  test('of a page appends 4392 bytes to each disk: the page, and what docs/performance.md lists', async () => {
    const rig = await rigOf();
    const ino = await rig.file('a', bytesOf(1, 4 * PAGE));
    await urgent(rig);
    const records: number[] = [];
    for (const { log } of rig.volume.disks) {
      if (log === undefined) throw new Error('there is a log');
      const append = log.appendSynced.bind(log);
      vi.spyOn(log, 'appendSynced').mockImplementation((record, header) => {
        records.push(record.length);
        return append(record, header);
      });
    }
    await rig.write(ino, PAGE, bytesOf(2, PAGE));
    const pieces = async (): Promise<number[]> =>
      Promise.all(
        rig.volume.disks.map(async ({ buckets }) => (await buckets?.usage())?.bytes ?? 0),
      );
    const before = await pieces();
    await urgent(rig);
    const header = 152;
    const grow = 1 + 8 + 8 + 12 + 12;
    const inline = 1 + 32 + 4;
    const extents = 1 + 8 + 4 + (8 + 8 + 1 + 32 + 4);
    const record = header + grow + inline + PAGE + extents;
    expect(records).toEqual([record, record, record]);
    expect(record).toBe(4392);
    expect(await pieces()).toEqual(before);
  });

  test('outlives HOME and a disk, with its records on the others', async () => {
    const rig = await rigOf();
    const ino = await rig.file('a', bytesOf(1, 5 * PAGE + 17));
    await urgent(rig);
    await rig.write(ino, PAGE, bytesOf(2, PAGE));
    await urgent(rig);
    const wanted = await rig.content('a');
    expect(schemesOf(rig)).toEqual([INLINE_SCHEME, INLINE_SCHEME]);
    await rig.crash();
    renameSync(rig.disks[1] ?? '', `${rig.disks[1]}-gone`);
    await loseHome(rig, [rig.disks[0] ?? '', rig.disks[2] ?? '']);
    await rig.open({ without: [2] });
    expect(await rig.content('a')).toEqual(wanted);
    expect(rig.volume.head.epoch).toBe(2);
    expect(rig.volume.committed.inconsistencies()).toEqual([]);
  });

  test('is moved into buckets by the next one that is not urgent, if it is still used', async () => {
    const rig = await rigOf();
    const ino = await rig.file('a', bytesOf(1, PAGE));
    await urgent(rig);
    await rig.write(ino, 0, bytesOf(2, PAGE));
    await urgent(rig);
    await rig.file('b', bytesOf(3, PAGE));
    await urgent(rig);
    // The first content of a is named by nothing any more.
    expect(schemesOf(rig)).toEqual([INLINE_SCHEME, INLINE_SCHEME]);
    expect(rig.volume.committed.inline.bytes).toBe(2 * PAGE);
    await rig.file('c', bytesOf(4, 100));
    await rig.committer.commit();
    expect(schemesOf(rig)).toEqual(['replica:2', 'replica:2', 'replica:2']);
    expect(rig.volume.committed.inline.totals()).toEqual({ chunks: 0, bytes: 0 });
    expect(rig.volume.committed.inconsistencies()).toEqual([]);
    await rig.crash();
    renameSync(rig.disks[0] ?? '', `${rig.disks[0]}-gone`);
    await loseHome(rig, rig.disks.slice(1));
    await rig.open({ without: [1] });
    expect(await rig.content('a')).toEqual(bytesOf(2, PAGE));
    expect(await rig.content('b')).toEqual(bytesOf(3, PAGE));
    expect(await rig.content('c')).toEqual(bytesOf(4, 100));
  });

  test('of content that is known takes no harm when the chunk was forgotten', async () => {
    const rig = await rigOf();
    const ino = await rig.file('a', bytesOf(1, PAGE));
    await urgent(rig);
    await rig.write(ino, 0, bytesOf(2, PAGE));
    await urgent(rig);
    // Nobody names the first content any more; the next epoch does.
    await rig.write(ino, PAGE, bytesOf(1, PAGE));
    await rig.committer.commit();
    await rig.reopen();
    expect(await rig.content('a')).toEqual(Buffer.concat([bytesOf(2, PAGE), bytesOf(1, PAGE)]));
    expect(rig.volume.committed.inconsistencies()).toEqual([]);
  });

  test('that too few disks take fails, and is made anew with the next', async () => {
    const rig = await rigOf();
    const ino = await rig.file('a', bytesOf(1, PAGE));
    await urgent(rig);
    const log = rig.volume.disks[0]?.log;
    const other = rig.volume.disks[1]?.log;
    if (log === undefined || other === undefined) throw new Error('there are logs');
    await rig.write(ino, 0, bytesOf(2, PAGE));
    for (const one of [log, other]) {
      vi.spyOn(one, 'appendSynced').mockRejectedValue(new DfsError('IO', 'Cannot write: EIO'));
    }
    await expect(urgent(rig)).rejects.toThrow('1 of 2 disks took its record');
    expect(rig.cache.dirtyBytes).toBe(PAGE);
    vi.restoreAllMocks();
    await rig.reopen();
    await urgent(rig);
    await rig.reopen();
    expect(await rig.content('a')).toEqual(bytesOf(2, PAGE));
  });

  test('is told of when as many disks as it needs have it; a slower one follows, in order', async () => {
    const rig = await rigOf();
    const ino = await rig.file('a', bytesOf(1, PAGE));
    await urgent(rig);
    const slow = slowLog(rig, 2);
    for (let round = 2; round < 12; round++) {
      await rig.write(ino, 0, bytesOf(round, PAGE));
      expect(await urgent(rig)).toBe(round);
    }
    expect(rig.volume.disks[2]?.log?.head()?.epoch).toBe(1);
    await slow.letGo();
    await settled(rig);
    expect(rig.volume.disks[2]?.log?.head()?.epoch).toBe(11);
    await rig.crash();
    for (const at of [0, 1]) renameSync(rig.disks[at] ?? '', `${rig.disks[at]}-gone`);
    await loseHome(rig, [rig.disks[2] ?? '']);
    await rig.open({ without: [1, 2] });
    expect(await rig.content('a')).toEqual(bytesOf(11, PAGE));
  });

  test('survives a disk that has it while the slowest has not', async () => {
    const rig = await rigOf();
    const ino = await rig.file('a', bytesOf(1, PAGE));
    await urgent(rig);
    const slow = slowLog(rig, 2);
    await rig.write(ino, 0, bytesOf(2, PAGE));
    await urgent(rig);
    slow.fail(new DfsError('IO', 'Cannot write: the power went'));
    await rig.crash();
    renameSync(rig.disks[0] ?? '', `${rig.disks[0]}-gone`);
    await loseHome(rig, rig.disks.slice(1));
    await rig.open({ without: [1] });
    expect(await rig.content('a')).toEqual(bytesOf(2, PAGE));
  });

  test('waits for a disk that is 32 records behind', async () => {
    const rig = await rigOf();
    const ino = await rig.file('a', bytesOf(1, PAGE));
    await urgent(rig);
    const slow = slowLog(rig, 2);
    const epochs: number[] = [];
    for (let round = 2; round < 34; round++) {
      await rig.write(ino, 0, bytesOf(round, PAGE));
      epochs.push(await urgent(rig));
    }
    expect(epochs.at(-1)).toBe(33);
    await rig.write(ino, 0, bytesOf(34, PAGE));
    const late = urgent(rig);
    const first = await Promise.race([late, othersHave(rig, 34)]);
    expect(first).toBe('the others have it');
    await slow.letGo();
    expect(await late).toBe(34);
    expect(rig.volume.disks[2]?.log?.head()?.epoch).toBe(34);
  });

  test('is told of before the live metadata has it, and taken from the disks after a kill', async () => {
    const rig = await rigOf();
    const ino = await rig.file('a', bytesOf(1, PAGE));
    await urgent(rig);
    await rig.write(ino, PAGE, bytesOf(2, PAGE));
    const full = new DfsError('NO_SPACE', 'Cannot write: its device is full');
    vi.spyOn(rig.meta.publishes, 'small').mockImplementation(() => {
      throw full;
    });
    expect(await urgent(rig)).toBe(2);
    expect(rig.meta.committedEpoch).toBe(1);
    await rig.reopen();
    vi.restoreAllMocks();
    expect(rig.meta.committedEpoch).toBe(2);
    expect(await rig.content('a')).toEqual(Buffer.concat([bytesOf(1, PAGE), bytesOf(2, PAGE)]));
  });

  test('is in the log of the live metadata, from which a killed process finds it', async () => {
    const rig = await rigOf();
    const ino = await rig.file('a', bytesOf(1, 2 * PAGE));
    await urgent(rig);
    await rig.write(ino, 0, bytesOf(2, PAGE));
    await urgent(rig);
    const extents = rig.meta.state.extents.overlapping(ino, 0, 1 << 20);
    expect(extents).toHaveLength(2);
    await rig.committer.close({ commit: false });
    rig.cache.close();
    await rig.meta.close({ dying: true });
    await rig.volume.close();
    const again = new LiveMeta(homePaths(rig.home).meta);
    expect(again.committedEpoch).toBe(2);
    expect(again.pendingOps).toBe(0);
    expect(again.dirtyInodes()).toEqual([]);
    expect(again.state.extents.overlapping(ino, 0, 1 << 20)).toEqual(extents);
    await again.close();
    await rig.open();
    const wanted = Buffer.concat([bytesOf(2, PAGE), bytesOf(1, 2 * PAGE).subarray(PAGE)]);
    expect(await rig.content('a')).toEqual(wanted);
  });

  test('of much goes the other way', async () => {
    const rig = await rigOf();
    await rig.file('a', bytesOf(1, 1 << 20));
    await urgent(rig);
    expect(schemesOf(rig)).toEqual(['replica:2']);
  });
});
