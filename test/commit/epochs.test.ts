import { closeSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { DiskId, Epoch } from '../../src/base/ids.ts';
import { silentLog } from '../../src/base/log.ts';
import { DEFAULT_SETTINGS } from '../../src/base/settings.ts';
import { hashChunk, parseScheme } from '../../src/chunk/mod.ts';
import { epochFolder, Volume } from '../../src/commit/mod.ts';
import { lockHome } from '../../src/home/mod.ts';
import { listEpochs } from '../../src/node/mod.ts';
import { bytesOf } from '../cache/fixture.ts';
import { VolumeRig } from './fixture.ts';

const PAGE = 4096;
const NONE = { forget: [], stored: [] };

afterEach(() => {
  vi.restoreAllMocks();
});

async function rigOf(): Promise<VolumeRig> {
  const rig = await VolumeRig.create({ scheme: 'replica:2' });
  onTestFinished(() => rig.remove());
  configure(rig, 0);
  return rig;
}

/** No time of grace, and so much retention. */
function configure(rig: VolumeRig, retentionMs: number): void {
  rig.volume.configure({ ...DEFAULT_SETTINGS, garbageGraceMs: 0, retentionMs });
}

/** An epoch with a snapshot, twice: what is dead by now is only protected by what is retained. */
async function age(rig: VolumeRig): Promise<void> {
  for (let times = 0; times < 2; times++) {
    await rig.volume.maintain(NONE);
    await rig.volume.snapshot();
  }
}

/** A volume at an epoch, beside the one that is written. */
class View {
  readonly folder: string;
  readonly volume: Volume;
  readonly #lock: number;

  private constructor(folder: string, lock: number, volume: Volume) {
    this.folder = folder;
    this.volume = volume;
    this.#lock = lock;
  }

  static async open(rig: VolumeRig, epoch: number): Promise<View> {
    const folder = join(epochFolder(rig.home), `${epoch}-test${Math.random()}`);
    mkdirSync(folder, { recursive: true });
    const lock = lockHome(folder);
    try {
      const volume = await Volume.open({
        home: folder,
        volumeUuid: rig.uuid,
        disks: rig.disks.map((path, at) => ({ id: (at + 1) as DiskId, path })),
        readOnly: true,
        epoch: epoch as Epoch,
        log: silentLog,
        capture: () => Promise.reject(new Error('nothing is captured of what was')),
      });
      return new View(folder, lock, volume);
    } catch (error) {
      closeSync(lock);
      throw error;
    }
  }

  /** A file's content of one chunk, fetched from the disks. */
  async content(name: string): Promise<Buffer | undefined> {
    const { state } = this.volume.committed;
    const entry = state.lookup(1 as never, Buffer.from(name));
    if (entry === undefined) return undefined;
    const [extent] = this.volume.committed.extents(entry.ino);
    if (extent === undefined) return Buffer.alloc(0);
    const path = join(this.folder, 'fetched');
    writeFileSync(path, '');
    const { chunk, chunkOffset, lengthBytes } = extent;
    await this.volume.fetch({ path, chunk, parts: [{ offset: 0, chunkOffset, lengthBytes }] });
    return readFileSync(path);
  }

  async close(): Promise<void> {
    await this.volume.close();
    closeSync(this.#lock);
  }
}

describe('a volume at an epoch', () => {
  test('is what it was, at a snapshot and between snapshots, while it is written', async () => {
    const rig = await rigOf();
    const ino = await rig.file('a', bytesOf(0, PAGE));
    for (let number = 1; number <= 6; number++) {
      await rig.write(ino, 0, bytesOf(number, PAGE));
      expect(await rig.committer.commit({ isUrgent: number % 2 === 0 })).toBe(number);
      if (number === 3) await rig.volume.snapshot();
    }
    await rig.file('b', bytesOf(8, PAGE));
    for (const epoch of [0, 1, 2, 3, 4, 5, 6]) {
      const view = await View.open(rig, epoch);
      const wanted = epoch === 0 ? undefined : bytesOf(epoch, PAGE);
      expect(await view.content('a')).toEqual(wanted);
      expect(await view.content('b')).toBeUndefined();
      await view.close();
    }
    expect(await rig.committer.commit()).toBe(7);
    const newest = await View.open(rig, 7);
    expect(await newest.content('b')).toEqual(bytesOf(8, PAGE));
    await newest.close();
  });

  test('that is not retained, or was never there, is refused with a hint', async () => {
    const rig = await rigOf();
    await rig.file('a', bytesOf(1, PAGE));
    await rig.committer.commit();
    await age(rig);
    await age(rig);
    const gone = View.open(rig, 1);
    await expect(gone).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(gone).rejects.toThrow(/epoch 1: it is not retained; "dfsctl epochs" lists/);
    await expect(View.open(rig, 77)).rejects.toThrow(/there is none of this number; epoch 5/);
  });

  test('keeps what it names from being collected, and lets it go when it is closed', async () => {
    const rig = await rigOf();
    const content = bytesOf(1, PAGE);
    const ino = await rig.file('a', content);
    const epoch = await rig.committer.commit();
    const view = await View.open(rig, epoch);
    await rig.write(ino, 0, bytesOf(2, PAGE));
    await rig.committer.commit();
    await age(rig);
    await age(rig);
    // No snapshot has it any more; only the view does.
    expect(rig.volume.retained.windowStart).toBeGreaterThan(epoch + 1);
    const id = hashChunk(content);
    await rig.volume.maintain({ forget: [id], stored: [] });
    expect(rig.volume.isNeeded(id)).toBe(true);
    expect(await view.content('a')).toEqual(content);
    await view.close();
    expect(rig.volume.isNeeded(id)).toBe(true);
    await age(rig);
    expect(existsSync(view.folder)).toBe(false);
    expect(rig.volume.isNeeded(id)).toBe(false);
  });

  test('is read also of chunks that were re-encoded and moved since it was opened', async () => {
    const rig = await rigOf();
    const content = bytesOf(1, PAGE);
    await rig.file('a', content);
    const view = await View.open(rig, await rig.committer.commit());
    const id = hashChunk(content);
    const scheme = parseScheme('replica:3');
    const session = rig.volume.chunks.session();
    await session.put({ id, content, scheme });
    expect(await session.sync()).toEqual([]);
    const stored = [{ id, lengthBytes: PAGE, scheme: 'replica:3' }];
    await rig.volume.maintain({ forget: [], stored });
    const old = [0, 1].map((pieceIndex) => {
      return { chunkId: id, scheme: parseScheme('replica:2'), pieceIndex };
    });
    expect(await rig.volume.chunks.removeUnneeded(old, () => false)).toBe(2);
    expect(await view.content('a')).toEqual(content);
    await view.close();
  });
});

describe('snapshots', () => {
  /** Epochs of the snapshots of each disk, newest first. */
  async function epochsOf(rig: VolumeRig): Promise<Map<number, number[]>> {
    const { snapshots } = await listEpochs(rig.home, silentLog);
    return new Map(snapshots.map(({ epoch, disks }) => [epoch, disks]));
  }

  test('are listed with the disks that have them, and what is newest, open or not', async () => {
    const rig = await rigOf();
    await rig.file('a', bytesOf(1, PAGE));
    await rig.committer.commit();
    await rig.volume.snapshot();
    await rig.volume.maintain(NONE);
    const all = [1, 2, 3];
    const wanted = { newest: 2, windowStart: 0, disks: 3, unusable: [] };
    expect(await listEpochs(rig.home, silentLog)).toMatchObject(wanted);
    expect(await epochsOf(rig)).toEqual(
      new Map([
        [1, all],
        [0, all],
      ]),
    );
    await rig.crash();
    expect(await listEpochs(rig.home, silentLog)).toMatchObject(wanted);
  });

  test('of a disk that was away are those of the others again', async () => {
    const rig = await rigOf();
    configure(rig, 0);
    await rig.file('a', bytesOf(1, PAGE));
    await rig.committer.commit();
    await rig.volume.snapshot();
    await rig.reopen({ without: [3] });
    configure(rig, 0);
    await age(rig);
    await age(rig);
    const others = [...(await epochsOf(rig)).keys()];
    expect(others).toEqual([5, 4]);
    // What the disk kept meanwhile does not count, also while it is not caught up yet.
    await rig.crash();
    expect([...(await epochsOf(rig)).keys()]).toEqual(others);
    await rig.open();
    const now = await epochsOf(rig);
    expect([...now.keys()]).toEqual(others);
    expect(now.get(5)).toEqual([1, 2, 3]);
    expect(now.get(4)).toEqual([1, 2]);
    expect(rig.volume.retained.snapshots.map(({ epoch }) => epoch)).toEqual(others);
  });

  test('give way when a disk is full, but for the newest two', async () => {
    const rig = await rigOf();
    configure(rig, DEFAULT_SETTINGS.retentionMs);
    const ino = await rig.file('a', bytesOf(1, PAGE));
    await rig.committer.commit();
    await rig.volume.snapshot();
    await rig.write(ino, 0, bytesOf(2, PAGE));
    await rig.committer.commit();
    // Spans of time begin at fixed times: two of these may be in one.
    const kept = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 20 * 60_000);
    await age(rig);
    const id = hashChunk(bytesOf(1, PAGE));
    expect(rig.volume.retained.snapshots.map(({ epoch }) => epoch)).toContain(1);
    expect(rig.volume.isNeeded(id)).toBe(true);
    const figures = { retainedChunks: 1, retainedBytes: PAGE, garbageChunks: 0, garbageBytes: 0 };
    expect(await rig.volume.garbage.figures()).toEqual(figures);
    vi.spyOn(rig.volume.chunks, 'statusOf').mockReturnValue('full');
    await age(rig);
    expect(rig.volume.retained.snapshots).toHaveLength(2);
    expect(rig.volume.isNeeded(id)).toBe(false);
    kept.mockRestore();
  });

  test('are made by time when something has changed, and for garbage also when nothing has', async () => {
    const rig = await rigOf();
    // A snapshot is due every second.
    configure(rig, 1);
    const ino = await rig.file('a', bytesOf(1, PAGE));
    await rig.committer.commit();
    await rig.write(ino, 0, bytesOf(2, PAGE));
    await rig.committer.commit();
    const id = hashChunk(bytesOf(1, PAGE));
    expect(rig.volume.isNeeded(id)).toBe(true);
    // Epochs and snapshots come until nothing protects what is dead.
    await expect.poll(() => rig.volume.isNeeded(id), { timeout: 60_000 }).toBe(false);
    await rig.volume.maintain({ forget: [id], stored: [] });
    expect(rig.volume.committed.deadTotals().chunks).toBe(0);
  });
});
