import { mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blake3 } from '@napi-rs/blake-hash';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Epoch } from '../base/ids.ts';
import { MIB } from '../base/limits.ts';
import { DiskLog } from './disk-log.ts';
import type { LogDamage } from './disk-log-walk.ts';
import { EPOCH_RECORD, NO_RECORD_ID } from './epoch-record-format.ts';
import { decodeEpochRecordHeader } from './epoch-record-reader.ts';
import { encodeEpochRecord } from './epoch-record-writer.ts';

const volumeTag = Buffer.from('0102030405060708', 'hex');
const HEADER = EPOCH_RECORD.headerBytes;

let folder: string;
let logs: DiskLog[];
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'dfs-log-')), 'meta');
  logs = [];
});
afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(logs.map((log) => log.close()));
  await rm(join(folder, '..'), { recursive: true });
});

async function openLog(readOnly = false): Promise<DiskLog> {
  const log = await DiskLog.open({ folder, volumeTag, readOnly });
  logs.push(log);
  return log;
}

/** Makes records that follow each other. */
function recordMaker(): (epoch: number, body?: Buffer, incarnation?: number) => Buffer {
  let previous = NO_RECORD_ID;
  return (epoch, body = Buffer.from(`operations of ${epoch}`), incarnation = 1) => {
    const rest = { volumeTag, incarnation, cutTimeMs: 5, lastSeq: epoch * 10, previous, body };
    const record = encodeEpochRecord({ ...rest, epoch: epoch as Epoch });
    previous = Buffer.from(record.subarray(HEADER - 32, HEADER));
    return record;
  };
}

const appendSynced = (log: DiskLog, record: Buffer): Promise<void> =>
  log.appendSynced(record, decodeEpochRecordHeader(record));

interface Read {
  epochs: number[];
  gaps: number[];
  damage: LogDamage[];
}

async function readAll(log: DiskLog, from = 0): Promise<Read> {
  const read: Read = { epochs: [], gaps: [], damage: [] };
  const records = log.records(from as Epoch, (damage) => read.damage.push(damage));
  for await (const { header, body, gap } of records) {
    expect(blake3(body).equals(header.bodyChecksum)).toBe(true);
    read.epochs.push(header.epoch);
    if (gap) read.gaps.push(header.epoch);
  }
  return read;
}

/** Records 1 to `count` in a closed log of one file; answers the offset of each, and the end. */
async function filled(count: number): Promise<number[]> {
  const log = await openLog();
  const make = recordMaker();
  const offsets = [0];
  for (let epoch = 1; epoch <= count; epoch++) {
    const record = make(epoch);
    await log.append(record);
    offsets.push((offsets.at(-1) ?? 0) + record.length);
  }
  await log.sync();
  await log.close();
  return offsets;
}

async function flip(path: string, offset: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[offset] = (bytes[offset] ?? 0) ^ 0x10;
  await writeFile(path, bytes);
}

const firstFile = (): string => join(folder, 'log-000000000001');

describe('append and read', () => {
  test('records come back in order, also after a new open and from an epoch on', async () => {
    await filled(5);
    const log = await openLog();
    expect(log.head()?.epoch).toBe(5);
    expect(log.tail).toBeUndefined();
    expect(await readAll(log)).toEqual({ epochs: [1, 2, 3, 4, 5], gaps: [], damage: [] });
    expect((await readAll(log, 4)).epochs).toEqual([4, 5]);
    expect((await readAll(log, 6)).epochs).toEqual([]);
  });

  test('an empty log, and a folder that is not there, have no head', async () => {
    const absent = await openLog(true);
    expect(absent.head()).toBeUndefined();
    expect(await readAll(absent)).toEqual({ epochs: [], gaps: [], damage: [] });
    expect((await openLog()).head()).toBeUndefined();
  });

  test('bodies longer than what is read at once, and of no length, come back', async () => {
    const log = await openLog();
    const make = recordMaker();
    await log.append(make(1, Buffer.alloc(3 * MIB + 5, 'x')));
    await log.append(make(2, Buffer.alloc(0)));
    await log.append(make(3, Buffer.alloc(MIB - HEADER, 'DFSE')));
    expect((await readAll(log)).epochs).toEqual([1, 2, 3]);
    await log.close();
    expect((await openLog(true)).head()?.epoch).toBe(3);
  });

  test('the log of another volume is refused', async () => {
    await filled(1);
    const other = DiskLog.open({ folder, volumeTag: Buffer.alloc(8, 7) });
    await expect(other).rejects.toMatchObject({ code: 'FOREIGN' });
  });

  test('epochs must increase, and a log open for reading takes nothing', async () => {
    await filled(2);
    const log = await openLog();
    await expect(log.append(recordMaker()(2))).rejects.toThrow(/epoch 2 after epoch 2/);
    const reading = await openLog(true);
    expect(() => reading.append(recordMaker()(3))).toThrow(/reading only/);
  });

  test('a closed log says so', async () => {
    const log = await openLog();
    await log.close();
    await expect(log.sync()).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(readAll(log)).rejects.toMatchObject({ code: 'CLOSED' });
  });
});

describe('sync', () => {
  test('one fdatasync a commit, one more when a file was created, none for nothing', async () => {
    const log = await openLog();
    const make = recordMaker();
    await log.append(make(1));
    await log.sync();
    expect(log.syncCount).toBe(2);
    await log.append(make(2));
    await log.append(make(3));
    await log.sync();
    expect(log.syncCount).toBe(3);
    await log.sync();
    expect(log.syncCount).toBe(3);
  });

  test('a small record takes one synced write once there is room, and the room goes at the end', async () => {
    const log = await openLog();
    const make = recordMaker();
    await appendSynced(log, make(1));
    expect(log.syncCount).toBe(2);
    await expect.poll(async () => (await stat(firstFile())).size).toBeGreaterThanOrEqual(MIB);
    const { size } = await stat(firstFile());
    for (let epoch = 2; epoch < 10; epoch++) await appendSynced(log, make(epoch));
    expect(log.syncCount).toBe(10);
    expect((await stat(firstFile())).size).toBe(size);
    expect((await readAll(log)).epochs).toHaveLength(9);
    await log.close();
    expect((await stat(firstFile())).size).toBeLessThan(4096);
    expect((await readAll(await openLog())).epochs).toHaveLength(9);
  });

  test('a record cut anywhere over room is a tail, and those before it stay', async () => {
    const log = await openLog();
    const make = recordMaker();
    await appendSynced(log, make(1));
    await expect.poll(async () => (await stat(firstFile())).size).toBeGreaterThan(MIB);
    await appendSynced(log, make(2));
    const bytes = await readFile(firstFile());
    const last = make(3);
    const end = 2 * last.length;
    await log.close();
    for (let length = 1; length < last.length; length += 7) {
      const torn = Buffer.from(bytes);
      last.copy(torn, end, 0, length);
      await writeFile(firstFile(), torn);
      const again = await openLog();
      expect(again.head()?.epoch).toBe(2);
      expect(again.tail?.offset).toBe(end);
      await appendSynced(again, last);
      expect((await readAll(again)).epochs).toEqual([1, 2, 3]);
      await again.close();
    }
  });

  test('what a killed process left readable is synced before it counts', async () => {
    await filled(2);
    expect((await openLog()).syncCount).toBe(2);
  });

  test('a full disk refuses the record, and takes one when there is room again', async () => {
    const offsets = await filled(2);
    const log = await openLog();
    const handle = await open(firstFile());
    const prototype = Object.getPrototypeOf(handle) as {
      write: (...args: unknown[]) => Promise<{ bytesWritten: number }>;
    };
    await handle.close();
    const full = Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' });
    vi.spyOn(prototype, 'write').mockResolvedValueOnce({ bytesWritten: 40 });
    vi.spyOn(prototype, 'write').mockRejectedValueOnce(full);
    await expect(log.append(recordMaker()(3))).rejects.toMatchObject({ code: 'NO_SPACE' });
    expect((await readFile(firstFile())).length).toBe(offsets[2]);
    expect(log.head()?.epoch).toBe(2);
    await log.append(recordMaker()(3));
    await log.sync();
    expect((await readAll(log)).epochs).toEqual([1, 2, 3]);
  });

  test('after a failed sync nothing is written or synced any more', async () => {
    const log = await openLog();
    const make = recordMaker();
    await log.append(make(1));
    const handle = await open(firstFile());
    const prototype = Object.getPrototypeOf(handle) as { datasync: () => Promise<void> };
    await handle.close();
    const failing = vi.spyOn(prototype, 'datasync').mockRejectedValueOnce(new Error('EIO: lost'));
    const first = log.sync();
    const second = log.sync();
    await expect(first).rejects.toThrow(/Cannot sync the log in .*: EIO: lost/);
    await expect(second).rejects.toThrow(/an earlier write or sync of it failed/);
    await expect(log.append(make(2))).rejects.toMatchObject({ code: 'IO' });
    expect(failing).toHaveBeenCalledTimes(1);
  });
});

describe('damage', () => {
  test('a log cut at any byte opens with what is whole before, and goes on from there', async () => {
    const offsets = await filled(3);
    const end = offsets.at(-1) ?? 0;
    const bytes = await readFile(firstFile());
    for (let length = 0; length < end; length++) {
      await writeFile(firstFile(), bytes.subarray(0, length));
      const whole = offsets.filter((offset) => offset > 0 && offset <= length).length;
      const cleanly = offsets.includes(length);
      const reading = await DiskLog.open({ folder, volumeTag, readOnly: true });
      expect(reading.head()?.epoch).toBe(whole === 0 ? undefined : whole);
      expect(reading.tail === undefined).toBe(cleanly);
      const { epochs, damage } = await readAll(reading);
      expect(epochs).toHaveLength(whole);
      expect(damage.map(({ offset, tail }) => ({ offset, tail }))).toEqual(
        cleanly ? [] : [{ offset: offsets[whole], tail: true }],
      );
      await reading.close();
    }
    const log = await openLog();
    expect(log.tail).toMatchObject({ offset: offsets[2], header: { epoch: 3 }, tail: true });
    expect((await readFile(firstFile())).length).toBe(offsets[2]);
    await log.append(recordMaker()(9));
    expect((await readAll(log)).epochs).toEqual([1, 2, 9]);
  });

  test('a flipped bit is reported where it is, and the records around it are found', async () => {
    const offsets = await filled(3);
    const bytes = await readFile(firstFile());
    for (let bit = 0; bit < bytes.length * 8; bit += 5) {
      const copy = Buffer.from(bytes);
      copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      await writeFile(firstFile(), copy);
      const hit = offsets.findIndex((offset) => offset > bit >> 3);
      const log = await DiskLog.open({ folder, volumeTag, readOnly: true });
      const { epochs, gaps, damage } = await readAll(log);
      await log.close();
      expect(epochs).toEqual([1, 2, 3].filter((epoch) => epoch !== hit));
      expect(gaps).toEqual(hit === 3 ? [] : [hit + 1]);
      expect(damage).toMatchObject([{ file: firstFile(), offset: offsets[hit - 1] }]);
      expect(damage[0]?.tail).toBe(hit === 3);
      expect(damage[0]?.header === undefined).toBe((bit >> 3) - (offsets[hit - 1] ?? 0) < HEADER);
    }
  });

  test('damage in the middle stays, the log goes on behind it', async () => {
    const offsets = await filled(3);
    await flip(firstFile(), (offsets[1] ?? 0) + 3);
    const log = await openLog();
    expect(log.tail).toBeUndefined();
    expect(log.head()?.epoch).toBe(3);
    expect((await readAll(log)).gaps).toEqual([3]);
  });

  test('a record inside of a damaged one does not come to life', async () => {
    const make = recordMaker();
    const log = await openLog();
    const old = make(1);
    await log.append(old);
    // Somebody keeps a copy of the log in a file of the volume.
    await log.append(make(2, Buffer.concat([Buffer.alloc(100), old, Buffer.alloc(100)])));
    await log.append(make(3));
    await log.close();
    for (const at of [old.length + 10, old.length + HEADER + 5]) {
      await flip(firstFile(), at);
      const { epochs, gaps, damage } = await readAll(await openLog(true));
      expect({ epochs, gaps }).toEqual({ epochs: [1, 3], gaps: [3] });
      expect(damage).toMatchObject([{ offset: old.length }]);
      await flip(firstFile(), at);
    }
  });

  test('zeros behind the last record are room, and what stands behind them is a tail', async () => {
    const offsets = await filled(2);
    const end = offsets[2] ?? 0;
    await truncate(firstFile(), end + 3 * MIB);
    const log = await openLog();
    expect(log.tail).toBeUndefined();
    expect(log.head()?.epoch).toBe(2);
    expect((await readAll(log)).damage).toEqual([]);
    await appendSynced(log, recordMaker()(3));
    await log.close();
    await truncate(firstFile(), end + 3 * MIB);
    await flip(firstFile(), end + 2 * MIB);
    const again = await openLog();
    expect(again.head()?.epoch).toBe(3);
    expect(again.tail?.bytes).toBeGreaterThan(2 * MIB);
  });

  test("a later version's record is never cut off, wherever it stands", async () => {
    await filled(1);
    const good = await readFile(firstFile());
    const newer = recordMaker()(2);
    newer.writeUInt16LE(EPOCH_RECORD.version + 1, 4);
    blake3(newer.subarray(0, HEADER - 32)).copy(newer, HEADER - 32);
    for (const junk of [Buffer.alloc(0), Buffer.from('junk')]) {
      const bytes = Buffer.concat([good, junk, newer]);
      await writeFile(firstFile(), bytes);
      await expect(openLog()).rejects.toMatchObject({ code: 'NEWER_FORMAT' });
      expect((await readFile(firstFile())).equals(bytes)).toBe(true);
    }
  });

  test('a record that does not follow the one before has a gap', async () => {
    const log = await openLog();
    await log.append(recordMaker()(1));
    await log.append(recordMaker()(2));
    expect((await readAll(log)).gaps).toEqual([2]);
  });

  test('random damage never gives a wrong record, hides a good one or throws', async () => {
    const offsets = await filled(6);
    const bytes = await readFile(firstFile());
    const places = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(places, async (changes) => {
        const copy = Buffer.from(bytes);
        for (const [at, mask] of changes) copy[at] = (copy[at] ?? 0) ^ mask;
        await writeFile(firstFile(), copy);
        const isWhole = (epoch: number): boolean => {
          const [from, to] = [offsets[epoch - 1], offsets[epoch]];
          return copy.subarray(from, to).equals(bytes.subarray(from, to));
        };
        const log = await DiskLog.open({ folder, volumeTag, readOnly: true });
        const { epochs, gaps } = await readAll(log);
        await log.close();
        expect(epochs).toEqual([1, 2, 3, 4, 5, 6].filter(isWhole));
        const missingBefore = (epoch: number): boolean => epoch > 1 && !isWhole(epoch - 1);
        expect(gaps).toEqual(epochs.filter(missingBefore));
      }),
      { numRuns: 200 },
    );
  });
});

describe('files', () => {
  /** 1 2 | 3 4 | 5 */
  async function threeFiles(): Promise<DiskLog> {
    const log = await openLog();
    const make = recordMaker();
    for (let epoch = 1; epoch <= 5; epoch++) {
      if (epoch === 3 || epoch === 5) await log.startNewFile(epoch as Epoch);
      await log.append(make(epoch));
    }
    await log.sync();
    return log;
  }

  const names = ['log-000000000001', 'log-000000000003', 'log-000000000005'];

  test('reading goes on from file to file and leaves out those of earlier epochs', async () => {
    const log = await threeFiles();
    expect(await readdir(folder)).toEqual(names);
    expect(await readAll(log)).toEqual({ epochs: [1, 2, 3, 4, 5], gaps: [], damage: [] });
    await writeFile(firstFile(), 'nothing of this is read');
    expect(await readAll(log, 3)).toEqual({ epochs: [3, 4, 5], gaps: [], damage: [] });
    expect((await readAll(log, 2)).damage).toMatchObject([{ file: firstFile(), tail: false }]);
  });

  test('dropBefore() deletes what a snapshot covers wholly, never the last file', async () => {
    const log = await threeFiles();
    await log.dropBefore(4 as Epoch);
    expect(await readdir(folder)).toEqual(names.slice(1));
    await log.dropBefore(100 as Epoch);
    expect(await readdir(folder)).toEqual(names.slice(2));
    expect((await readAll(log)).epochs).toEqual([5]);
  });

  test('truncateAfter() drops later epochs, and the same of another incarnation', async () => {
    const log = await threeFiles();
    expect(await log.truncateAfter({ epoch: 5 as Epoch, incarnation: 1 })).toBe(0);
    expect(await log.truncateAfter({ epoch: 3 as Epoch, incarnation: 1 })).toBe(2);
    expect(log.head()?.epoch).toBe(3);
    expect(await readdir(folder)).toEqual(names.slice(0, 2));
    await log.append(recordMaker()(4, Buffer.from('another four'), 2));
    expect((await readAll(log)).epochs).toEqual([1, 2, 3, 4]);
    expect(await log.truncateAfter({ epoch: 4 as Epoch, incarnation: 1 })).toBe(1);
    expect(await log.truncateAfter({ epoch: 2 as Epoch, incarnation: 1 })).toBe(1);
    expect(await readdir(folder)).toEqual(names.slice(0, 1));
    expect(await log.truncateAfter({ epoch: 0 as Epoch, incarnation: 0 })).toBe(2);
    expect(log.head()).toBeUndefined();
    await log.append(recordMaker()(1));
    await log.sync();
    expect((await readAll(log)).epochs).toEqual([1]);
  });

  test('truncateAfter() repairs a log with a gap, leaving what is whole before it', async () => {
    const log = await threeFiles();
    await log.startNewFile(6 as Epoch);
    await log.close();
    const second = join(folder, 'log-000000000003');
    await flip(second, 3);
    await flip(firstFile(), 3);
    const again = await openLog();
    expect((await readAll(again)).epochs).toEqual([2, 4, 5]);
    expect(await again.truncateAfter({ epoch: 2 as Epoch, incarnation: 1 })).toBe(2);
    expect(await readdir(folder)).toEqual(names.slice(0, 1));
    expect(again.head()?.epoch).toBe(2);
    await again.append(recordMaker()(3));
    await again.append(recordMaker()(4));
    const { epochs, damage } = await readAll(again);
    expect({ epochs, places: damage.length }).toEqual({ epochs: [2, 3, 4], places: 1 });
  });

  test('truncateAfter() drops damage that nothing follows, in files that are all damage', async () => {
    const log = await threeFiles();
    await log.truncateAfter({ epoch: 3 as Epoch, incarnation: 1 });
    await log.startNewFile(4 as Epoch);
    await log.close();
    await flip(join(folder, 'log-000000000003'), 3);
    const again = await openLog();
    expect(again.head()?.epoch).toBe(2);
    expect(await again.truncateAfter({ epoch: 2 as Epoch, incarnation: 1 })).toBe(0);
    await again.startNewFile(3 as Epoch);
    await again.append(recordMaker()(3));
    expect(await readAll(again)).toMatchObject({ epochs: [1, 2, 3], damage: [] });
  });

  test('an empty new file keeps the head, and is renamed by an epoch that differs', async () => {
    const log = await threeFiles();
    await log.startNewFile(6 as Epoch);
    await log.close();
    const again = await openLog();
    expect(again.head()?.epoch).toBe(5);
    await again.append(recordMaker()(8));
    expect(await readdir(folder)).toEqual([...names, 'log-000000000008']);
    expect((await readAll(again)).epochs).toEqual([1, 2, 3, 4, 5, 8]);
  });

  test('an epoch appended while a snapshot was made is no reason to fail', async () => {
    const log = await threeFiles();
    const make = recordMaker();
    for (let epoch = 1; epoch <= 5; epoch++) make(epoch);
    await Promise.all([log.append(make(6)), log.startNewFile(6 as Epoch), log.append(make(7))]);
    await log.sync();
    expect(await readdir(folder)).toEqual(names);
    expect((await readAll(log)).epochs).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  test('a snapshot may empty the log', async () => {
    const log = await threeFiles();
    await log.startNewFile(6 as Epoch);
    await log.sync();
    await log.dropBefore(6 as Epoch);
    await log.close();
    const again = await openLog();
    expect(again.head()).toBeUndefined();
    await again.append(recordMaker()(6));
    expect((await readAll(again)).epochs).toEqual([6]);
  });
});
