import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { DfsError, messageOf } from '../base/errors.ts';
import { MIB } from '../base/limits.ts';
import { syncFolder } from '../base/publish.ts';
import { bucketFileName } from './bucket-format.ts';
import type { PieceLocation } from './bucket-index.ts';
import type { RecoveredBucket } from './bucket-recovery.ts';
import { ioError } from './disk-errors.ts';
import type { BucketIo } from './file-io.ts';
import { FilePool } from './file-pool.ts';
import type { BucketWrite } from './piece-writes.ts';

// States: good -> failed, when a sync failed or a torn write could not be taken back. There is no
// way back: what the kernel dropped after a failed sync, no later sync will report.
//
// Invariant: bytes below a bucket's end are never written again, only punched out.

const OPEN_FILES_MAX = 64;
/** Writes of so many bytes are worth a hint to the kernel. */
const HINT_BYTES_MIN: number = MIB;

/** Which files, and how they are changed. */
export interface BucketFilesOptions {
  readonly bucketsFolder: string;
  /** Names the disk in errors. */
  readonly label: string;
  readonly readOnly: boolean;
  readonly io: BucketIo;
}

/** The bucket files of a disk: where they end, what is not synced, and whether they work. */
export class BucketFiles {
  /** How many times a file or the folder was synced. */
  syncCount = 0;
  /** Why the disk can no longer be trusted to keep what is written. */
  failure: DfsError | undefined;
  readonly #options: BucketFilesOptions;
  readonly #pool: FilePool;
  readonly #ends = new Map<number, number>();
  /** The ends that sync() returned last. */
  readonly #synced = new Map<number, number>();
  #folderDirty = false;
  #hinting = false;
  /** From where on a bucket's bytes may go out of memory, since the last sync. */
  readonly #unneeded = new Map<number, number>();

  constructor(options: BucketFilesOptions) {
    this.#options = options;
    this.#pool = new FilePool({
      limit: OPEN_FILES_MAX,
      open: (bucket) => this.#open(bucket),
      sync: (_bucket, handle) => this.#syncOnce(() => options.io.sync(handle)),
    });
  }

  /** Takes over what recovery found; what may not be synced will be by the next sync(). */
  async adopt(recovered: readonly RecoveredBucket[]): Promise<void> {
    for (const { bucket, end, dirty } of recovered) {
      this.#ends.set(bucket, end);
      if (!dirty) this.#synced.set(bucket, end);
    }
    if (this.#options.readOnly) return;
    for (const { bucket } of recovered.filter(({ dirty }) => dirty)) {
      this.#folderDirty = true;
      await this.#pool.use(bucket, () => Promise.resolve(this.#pool.markDirty(bucket)));
    }
  }

  /** Where the next record of a bucket goes; 0 before its file header is written. */
  endOf(bucket: number): number {
    return this.#ends.get(bucket) ?? 0;
  }

  get openCount(): number {
    return this.#pool.openCount;
  }

  use<T>(bucket: number, work: (handle: FileHandle) => Promise<T>): Promise<T> {
    return this.#pool.use(bucket, work);
  }

  /** Writes behind the end of a bucket; when it fails, the bucket is as before. */
  write({ bucket, offset, end, buffers }: BucketWrite): Promise<void> {
    return this.#pool.use(bucket, async (handle) => {
      try {
        await this.#options.io.write(handle, buffers, offset);
        this.#ends.set(bucket, end);
        this.#hint(handle, { bucket, from: offset, to: end });
      } catch (error) {
        await this.#takeBack(handle, offset);
        throw error;
      } finally {
        // Not before the write: a sync that ran beside it would have taken the mark away.
        this.#pool.markDirty(bucket);
      }
    });
  }

  /**
   * Large records go to the device while others are stored, and not all at once when they are
   * synced; and out of memory: the cache has their content. One hint at a time: a device that is
   * behind makes it wait, and the next covers what was written meanwhile.
   */
  #hint(handle: FileHandle, write: { bucket: number; from: number; to: number }): void {
    const { io } = this.#options;
    const { bucket, to } = write;
    const from = this.#unneeded.get(bucket) ?? write.from;
    this.#unneeded.set(bucket, from);
    if (write.to - write.from < HINT_BYTES_MIN || this.#hinting) return;
    if (io.dontNeed === undefined) return;
    this.#hinting = true;
    io.dontNeed(handle, from, to - from)
      .catch(() => undefined) // The sync hears of what goes wrong.
      .finally(() => {
        this.#hinting = false;
      });
  }

  /** What was synced is forgotten by the kernel, as far as it was hinted at. */
  #forget(): void {
    for (const [bucket, from] of this.#unneeded) {
      const to = this.#synced.get(bucket) ?? 0;
      this.#unneeded.delete(bucket);
      if (to - from < HINT_BYTES_MIN) continue;
      const { io } = this.#options;
      const forget = async (handle: FileHandle): Promise<void> =>
        io.dontNeed?.(handle, from, to - from);
      this.#pool.use(bucket, forget).catch(() => undefined);
    }
  }

  /** Gives a record's space back. */
  punch({ bucket, offset, bytes }: PieceLocation): Promise<void> {
    return this.#pool.use(bucket, (handle) => {
      this.#options.io.punch(handle, offset, bytes);
      return Promise.resolve();
    });
  }

  /** Syncs what was written before the call; the new ends up to which buckets are synced then. */
  async sync(): Promise<ReadonlyMap<number, number>> {
    const ends = new Map([...this.#ends].filter(([at, end]) => this.#synced.get(at) !== end));
    const folder = this.#folderDirty;
    this.#folderDirty = false;
    const { bucketsFolder } = this.#options;
    const jobs = [this.#pool.sync()];
    if (folder) jobs.push(this.#syncOnce(() => syncFolder(bucketsFolder)));
    const results = await Promise.allSettled(jobs);
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    for (const [bucket, end] of ends) this.#synced.set(bucket, end);
    this.#forget();
    return ends;
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  #open(bucket: number): Promise<FileHandle> {
    const path = join(this.#options.bucketsFolder, bucketFileName(bucket));
    if (this.#options.readOnly) return open(path, constants.O_RDONLY);
    if (this.endOf(bucket) > 0) return open(path, constants.O_RDWR);
    this.#folderDirty = true;
    return open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  }

  async #takeBack(handle: FileHandle, end: number): Promise<void> {
    try {
      await handle.truncate(end);
    } catch (error) {
      this.#fail('take a torn write back', error);
    }
  }

  async #syncOnce(sync: () => Promise<void>): Promise<void> {
    this.syncCount++;
    try {
      await sync();
    } catch (error) {
      this.#fail('sync', error);
      throw ioError(`sync ${this.#options.label}`, error);
    }
  }

  #fail(action: string, cause: unknown): void {
    const { label } = this.#options;
    this.failure ??= new DfsError(
      'UNAVAILABLE',
      `Cannot use ${label}: it failed to ${action} (${messageOf(cause)}) and is out of service`,
      { cause },
    );
  }
}
