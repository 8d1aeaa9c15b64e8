import { mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { assert, DfsError } from '../base/errors.ts';
import type { ChunkId, DiskId } from '../base/ids.ts';
import { syncFolder } from '../base/publish.ts';
import { type PieceKey, pieceKeyText } from '../chunk/mod.ts';
import { BucketFiles } from './bucket-files.ts';
import { recordBytes, VOLUME_TAG_BYTES } from './bucket-format.ts';
import {
  BucketIndex,
  type IndexedPiece,
  type ListedRow,
  type PieceLocation,
} from './bucket-index.ts';
import {
  type BucketDamage,
  type InspectedFile,
  inspectFiles,
  recoverBuckets,
} from './bucket-recovery.ts';
import { ioError } from './disk-errors.ts';
import { type BucketIo, systemIo } from './file-io.ts';
import { type BucketPiece, checkPiece, planWrites } from './piece-writes.ts';
import { readRecord, type StoredPiece } from './read-record.ts';
import { RoomCheck } from './room-check.ts';
import { SlotFiles } from './slot-files.ts';
import { type DiskUsage, UsageCounter } from './usage.ts';
import { type PieceCheck, verifyPieces } from './verify-pieces.ts';

// States: open -> closed. While open, the files may fail for good (bucket-files.ts); from then on
// every call throws UNAVAILABLE.
//
// Invariants.
// 1. A piece is indexed after it was written, and written again unless its record verifies: an
//    index row alone never lets append() skip a piece.
// 2. append() and remove() run one at a time, sync() too; read() runs beside them.
// 3. When open() returns, all that is indexed is synced.

/** How to open a disk. */
export interface BucketDiskOptions {
  /** The folder on the disk that is ours. */
  readonly folder: string;
  /** 8 bytes that tell this volume from others. */
  readonly volumeTag: Buffer;
  readonly diskId: DiskId;
  /** Makes the folder if it is missing. */
  readonly create?: boolean;
  /** Changes nothing on the disk. */
  readonly readOnly?: boolean;
  /** The system calls, replaced by tests. */
  readonly io?: BucketIo;
}

/** The pieces on one disk: append-only bucket files, and an index that can be lost. */
export class BucketDisk {
  readonly folder: string;
  readonly diskId: DiskId;
  /** What opening found not to be as it was written. */
  readonly damage: readonly BucketDamage[];
  /** Small mutable objects, beside the pieces. */
  readonly slots: SlotFiles;
  readonly #volumeTag: Buffer;
  readonly #readOnly: boolean;
  readonly #index: BucketIndex;
  readonly #files: BucketFiles;
  readonly #usage: UsageCounter;
  readonly #room: RoomCheck;
  #closed = false;
  #writing: Promise<unknown> = Promise.resolve();
  #syncing: Promise<unknown> = Promise.resolve();

  private constructor(options: BucketDiskOptions, index: BucketIndex, damage: BucketDamage[]) {
    const { folder, diskId, volumeTag, readOnly = false, io = systemIo } = options;
    this.folder = folder;
    this.diskId = diskId;
    this.damage = damage;
    this.slots = new SlotFiles({ folder, volumeTag, diskId, readOnly });
    this.#volumeTag = volumeTag;
    this.#readOnly = readOnly;
    this.#index = index;
    this.#usage = new UsageCounter(index.totals());
    this.#room = new RoomCheck(this.#label, () => this.space());
    const bucketsFolder = join(folder, 'buckets');
    this.#files = new BucketFiles({ bucketsFolder, label: this.#label, readOnly, io });
  }

  /**
   * Opens a disk and puts right what a crash tore: NOT_FOUND without its folder, FOREIGN when it is
   * another volume's or disk's, BUSY when another process has it open, NEWER_FORMAT.
   */
  static async open(options: BucketDiskOptions): Promise<BucketDisk> {
    const { folder, volumeTag, diskId, create = false, readOnly = false } = options;
    assert(volumeTag.length === VOLUME_TAG_BYTES, 'a volume tag has 8 bytes');
    const bucketsFolder = join(folder, 'buckets');
    try {
      if (create && !readOnly && (await mkdir(bucketsFolder, { recursive: true }))) {
        await syncFolder(folder);
      }
      const inspected = await inspectFiles({ bucketsFolder, volumeTag, diskId });
      try {
        return await BucketDisk.#recover(options, inspected, false);
      } catch (error) {
        if (!(error instanceof DfsError) || error.code !== 'CORRUPT') throw error;
        // Only the index can be too damaged to go on, and it can be done without.
        return await BucketDisk.#recover(options, inspected, true);
      }
    } catch (error) {
      throw ioError(`open disk ${diskId} at ${folder}`, error);
    }
  }

  static async #recover(
    options: BucketDiskOptions,
    inspected: readonly InspectedFile[],
    discard: boolean,
  ): Promise<BucketDisk> {
    const { folder, volumeTag, diskId, readOnly = false, io = systemIo } = options;
    const owner = { bucketsFolder: join(folder, 'buckets'), volumeTag, diskId };
    const path = join(folder, 'index.sqlite');
    const index = new BucketIndex({ path, volumeTag, diskId, readOnly, discard });
    try {
      const damage: BucketDamage[] = [];
      const recovered = await recoverBuckets({ ...owner, index, readOnly, io }, inspected, damage);
      const disk = new BucketDisk(options, index, damage);
      await disk.#files.adopt(recovered);
      if (recovered.some(({ dirty }) => dirty) && !readOnly) await disk.sync();
      return disk;
    } catch (error) {
      index.close();
      throw error;
    }
  }

  /** How many times a file or a folder was synced. */
  get syncCount(): number {
    return this.#files.syncCount;
  }

  /** How many bucket files are open. */
  get openFileCount(): number {
    return this.#files.openCount;
  }

  /**
   * Writes pieces, each bucket's in one go, without syncing them. A piece that is already there and
   * whole is not written again. NO_SPACE or IO when a write fails; pieces of other buckets may be
   * there then.
   */
  async append(pieces: readonly BucketPiece[]): Promise<void> {
    this.#checkWritable('append to');
    for (const piece of pieces) checkPiece(piece);
    await this.#exclusive(() => this.#append(pieces));
  }

  /** Returns when every piece appended before the call is on the platter; a failure is final. */
  async sync(): Promise<void> {
    this.#checkWritable('sync');
    const done = this.#syncing.then(() => this.#sync());
    this.#syncing = done.catch(() => undefined);
    await done;
  }

  /** The piece, verified; undefined if it is not here, CORRUPT if it is not what was written. */
  async read({ chunkId, scheme, pieceIndex }: PieceKey): Promise<StoredPiece | undefined> {
    this.#check('read from');
    const key = { chunkId, scheme, pieceIndex };
    const location = this.#index.get(key);
    if (location === undefined) return undefined;
    const { diskId, folder } = this;
    const volumeTag = this.#volumeTag;
    const piece: IndexedPiece = { ...location, ...key };
    try {
      const stored = await this.#files.use(location.bucket, (handle) =>
        readRecord({ handle, piece, volumeTag, diskId, folder }),
      );
      if (stored === undefined) this.#forget(piece);
      return stored;
    } catch (error) {
      throw ioError(`read bucket ${location.bucket} of ${this.#label}`, error);
    }
  }

  /** True when the piece is indexed and not known to be bad. */
  async has(key: PieceKey): Promise<boolean> {
    const found = await this.find(key);
    return found !== undefined && !found.bad;
  }

  /** Where the index says that a piece lies, and whether it is known to be bad. */
  find(key: PieceKey): Promise<{ bucket: number; bad: boolean } | undefined> {
    return this.#answer('look into', () => {
      const location = this.#index.get(key);
      if (location === undefined) return undefined;
      return { bucket: location.bucket, bad: this.#index.isBad(key) };
    });
  }

  /** Remembers that a piece did not verify, until it is written again or removed. */
  markBad(key: PieceKey): Promise<void> {
    return this.#answer('mark a piece of', () => this.#index.markBad(key));
  }

  /** How many pieces are known to be bad. */
  badCount(): Promise<number> {
    return this.#answer('look into', () => this.#index.badCount());
  }

  /** What the pieces take, headers and padding included. */
  usage(): Promise<DiskUsage> {
    return this.#answer('measure', () => this.#usage.usage());
  }

  /** The file system that the disk is on: its size as far as we may have it, as df has it. */
  async space(): Promise<{ totalBytes: number; freeBytes: number }> {
    this.#check('measure');
    try {
      const { bsize, blocks, bfree, bavail } = await statfs(this.folder);
      return { totalBytes: (blocks - bfree + bavail) * bsize, freeBytes: bavail * bsize };
    } catch (error) {
      throw ioError(`measure the file system of ${this.#label}`, error);
    }
  }

  /**
   * The pieces of the chunks behind `after` by the index, in the order of the chunks' ids: about
   * `limit` of them, all pieces of a chunk in one answer; none when there are no more.
   */
  list(after: ChunkId | undefined, limit: number): Promise<ListedRow[]> {
    assert(Number.isInteger(limit) && limit > 0, 'a list has a limit');
    return this.#answer('list', () => this.#index.list(after, limit));
  }

  /** Reads and verifies pieces, and remembers those that are bad. */
  async verify(keys: readonly PieceKey[]): Promise<PieceCheck[]> {
    this.#check('verify pieces of');
    return verifyPieces(keys, {
      read: (key) => this.read(key),
      markBad: (key) => this.#readOnly || this.#index.markBad(key),
    });
  }

  /** Forgets pieces and gives their space back; how many were here. */
  async remove(keys: readonly PieceKey[]): Promise<number> {
    this.#checkWritable('remove from');
    return this.#exclusive(async () => {
      const here = new Map<string, PieceKey & PieceLocation>();
      for (const { chunkId, scheme, pieceIndex } of keys) {
        const key = { chunkId, scheme, pieceIndex };
        const location = this.#index.get(key);
        if (location !== undefined) here.set(pieceKeyText(key), { ...location, ...key });
      }
      const pieces = [...here.values()];
      // First from the index: what a crash leaves behind is lost space, not a row without a piece.
      this.#index.remove(pieces);
      for (const piece of pieces) {
        this.#usage.remove(piece);
        await this.#punch(piece);
      }
      return pieces.length;
    });
  }

  /** Waits for what runs, then closes the files; what was not synced stays unsynced. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#writing;
    await this.#syncing;
    await this.#files.close();
    this.#index.close();
  }

  async #append(pieces: readonly BucketPiece[]): Promise<void> {
    const { diskId } = this;
    const endOf = (bucket: number): number => this.#files.endOf(bucket);
    const missing = await this.#missingOf(pieces);
    if (missing.length === 0) return;
    await this.#room.take(bytesOf(missing));
    const writes = planWrites(missing, { volumeTag: this.#volumeTag, diskId, endOf });
    const results = await Promise.allSettled(writes.map((write) => this.#files.write(write)));
    const placed = writes.flatMap((write, at) =>
      results[at]?.status === 'fulfilled' ? write.placed : [],
    );
    const replaced = placed.map((piece) => this.#index.get(piece));
    this.#index.put(placed);
    for (const location of placed) this.#usage.add(location);
    for (const location of replaced) {
      if (location === undefined) continue;
      this.#usage.remove(location);
      await this.#punch(location);
    }
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw ioError(`append to ${this.#label}`, failed.reason);
  }

  /** The pieces that are not here and whole (invariant 1), each once. */
  async #missingOf(pieces: readonly BucketPiece[]): Promise<BucketPiece[]> {
    const missing = new Map<string, BucketPiece>();
    for (const piece of pieces) {
      const key = pieceKeyText(piece);
      if (missing.has(key)) continue;
      if (await this.#isWhole(piece)) this.#index.clearBad(piece);
      else missing.set(key, piece);
    }
    return [...missing.values()];
  }

  async #isWhole(piece: BucketPiece): Promise<boolean> {
    if (this.#index.get(piece) === undefined) return false;
    try {
      const stored = await this.read(piece);
      return stored?.payload.equals(piece.payload) === true;
    } catch (error) {
      if (error instanceof DfsError && error.code === 'CORRUPT') return false;
      throw error;
    }
  }

  async #sync(): Promise<void> {
    // A write that is under way may not be in the ends that the index is told, or only half.
    await this.#exclusive(() => Promise.resolve());
    this.#check('sync');
    const ends = await this.#files.sync();
    if (ends.size === 0) return;
    try {
      this.#index.setSynced(ends);
    } catch (error) {
      // The pieces are synced; an index that does not know makes the next open scan more.
      if (!(error instanceof DfsError) || error.code !== 'NO_SPACE') throw error;
    }
  }

  async #punch(location: PieceLocation): Promise<void> {
    try {
      await this.#files.punch(location);
    } catch (error) {
      throw ioError(`free space in bucket ${location.bucket} of ${this.#label}`, error);
    }
  }

  /** Drops the row of a piece that turned out to be a hole. */
  #forget(piece: IndexedPiece): void {
    const location = this.#index.get(piece);
    if (this.#readOnly || location === undefined || location.offset !== piece.offset) return;
    this.#index.remove([piece]);
    this.#usage.remove(location);
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#writing.then(work);
    this.#writing = done.catch(() => undefined);
    return done;
  }

  async #answer<T>(action: string, work: () => T): Promise<T> {
    this.#check(action);
    return work();
  }

  #check(action: string): void {
    if (this.#closed) {
      throw new DfsError('CLOSED', `Cannot ${action} ${this.#label}: it is closed`);
    }
    if (this.#files.failure !== undefined) throw this.#files.failure;
  }

  #checkWritable(action: string): void {
    this.#check(action);
    if (!this.#readOnly) return;
    throw new DfsError('BAD_ARGUMENT', `Cannot ${action} ${this.#label}: it is open read-only`);
  }

  get #label(): string {
    return `disk ${this.diskId} at ${this.folder}`;
  }
}

function bytesOf(pieces: readonly BucketPiece[]): number {
  return pieces.reduce((sum, { payload }) => sum + recordBytes(payload.length), 0);
}
