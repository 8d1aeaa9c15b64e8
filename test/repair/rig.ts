import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChunkId, chunkKey, type DiskId, type Epoch } from '../../src/base/ids.ts';
import { silentLog } from '../../src/base/log.ts';
import { BucketDisk } from '../../src/bucket/mod.ts';
import { formatScheme, hashChunk, parseScheme, type Scheme } from '../../src/chunk/mod.ts';
import {
  createDiskMap,
  createPlacer,
  type DiskEntry,
  type DiskMap,
} from '../../src/diskmap/mod.ts';
import type { ChunkRow, DeadChunk } from '../../src/meta/mod.ts';
import {
  Foreground,
  type FoundPiece,
  type Maintenance,
  Work,
  type WorkFacts,
  type WorkVolume,
} from '../../src/repair/mod.ts';
import { ChunkStore, type ChunkToStore } from '../../src/store/mod.ts';
import { VOLUME_TAG } from '../bucket/fixture.ts';

/** Rows of chunks as an epoch left them, in memory. */
class Rows {
  readonly #byKey = new Map<string, ChunkRow>();

  chunk(id: ChunkId): ChunkRow | undefined {
    return this.#byKey.get(chunkKey(id));
  }

  put(row: ChunkRow): void {
    this.#byKey.set(chunkKey(row.id), row);
  }

  forget(id: ChunkId): void {
    if (this.chunk(id)?.refs === 0) this.#byKey.delete(chunkKey(id));
  }

  allChunksAfter(after: Buffer, limit: number): ChunkRow[] {
    return this.all()
      .filter(({ id }) => id.compare(after) > 0)
      .slice(0, limit);
  }

  deadChunks(limit: number, after?: Pick<DeadChunk, 'died' | 'id'>): DeadChunk[] {
    const dead = this.all().flatMap((row) => (row.died === null ? [] : { ...row, died: row.died }));
    const isBehind = (row: DeadChunk): boolean =>
      after === undefined ||
      row.died > after.died ||
      (row.died === after.died && row.id.compare(after.id) > 0);
    const order = (a: DeadChunk, b: DeadChunk): number => a.died - b.died || a.id.compare(b.id);
    return dead.filter(isBehind).toSorted(order).slice(0, limit);
  }

  all(): ChunkRow[] {
    return [...this.#byKey.values()].toSorted((a, b) => a.id.compare(b.id));
  }
}

/** Chunks on real disks in folders with the rows of a volume, and its background work. */
export class WorkRig implements WorkVolume {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'dfs-work-'));
  readonly rows: Rows = new Rows();
  readonly contents = new Map<string, Buffer>();
  readonly foreground = new Foreground();
  settings = { workShare: 0.5, scrubDays: 30 };
  /** Epochs below this are protected: what died in one of them stays. */
  protectedUpTo = 0;
  epoch = 1;
  map: DiskMap;
  chunks: ChunkStore;
  /** Whatever it was that Work could not forgive. */
  invariant: unknown;
  /** Called before each change of the metadata and each removal; it may throw. */
  onStep: (step: string) => void = () => undefined;
  readonly #buckets = new Map<DiskId, BucketDisk>();
  #work: Work | undefined;

  private constructor(map: DiskMap, buckets: Map<DiskId, BucketDisk>) {
    this.map = map;
    this.#buckets = buckets;
    this.chunks = this.#store();
  }

  static async create(count: number, scheme: string): Promise<WorkRig> {
    const disks = Array.from({ length: count }, (_, at) => entryOf(at + 1));
    const volumeUuid = '00000000-0000-4000-8000-00000000abcd';
    const map = createDiskMap({ version: 1, volumeUuid, scheme, bucketBytes: 2 ** 30, disks });
    const rig = new WorkRig(map, new Map());
    for (const { id } of disks) await rig.#open(id);
    rig.chunks = rig.#store();
    return rig;
  }

  get committed(): Rows {
    return this.rows;
  }

  get head(): { epoch: Epoch } {
    return { epoch: this.epoch as Epoch };
  }

  get work(): Work {
    if (this.#work === undefined) throw new Error('Cannot use the work: it was not started');
    return this.#work;
  }

  folderOf(id: number): string {
    return join(this.folder, `disk-${id}`);
  }

  async #open(id: DiskId): Promise<void> {
    const folder = this.folderOf(id);
    const options = { folder, volumeTag: VOLUME_TAG, diskId: id, create: true };
    this.#buckets.set(id, await BucketDisk.open(options));
  }

  #store(): ChunkStore {
    const disks = new Map(this.map.disks.map(({ id }) => [id, this.#buckets.get(id)]));
    return new ChunkStore({ placer: createPlacer(this.map), disks, log: silentLog });
  }

  /** Stores chunks that a new epoch then has; their numbers are their content. */
  async put(numbers: readonly number[], bytes = 20_000): Promise<void> {
    const scheme = parseScheme(this.map.scheme);
    const chunks = numbers.map((number) => contentOf(number, bytes, scheme));
    await this.storeAll(chunks);
    this.epoch++;
    for (const { id, content } of chunks) {
      this.contents.set(chunkKey(id), content);
      const fields = { scheme: this.map.scheme, refs: 1, born: this.epoch as Epoch, died: null };
      this.rows.put({ id, lengthBytes: content.length, ...fields });
    }
  }

  /** Nothing names these any more. */
  drop(numbers: readonly number[], bytes = 20_000): void {
    this.epoch++;
    for (const number of numbers) {
      const { id } = contentOf(number, bytes, { kind: 'replica', copies: 1 });
      const row = this.rows.chunk(id);
      if (row !== undefined) this.rows.put({ ...row, refs: 0, died: this.epoch as Epoch });
      this.contents.delete(chunkKey(id));
    }
  }

  protects({ died }: Pick<DeadChunk, 'born' | 'died'>): boolean {
    return died <= this.protectedUpTo;
  }

  maintain({ forget, stored }: Maintenance): Promise<Epoch> {
    this.onStep('maintain');
    this.epoch++;
    for (const { id, scheme } of stored) {
      const row = this.rows.chunk(id);
      if (row !== undefined) this.rows.put({ ...row, scheme });
    }
    for (const id of forget) this.rows.forget(id);
    return Promise.resolve(this.epoch as Epoch);
  }

  async storeAll(chunks: readonly ChunkToStore[]): Promise<void> {
    const session = this.chunks.session();
    await session.putMany(chunks);
    if ((await session.sync()).length > 0) throw new Error('a disk failed while it was synced');
  }

  async removeSurplus(pieces: readonly FoundPiece[]): Promise<number> {
    this.onStep('removeSurplus');
    for (const piece of pieces) await this.#buckets.get(piece.diskId)?.remove([piece]);
    return pieces.length;
  }

  async removeUnneeded(pieces: readonly FoundPiece[]): Promise<number> {
    this.onStep('removeUnneeded');
    let removed = 0;
    for (const piece of pieces) {
      const row = this.rows.chunk(piece.chunkId);
      if (row?.scheme === formatScheme(piece.scheme)) continue;
      await this.#buckets.get(piece.diskId)?.remove([piece]);
      removed++;
    }
    return removed;
  }

  /** The next version of the map, in use at once; new disks are opened. */
  async change(edit: (disks: DiskEntry[]) => DiskEntry[], scheme = this.map.scheme): Promise<void> {
    const disks = edit([...this.map.disks]);
    this.map = createDiskMap({ ...this.map, version: this.map.version + 1, scheme, disks });
    for (const { id } of disks) if (!this.#buckets.has(id)) await this.#open(id);
    this.chunks = this.#store();
    this.#work?.changed();
  }

  /** A disk is gone, with all that is on it. */
  async lose(id: number): Promise<void> {
    const disk = this.#buckets.get(id as DiskId);
    this.#buckets.delete(id as DiskId);
    await disk?.close();
    rmSync(this.folderOf(id), { recursive: true });
    this.chunks = this.#store();
  }

  async start(): Promise<Work> {
    this.#work = await Work.start({
      volume: this,
      path: join(this.folder, 'work'),
      foreground: this.foreground,
      log: silentLog,
      onInvariant: (error) => {
        this.invariant = error;
      },
    });
    return this.#work;
  }

  /** Starts the work, lets it end, and stops it. */
  async settle(): Promise<WorkFacts> {
    const work = await this.start();
    try {
      return await work.wait();
    } finally {
      await work.close();
    }
  }

  /** Ends all and opens it anew, as after a crash: what was not written is lost. */
  async reopen(): Promise<void> {
    await this.#work?.close();
    for (const [id, disk] of this.#buckets) {
      await disk.close();
      await this.#open(id);
    }
    this.chunks = this.#store();
  }

  /** What all pieces on all disks take. */
  async usedBytes(): Promise<number> {
    let bytes = 0;
    for (const disk of this.#buckets.values()) bytes += (await disk.usage()).bytes;
    return bytes;
  }

  /** Fails unless every chunk is whole: each piece on its home and good, and nothing else anywhere. */
  async problems(): Promise<string[]> {
    const problems: string[] = [];
    const placer = createPlacer(this.map);
    const expected = new Set<string>();
    for (const { id, scheme, lengthBytes } of this.rows.all()) {
      const parsed = parseScheme(scheme);
      const report = await this.chunks.verify({ id, scheme: parsed, chunkBytes: lengthBytes });
      const homes = placer.place(id, report.pieces.length);
      for (const { index, diskId, health } of report.pieces) {
        const home = homes[index]?.disk.id;
        expected.add(`${diskId} ${chunkKey(id)} ${scheme} ${index}`);
        if (health === 'ok' && diskId === home) continue;
        problems.push(`piece ${index} of ${chunkKey(id)}: ${health} on ${diskId}, home ${home}`);
      }
      if (scheme !== this.map.scheme) problems.push(`${chunkKey(id)} is ${scheme}`);
    }
    for (const [diskId, disk] of this.#buckets) {
      for (const piece of await disk.list(undefined, 1_000_000)) {
        const { chunkId, scheme, pieceIndex } = piece;
        const name = `${diskId} ${chunkKey(chunkId)} ${formatScheme(scheme)} ${pieceIndex}`;
        if (!expected.has(name)) problems.push(`surplus: ${name}`);
      }
    }
    return problems;
  }

  /** Chunks whose content cannot be read as it was stored. */
  async unreadable(): Promise<string[]> {
    const found: string[] = [];
    for (const { id, scheme, lengthBytes } of this.rows.all()) {
      if (!this.contents.has(chunkKey(id))) continue;
      const chunk = { id, scheme: parseScheme(scheme), chunkBytes: lengthBytes };
      const content = await this.chunks.get(chunk).catch(() => undefined);
      if (content?.equals(this.contents.get(chunkKey(id)) ?? Buffer.alloc(0)) === true) continue;
      found.push(chunkKey(id));
    }
    return found;
  }

  async remove(): Promise<void> {
    await this.#work?.close();
    for (const disk of this.#buckets.values()) await disk.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function entryOf(id: number): DiskEntry {
  const uuid = `00000000-0000-4000-8000-${String(id).padStart(12, '0')}`;
  const place = { room: 1, row: 1, rack: 1, machine: 1, disk: id };
  return { id: id as DiskId, uuid, ...place, weight: 8, state: 'in', label: '' };
}

function contentOf(
  number: number,
  bytes: number,
  scheme: Scheme,
): { id: ChunkId; content: Buffer; scheme: Scheme } {
  const content = Buffer.alloc(bytes + (number % 7), `chunk ${number} of the rig. `);
  return { id: hashChunk(content), content, scheme };
}
