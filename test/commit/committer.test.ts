import { closeSync, openSync } from 'node:fs';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { DfsError } from '../../src/base/errors.ts';
import type { Epoch, Ino } from '../../src/base/ids.ts';
import { silentLog } from '../../src/base/log.ts';
import {
  type CommitBackend,
  Committer,
  type Segment,
  type SmallCommit,
} from '../../src/commit/mod.ts';
import { BLOCK, bytesOf, CacheRig, type Gate, gate } from '../cache/fixture.ts';

/** Keeps chunks in memory and epochs in a list; can be told to wait and to fail. */
class FakeBackend implements CommitBackend {
  readonly published: number[] = [];
  readonly tried: number[] = [];
  /** Epochs that came in one message. */
  readonly small: number[] = [];
  inlineBytes = 0;
  abandoned = 0;
  storing: Promise<void> = Promise.resolve();
  publishing: Promise<void> = Promise.resolve();
  /** Number of publishes that fail from now on. */
  failures = 0;
  readonly #rig: CacheRig;

  constructor(rig: CacheRig) {
    this.#rig = rig;
  }

  async store(segments: Segment[]): Promise<Uint8Array> {
    await this.storing;
    const files = await this.#rig.store(segments);
    return Buffer.concat(
      files.flatMap(({ ranges }) => ranges.flatMap(({ chunk }) => (chunk ? [chunk] : []))),
    );
  }

  async publish({ epoch }: { epoch: Epoch }): Promise<void> {
    this.tried.push(epoch);
    await this.publishing;
    if (this.failures > 0) {
      this.failures--;
      throw new DfsError('UNAVAILABLE', `Cannot publish epoch ${epoch}`);
    }
    this.published.push(epoch);
  }

  async commitSmall(small: SmallCommit): Promise<{ ids: Uint8Array; inlineBytes: number }> {
    let at = 0;
    const ids = small.segments.map(({ lengthBytes }) => {
      at += lengthBytes;
      return this.#rig.keep(Buffer.from(small.content.subarray(at - lengthBytes, at)));
    });
    this.small.push(small.epoch);
    await this.publish(small);
    return { ids: Buffer.concat(ids), inlineBytes: this.inlineBytes };
  }

  checkpoint(): Promise<number> {
    return Promise.resolve(0);
  }

  abandon(): Promise<void> {
    this.abandoned++;
    return Promise.resolve();
  }
}

function setUp(): { rig: CacheRig; backend: FakeBackend; committer: Committer } {
  const rig = new CacheRig();
  const backend = new FakeBackend(rig);
  const committer = new Committer({
    meta: rig.meta,
    cache: rig.cache,
    backend,
    firstEpoch: 1 as Epoch,
    intervalMs: 10_000,
    dirtyBytesMax: 1 << 30,
    log: silentLog,
  });
  onTestFinished(async () => {
    await committer.close({ commit: false });
    await rig.close();
  });
  return { rig, backend, committer };
}

/** Holds the next publish; resolves when it has begun. */
async function held(backend: FakeBackend, start: () => unknown): Promise<Gate> {
  const wall = gate();
  backend.publishing = wall.opened;
  const before = backend.tried.length;
  start();
  await expect.poll(() => backend.tried.length, { interval: 1 }).toBe(before + 1);
  return wall;
}

async function writtenFile(rig: CacheRig, seed = 1): Promise<Ino> {
  const { ino } = rig.file();
  await rig.write(ino, 0, bytesOf(seed, 2 * BLOCK));
  return ino;
}

describe('commitAnyway()', () => {
  test('makes one epoch of a clean volume for all who ask before its cut', async () => {
    const { backend, committer } = setUp();
    committer.commitAnyway();
    committer.commitAnyway();
    await expect.poll(() => committer.totals.commits).toBe(1);
    expect(committer.isClean).toBe(true);
    expect(await committer.commit()).toBe(1);
    expect(backend.tried).toEqual([1]);
  });

  test('of a commit that runs makes another one', async () => {
    const { rig, backend, committer } = setUp();
    await writtenFile(rig);
    const wall = await held(backend, () => committer.commit());
    committer.commitAnyway();
    wall.open();
    await expect.poll(() => committer.totals.commits).toBe(2);
    expect(backend.published).toEqual([1, 2]);
  });

  test('is not tried again when it fails, and the next one is made', async () => {
    const { backend, committer } = setUp();
    backend.failures = 1;
    committer.commitAnyway();
    await expect.poll(() => committer.totals.failures).toBe(1);
    await expect.poll(() => committer.isClean).toBe(true);
    expect(backend.tried).toEqual([1]);
    committer.commitAnyway();
    await expect.poll(() => committer.totals.commits).toBe(1);
    expect(backend.published).toEqual([2]);
  });
});

describe('commit()', () => {
  test('leaves nothing to commit, and what was written is in chunks', async () => {
    const { rig, backend, committer } = setUp();
    const ino = await writtenFile(rig);
    expect(committer.isClean).toBe(false);
    expect(await committer.commit()).toBe(1);
    await expect.poll(() => committer.isClean).toBe(true);
    expect(rig.cache.uncommittedBytes(ino)).toEqual({ dirty: 0, frozen: 0 });
    expect(backend.published).toEqual([1]);
    const [extent] = rig.meta.state.extents.overlapping(ino, 0, 2 * BLOCK);
    expect(extent).toMatchObject({ offset: 0, lengthBytes: 2 * BLOCK });
    expect(committer.status).toMatchObject({ committedEpoch: 1, failure: undefined });
  });

  test('of a clean volume answers at once with the epoch there is', async () => {
    const { rig, backend, committer } = setUp();
    await writtenFile(rig);
    await committer.commit();
    expect(await committer.commit()).toBe(1);
    expect(backend.tried).toEqual([1]);
  });

  test('is shared by all who ask before the cut', async () => {
    const { rig, backend, committer } = setUp();
    await writtenFile(rig);
    const epochs = await Promise.all([committer.commit(), committer.commit(), committer.commit()]);
    expect(epochs).toEqual([1, 1, 1]);
    expect(backend.published).toEqual([1]);
  });

  test('asked for behind a cut is the next epoch, with what was written meanwhile', async () => {
    const { rig, backend, committer } = setUp();
    const ino = await writtenFile(rig, 1);
    let first: Promise<Epoch> | undefined;
    const wall = await held(backend, () => {
      first = committer.commit();
    });
    await rig.write(ino, 0, bytesOf(2, BLOCK));
    const later = [committer.commit(), committer.commit()];
    expect(committer.status.running?.epoch).toBe(1);
    wall.open();
    expect(await first).toBe(1);
    expect(await Promise.all(later)).toEqual([2, 2]);
    expect(backend.published).toEqual([1, 2]);
    await rig.crash({ keepClean: false });
    expect((await rig.content(ino)).subarray(0, BLOCK).equals(bytesOf(2, BLOCK))).toBe(true);
  });

  test('that fails rejects, and the next has a new number and the same bytes', async () => {
    const { rig, backend, committer } = setUp();
    const ino = await writtenFile(rig);
    backend.failures = 1;
    await expect(committer.commit()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(committer.status.failure).toContain('Cannot publish epoch 1');
    expect(committer.status.running).toBeUndefined();
    expect(backend.abandoned).toBe(1);
    expect(rig.cache.uncommittedBytes(ino)).toEqual({ dirty: 2 * BLOCK, frozen: 0 });
    expect(rig.meta.committedEpoch).toBe(0);
    expect(await committer.commit()).toBe(2);
    expect(backend.tried).toEqual([1, 2]);
    expect(committer.status.failure).toBeUndefined();
    await rig.crash({ keepClean: false });
    expect((await rig.content(ino)).equals(bytesOf(1, 2 * BLOCK))).toBe(true);
  });

  test('a failed one does not reject who asked behind its cut', async () => {
    const { rig, backend, committer } = setUp();
    await writtenFile(rig);
    backend.failures = 1;
    let first: Promise<Epoch> | undefined;
    const wall = await held(backend, () => {
      first = committer.commit();
      first.catch(() => undefined);
    });
    const second = committer.commit();
    wall.open();
    await expect(first).rejects.toThrow('epoch 1');
    expect(await second).toBe(2);
  });

  test('a failed store leaves all of it dirty', async () => {
    const { rig, backend, committer } = setUp();
    const inos = [await writtenFile(rig, 1), await writtenFile(rig, 2)];
    backend.storing = Promise.reject(new DfsError('UNAVAILABLE', 'too few disks'));
    backend.storing.catch(() => undefined);
    await expect(committer.commit()).rejects.toThrow('too few disks');
    for (const ino of inos) expect(rig.cache.uncommittedBytes(ino).dirty).toBe(2 * BLOCK);
    backend.storing = Promise.resolve();
    expect(await committer.commit()).toBe(2);
  });

  test('a file truncated behind the cut keeps its new size', async () => {
    const { rig, backend, committer } = setUp();
    const ino = await writtenFile(rig);
    let first: Promise<Epoch> | undefined;
    const wall = await held(backend, () => {
      first = committer.commit();
    });
    await rig.truncate(ino, 100);
    await rig.truncate(ino, BLOCK);
    wall.open();
    await first;
    await committer.commit();
    await rig.crash({ keepClean: false });
    const expected = Buffer.alloc(BLOCK);
    bytesOf(1, 100).copy(expected);
    expect((await rig.content(ino)).equals(expected)).toBe(true);
  });

  test('a mark of a mapped file that cannot be made fails the commit, not the process', async () => {
    const { rig, committer } = setUp();
    await writtenFile(rig);
    const full = vi.spyOn(rig.cache.lending, 'noteMapped').mockImplementation(() => {
      throw new DfsError('NO_SPACE', 'Cannot write: its device is full');
    });
    await expect(committer.commit()).rejects.toThrow('its device is full');
    committer.start();
    await expect.poll(() => committer.status.failure).toContain('its device is full');
    full.mockRestore();
    expect(await committer.commit()).toBe(1);
  });

  test('waits for a full metadata device when the disks have the epoch already', async () => {
    const { rig, backend, committer } = setUp();
    const ino = await writtenFile(rig);
    let done: Promise<Epoch> | undefined;
    const wall = await held(backend, () => {
      done = committer.commit();
    });
    rig.meta.flush();
    rig.meta.state.db.pragma('query_only = 1');
    wall.open();
    await expect.poll(() => committer.status.failure).toContain('Cannot use');
    expect(rig.cache.uncommittedBytes(ino).frozen).toBe(2 * BLOCK);
    rig.meta.state.db.pragma('query_only = 0');
    expect(await done).toBe(1);
    expect(rig.meta.committedEpoch).toBe(1);
    expect(backend.tried).toEqual([1]);
    expect(committer.status.failure).toBeUndefined();
  });
});

describe('in the background', () => {
  test('a commit is made when enough is dirty, and tried again when it fails', async () => {
    const { rig, backend } = setUp();
    const committer = new Committer({
      meta: rig.meta,
      cache: rig.cache,
      backend,
      firstEpoch: 1 as Epoch,
      intervalMs: 1_000_000,
      dirtyBytesMax: BLOCK,
      log: silentLog,
    });
    backend.failures = 1;
    committer.start();
    await writtenFile(rig);
    await expect.poll(() => backend.published, { timeout: 10_000 }).toEqual([2]);
    await committer.close({ commit: false });
  });
});

describe('close()', () => {
  test('commits a last time when asked to', async () => {
    const { rig, backend, committer } = setUp();
    await writtenFile(rig);
    await committer.close({ commit: true });
    expect(backend.published).toEqual([1]);
    await expect(committer.commit()).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('rejects who waits for an epoch that will not come', async () => {
    const { rig, backend, committer } = setUp();
    const ino = await writtenFile(rig);
    let first: Promise<Epoch> | undefined;
    const wall = await held(backend, () => {
      first = committer.commit();
    });
    await rig.write(ino, 0, bytesOf(3, BLOCK));
    const second = committer.commit();
    second.catch(() => undefined);
    const closed = committer.close({ commit: false });
    wall.open();
    await closed;
    expect(await first).toBe(1);
    await expect(second).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('waits with the cut for a file that is being cut', async () => {
    const { rig, committer } = setUp();
    const { ino } = rig.file();
    await rig.write(ino, 0, bytesOf(1, 6 * 2 ** 20));
    const truncated = rig.truncate(ino, BLOCK);
    expect(rig.cache.resizing).toBeDefined();
    await committer.commit();
    await truncated;
    expect(rig.meta.state.inode(ino)?.sizeBytes).toBe(BLOCK);
    expect(rig.meta.pendingOps).toBe(0);
    expect(rig.cache.dirtyBytes).toBe(0);
    expect((await rig.content(ino)).equals(bytesOf(1, BLOCK))).toBe(true);
  });
});

test('a file that a mapping may change stays marked dirty when its epoch is committed', async () => {
  const { rig, committer } = setUp();
  const { ino } = rig.file();
  await rig.write(ino, 0, bytesOf(5, 2 * BLOCK));
  await committer.commit();
  expect(rig.meta.dirtyInodes()).toEqual([]);
  const { lending } = rig.cache;
  const mapped = openSync(lending.lend(rig.inode(ino)) ?? '', 'r+');
  lending.writing(ino);
  await committer.commit();
  expect(rig.meta.dirtyInodes().map((mark) => mark.ino)).toEqual([ino]);
  closeSync(mapped);
});
