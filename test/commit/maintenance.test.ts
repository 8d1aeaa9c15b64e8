import { rmSync } from 'node:fs';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { DfsError } from '../../src/base/errors.ts';
import type { ChunkId, Ino } from '../../src/base/ids.ts';
import { DEFAULT_SETTINGS } from '../../src/base/settings.ts';
import { hashChunk, type PieceKey, parseScheme, pieceKeysOf } from '../../src/chunk/mod.ts';
import { homePaths } from '../../src/home/mod.ts';
import { bytesOf, gate } from '../cache/fixture.ts';
import { Dice, seedOf } from '../harness/seed.ts';
import { VolumeRig } from './fixture.ts';

const PAGE = 4096;
const NONE = { forget: [], stored: [] };

async function rigOf(scheme = 'replica:2'): Promise<VolumeRig> {
  const rig = await VolumeRig.create({ scheme });
  onTestFinished(() => rig.remove());
  keepNothing(rig);
  return rig;
}

/** Nothing but the newest two snapshots, and what is between them and now, protects garbage. */
function keepNothing(rig: VolumeRig): void {
  rig.volume.configure({ ...DEFAULT_SETTINGS, garbageGraceMs: 0, retentionMs: 0 });
}

/** An epoch with a snapshot, twice: what is dead by now is no longer protected. */
async function age(rig: VolumeRig): Promise<void> {
  for (let times = 0; times < 2; times++) {
    await rig.volume.maintain(NONE);
    await rig.volume.snapshot();
  }
}

/** Content that a file had and lost: its chunk is dead, and garbage unless `isYoung`. */
async function garbage(rig: VolumeRig, content: Buffer, isYoung = false): Promise<ChunkId> {
  const ino = await rig.file('old', content);
  await rig.committer.commit();
  await rig.write(ino, 0, bytesOf(4711, content.length));
  await rig.committer.commit();
  if (!isYoung) await age(rig);
  return hashChunk(content);
}

/** What garbage collection does with a chunk, after an epoch forgot it or without one. */
async function removePieces(rig: VolumeRig, id: ChunkId): Promise<number> {
  const pieces = pieceKeysOf(id, parseScheme(rig.volume.map.scheme));
  const isNeeded = ({ chunkId }: PieceKey): boolean => rig.volume.isNeeded(chunkId);
  return rig.volume.chunks.removeUnneeded(pieces, isNeeded);
}

async function piecesOf(rig: VolumeRig, id: ChunkId): Promise<number> {
  const scheme = parseScheme(rig.volume.map.scheme);
  const reports = await rig.volume.chunks.locate({ id, scheme });
  return reports.filter(({ health }) => health === 'ok').length;
}

const chunk = (id: ChunkId): string => id.toString('hex').slice(0, 8);

/** The next publish fails, as when the logs of two disks have no room at that moment. */
function failNextPublish(rig: VolumeRig): void {
  for (const { log } of rig.volume.disks.slice(1)) {
    if (log === undefined) throw new Error('a disk has no log');
    const full = new DfsError('NO_SPACE', 'Cannot write a record: the disk is full');
    vi.spyOn(log, 'appendSynced').mockRejectedValueOnce(full);
  }
}

/** Loses HOME's metadata: what comes back comes from the disks. */
async function loseMetadata(rig: VolumeRig): Promise<void> {
  await rig.crash();
  const { meta, committed, cache } = homePaths(rig.home);
  for (const path of [meta, committed]) {
    for (const suffix of ['', '-wal', '-shm', '-ops0', '-ops1']) {
      rmSync(path + suffix, { force: true });
    }
  }
  rmSync(cache, { recursive: true });
  await rig.open();
  keepNothing(rig);
}

describe('maintain()', () => {
  test('makes an epoch of a clean volume, and is in it', async () => {
    const rig = await rigOf();
    const id = await garbage(rig, bytesOf(1, PAGE));
    const before = rig.volume.head.epoch;
    expect(rig.committer.isClean).toBe(true);
    const epoch = await rig.volume.maintain({ forget: [id], stored: [] });
    expect(epoch).toBe(before + 1);
    expect(rig.volume.head.epoch).toBe(epoch);
    expect(rig.volume.committed.chunk(id)).toBeUndefined();
    expect(await removePieces(rig, id)).toBe(2);
    await expect.poll(() => rig.meta.committedEpoch).toBe(epoch);
  });

  test('forgets nothing that is named, protected or unknown', async () => {
    const rig = await rigOf();
    const young = await garbage(rig, bytesOf(1, PAGE), true);
    const named = hashChunk(bytesOf(4711, PAGE));
    const unknown = hashChunk(bytesOf(2, PAGE));
    const forget = [young, named, unknown];
    await rig.volume.maintain({ forget, stored: [] });
    expect(rig.volume.committed.chunk(young)).toMatchObject({ refs: 0 });
    expect(rig.volume.committed.chunk(named)).toMatchObject({ refs: 1 });
    expect(forget.map((id) => rig.volume.isNeeded(id))).toEqual([true, true, false]);
  });

  test('notes another scheme of chunks that are known, and of no others', async () => {
    const rig = await rigOf();
    const content = bytesOf(1, PAGE);
    await rig.file('a', content);
    await rig.committer.commit();
    const id = hashChunk(content);
    const scheme = parseScheme('replica:3');
    const session = rig.volume.chunks.session();
    await session.put({ id, content, scheme });
    expect(await session.sync()).toEqual([]);
    const unknown = hashChunk(bytesOf(2, PAGE));
    const stored = [id, unknown].map((one) => ({
      id: one,
      lengthBytes: PAGE,
      scheme: 'replica:3',
    }));
    await rig.volume.maintain({ forget: [], stored });
    expect(rig.volume.committed.chunk(id)).toMatchObject({ scheme: 'replica:3', refs: 1 });
    expect(rig.volume.committed.chunk(unknown)).toBeUndefined();
    await loseMetadata(rig);
    expect(rig.volume.committed.chunk(id)).toMatchObject({ scheme: 'replica:3', refs: 1 });
    expect(await rig.committedContent('a')).toEqual(content);
  });

  test('is told at once of an epoch that fails, and may ask again', async () => {
    const rig = await rigOf();
    const id = await garbage(rig, bytesOf(1, PAGE));
    failNextPublish(rig);
    const failing = rig.volume.maintain({ forget: [id], stored: [] });
    await expect(failing).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(rig.volume.committed.chunk(id)).toBeDefined();
    await rig.volume.maintain({ forget: [id], stored: [] });
    expect(rig.volume.committed.chunk(id)).toBeUndefined();
  });

  test('is told that the volume closes', async () => {
    const rig = await rigOf();
    const id = await garbage(rig, bytesOf(1, PAGE));
    await rig.committer.close({ commit: false });
    const waiting = rig.volume.maintain({ forget: [id], stored: [] });
    const told = expect(waiting).rejects.toMatchObject({ code: 'CLOSED' });
    await rig.volume.close();
    await told;
    await expect(rig.volume.maintain(NONE)).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('resolves when the disks have the epoch, not before', async () => {
    const rig = await rigOf();
    const id = await garbage(rig, bytesOf(1, PAGE));
    const [log] = rig.volume.disks.map((disk) => disk.log);
    if (log === undefined) throw new Error('a disk has no log');
    const wall = gate();
    const append = log.appendSynced.bind(log);
    const spy = vi.spyOn(log, 'appendSynced').mockImplementation(async (record, header) => {
      await wall.opened;
      await append(record, header);
    });
    let isTold = false;
    const told = rig.volume.maintain({ forget: [id], stored: [] }).then(() => {
      isTold = true;
    });
    await expect.poll(() => spy.mock.calls.length).toBe(1);
    expect(isTold).toBe(false);
    expect(rig.volume.isNeeded(id)).toBe(false);
    expect(rig.volume.committed.chunk(id)).toBeDefined();
    wall.open();
    await told;
    expect(rig.volume.committed.chunk(id)).toBeUndefined();
  });
});

describe('a chunk that is to be forgotten', () => {
  for (const isUrgent of [false, true]) {
    const kind = isUrgent ? 'small' : 'large';

    test(`stays when a ${kind} commit of the same epoch has its content`, async () => {
      const rig = await rigOf();
      const content = bytesOf(1, PAGE);
      const id = await garbage(rig, content);
      await rig.file('new', content);
      const [epoch] = await Promise.all([
        rig.volume.maintain({ forget: [id], stored: [] }),
        rig.committer.commit({ isUrgent }),
      ]);
      expect(rig.volume.head.epoch).toBe(epoch);
      expect(rig.volume.committed.chunk(id)).toMatchObject({ refs: 1, scheme: 'replica:2' });
      expect(await removePieces(rig, id)).toBe(0);
      await loseMetadata(rig);
      expect(await rig.committedContent('new')).toEqual(content);
    });

    test(`is stored again by a ${kind} commit behind the epoch that forgot it`, async () => {
      const rig = await rigOf();
      const content = bytesOf(1, PAGE);
      const id = await garbage(rig, content);
      await rig.volume.maintain({ forget: [id], stored: [] });
      // The forget may wait to be taken over, and its pieces are there or not.
      await rig.file('new', content);
      await rig.committer.commit({ isUrgent });
      await removePieces(rig, id);
      expect(rig.volume.committed.chunk(id)).toMatchObject({ refs: 1 });
      await loseMetadata(rig);
      expect(await rig.committedContent('new')).toEqual(content);
      expect(rig.volume.committed.inconsistencies()).toEqual([]);
    });

    test(`and has lost its pieces already is stored again by a ${kind} commit`, async () => {
      const rig = await rigOf();
      const content = bytesOf(1, PAGE);
      const id = await garbage(rig, content);
      expect(await removePieces(rig, id)).toBe(2);
      expect(rig.volume.committed.chunk(id)).toBeDefined();
      await rig.file('new', content);
      await rig.committer.commit({ isUrgent });
      expect(await piecesOf(rig, id)).toBe(2);
      await loseMetadata(rig);
      expect(await rig.committedContent('new')).toEqual(content);
    });

    test(`stays when a ${kind} commit that has its content fails, and the next has it`, async () => {
      const rig = await rigOf();
      const content = bytesOf(1, PAGE);
      const id = await garbage(rig, content);
      await rig.file('new', content);
      failNextPublish(rig);
      const asked = rig.volume.maintain({ forget: [id], stored: [] });
      const told = expect(asked).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await expect(rig.committer.commit({ isUrgent })).rejects.toThrow(/Cannot publish/);
      await told;
      expect(rig.volume.committed.chunk(id)).toMatchObject({ refs: 0 });
      await removePieces(rig, id);
      await rig.committer.commit({ isUrgent });
      await loseMetadata(rig);
      expect(await rig.committedContent('new')).toEqual(content);
    });
  }

  test('is needed from the moment a commit has taken it up, before its pieces are put', async () => {
    const rig = await rigOf();
    const content = bytesOf(1, PAGE);
    const id = await garbage(rig, content);
    expect(rig.volume.isNeeded(id)).toBe(false);
    const wall = gate();
    let puts = 0;
    for (const { buckets } of rig.volume.disks) {
      if (buckets === undefined) continue;
      const append = buckets.append.bind(buckets);
      buckets.append = async (pieces) => {
        puts++;
        await wall.opened;
        await append(pieces);
      };
    }
    await rig.file('new', content);
    const committed = rig.committer.commit();
    await expect.poll(() => puts).toBeGreaterThan(0);
    expect(rig.volume.isNeeded(id)).toBe(true);
    wall.open();
    await committed;
    expect(await rig.committedContent('new')).toEqual(content);
  });
});

/** What a random run knows of an epoch. */
interface KnownEpoch {
  /** Files, and the numbers of their contents. */
  files: Map<string, number>;
  /** Chunks that it names and whose content is in pieces. */
  chunks: ChunkId[];
}

const CONTENTS = 8;
const contentOf = (number: number): Buffer => bytesOf(9000 + number, PAGE);

class RandomRun {
  readonly #rig: VolumeRig;
  readonly #dice: Dice;
  readonly #live = new Map<string, number>();
  readonly #inos = new Map<string, Ino>();
  readonly #epochs = new Map<number, KnownEpoch>();

  constructor(rig: VolumeRig, dice: Dice) {
    this.#rig = rig;
    this.#dice = dice;
  }

  async step(): Promise<void> {
    const dice = this.#dice;
    for (let writes = dice.below(3); writes > 0; writes--) await this.#write();
    const work: Promise<unknown>[] = [];
    if (dice.below(8) === 0) failNextPublish(this.#rig);
    if (dice.below(3) > 0) work.push(this.#commit(dice.below(2) === 0));
    if (dice.below(2) === 0) work.push(this.#forget());
    await Promise.all(work);
    if (dice.below(2) === 0) await this.#collect();
    vi.restoreAllMocks();
    if (dice.below(3) === 0) await this.#rig.volume.snapshot();
    this.#note();
    await this.#check();
    const end = dice.below(20);
    if (end > 0 || !this.#rig.committer.isClean) return;
    if (dice.below(2) === 0) await loseMetadata(this.#rig);
    else {
      await this.#rig.reopen();
      keepNothing(this.#rig);
    }
  }

  async #write(): Promise<void> {
    const name = this.#dice.pick(['a', 'b', 'c', 'd']);
    const number = this.#dice.below(CONTENTS);
    const ino = this.#inos.get(name);
    const content = contentOf(number);
    if (ino === undefined) this.#inos.set(name, await this.#rig.file(name, content));
    else await this.#rig.write(ino, 0, content);
    this.#live.set(name, number);
  }

  /** Makes an epoch of everything, or fails to. */
  async #commit(isUrgent: boolean): Promise<void> {
    await this.#rig.committer.commit({ isUrgent }).catch(expectUnavailable);
  }

  async #forget(): Promise<void> {
    const { volume } = this.#rig;
    const dead = volume.committed.deadChunks(1000);
    const forget = dead.filter(() => this.#dice.below(3) > 0).map(({ id }) => id);
    await volume.maintain({ forget, stored: [] }).catch(expectUnavailable);
  }

  /** Removes what is not needed: nothing is being put at the moment. */
  async #collect(): Promise<void> {
    for (let number = 0; number < CONTENTS; number++) {
      if (this.#dice.below(2) > 0) await removePieces(this.#rig, hashChunk(contentOf(number)));
    }
  }

  /** The newest epoch, if it has all there is. */
  #note(): void {
    const { volume, committer } = this.#rig;
    const { committed, head } = volume;
    if (!committer.isClean) return;
    const rows = committed.chunksAfter(Buffer.alloc(0), 1000);
    const chunks = rows.filter(({ scheme }) => scheme !== 'inline').map(({ id }) => id);
    this.#epochs.set(head.epoch, { files: new Map(this.#live), chunks });
  }

  async #check(): Promise<void> {
    const { volume } = this.#rig;
    const { committed, head, retained } = volume;
    expect(committed.inconsistencies()).toEqual([]);
    for (const [name, number] of this.#epochs.get(head.epoch)?.files ?? []) {
      const content = await this.#rig.committedContent(name);
      const state = `${name} at epoch ${head.epoch} is content ${number}`;
      expect(content?.equals(contentOf(number)), state).toBe(true);
    }
    const snapshots = new Set(retained.snapshots.map(({ epoch }) => epoch));
    for (const [epoch, { chunks }] of this.#epochs) {
      if (epoch < retained.windowStart && !snapshots.has(epoch)) continue;
      for (const id of chunks) {
        const state = `chunk ${chunk(id)} of epoch ${epoch}, now at ${head.epoch}`;
        expect(await piecesOf(this.#rig, id), state).toBe(2);
      }
    }
  }
}

function expectUnavailable(error: unknown): void {
  if (!(error instanceof DfsError) || error.code !== 'UNAVAILABLE') throw error;
}

describe('random work with garbage collected around it', () => {
  const seed = seedOf('test/commit/maintenance.test.ts');
  for (let run = 0; run < 4; run++) {
    test(`leaves every retained epoch what it names (${run})`, async () => {
      const random = new RandomRun(await rigOf(), new Dice(seed + run));
      for (let step = 0; step < 40; step++) await random.step();
    });
  }
});
