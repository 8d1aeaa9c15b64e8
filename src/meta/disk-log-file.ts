import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { KIB, MIB } from '../base/limits.ts';
import { ioError } from '../base/publish.ts';

/** Zeros that are written ahead of records, and when there is too little left of them. */
const ROOM_BYTES: number = MIB;
const ROOM_LOW_BYTES: number = 256 * KIB;
const ROOM: Buffer = Buffer.alloc(ROOM_BYTES);

/**
 * The last file of a {@link DiskLog}, which is written at the end of its records.
 *
 * Behind them it may have room: zeros that are on the device already. A record that is written over
 * them changes neither the file's length nor its blocks, so that its sync is one write to the device
 * instead of two. What goes through the second descriptor is on the device when the write returns
 * (O_DSYNC): one call instead of two.
 *
 * Invariants:
 *  1. One record at a time is written, never beyond `roomEnd` while room is being made there.
 *  2. From `sizeBytes` to `roomEnd` there are zeros, or half of a record that failed.
 */
export class DiskLogFile {
  readonly #handle: FileHandle;
  readonly #synced: FileHandle;
  /** The end of the last record. */
  sizeBytes: number;
  /** Whether all that was appended is on the device. */
  isSynced = true;
  /** Where the room ends; not before `sizeBytes`. */
  #roomEnd: number;
  /** Room that is being made. */
  #making: Promise<void> | undefined;
  /** That went wrong: the file cannot be trusted any more. */
  #failure: Error | undefined;

  private constructor(
    handle: FileHandle,
    synced: FileHandle,
    ends: { size: number; room: number },
  ) {
    this.#handle = handle;
    this.#synced = synced;
    this.sizeBytes = ends.size;
    this.#roomEnd = Math.max(ends.size, ends.room);
  }

  /** Makes the file; its name is not synced. */
  static async create(path: string): Promise<DiskLogFile> {
    return DiskLogFile.#openBoth(path, await open(path, 'wx'), 0);
  }

  /** Opens a file whose records end at `sizeBytes`, with nothing but zeros behind them. */
  static async open(path: string, sizeBytes: number): Promise<DiskLogFile> {
    return DiskLogFile.#openBoth(path, await open(path, 'r+'), sizeBytes);
  }

  static async #openBoth(path: string, handle: FileHandle, size: number): Promise<DiskLogFile> {
    try {
      const { size: room } = await handle.stat();
      const synced = await open(path, constants.O_WRONLY | constants.O_DSYNC);
      return new DiskLogFile(handle, synced, { size, room });
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Writes a record behind the last one; on the device after sync(). */
  async append(record: Buffer): Promise<void> {
    await this.#fits(record.length);
    if (this.#failure !== undefined) throw this.#failure;
    this.isSynced = false;
    await write(this.#handle, record, this.sizeBytes);
    this.sizeBytes += record.length;
    this.#roomEnd = Math.max(this.#roomEnd, this.sizeBytes);
  }

  /**
   * The same with the record on the device at the end; false, and nothing done, when there is no
   * room or something is not synced.
   */
  async appendSynced(record: Buffer): Promise<boolean> {
    const fits = this.#fits(record.length);
    if (fits !== undefined) await fits;
    if (!this.isSynced || this.sizeBytes + record.length > this.#roomEnd) return false;
    await write(this.#synced, record, this.sizeBytes);
    this.sizeBytes += record.length;
    return true;
  }

  /** Invariant 1. */
  #fits(bytes: number): Promise<void> | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    return this.sizeBytes + bytes <= this.#roomEnd ? undefined : this.#making;
  }

  async sync(): Promise<void> {
    await this.#handle.datasync();
    this.isSynced = true;
  }

  /**
   * Begins to write zeros ahead of the records, and to sync them, if there are few left; while no
   * record is being written. The next record hears what goes wrong.
   */
  makeRoom(): void {
    if (this.#making !== undefined || !this.isSynced) return;
    if (this.#roomEnd - this.sizeBytes >= ROOM_LOW_BYTES) return;
    this.#making = this.#makeRoom()
      .catch((error: unknown) => {
        this.#failure = ioError('Cannot make room', error);
      })
      .finally(() => {
        this.#making = undefined;
      });
  }

  async #makeRoom(): Promise<void> {
    const end = this.#roomEnd;
    try {
      await write(this.#handle, ROOM, end);
    } catch (error) {
      const failure = ioError('Cannot write room', error);
      if (failure.code !== 'NO_SPACE') throw failure;
      // It goes without. A record may be on its way to what is left of the room.
      await this.#handle.truncate(end);
      return;
    }
    await this.#handle.datasync();
    this.#roomEnd = end + ROOM_BYTES;
  }

  /** Cuts off what stands behind the last record: half of another one, or room. */
  async takeBack(): Promise<void> {
    await this.#making;
    await this.#handle.truncate(this.sizeBytes);
    this.#roomEnd = this.sizeBytes;
  }

  /** Gives the file up, with `cut` without its room. Does not sync. */
  async close(options: { cut: boolean }): Promise<void> {
    try {
      await this.#making;
      if (options.cut && this.#roomEnd > this.sizeBytes) await this.takeBack();
    } finally {
      await this.#synced.close();
      await this.#handle.close();
    }
  }
}

async function write(handle: FileHandle, bytes: Buffer, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const left = bytes.length - done;
    done += (await handle.write(bytes, done, left, offset + done)).bytesWritten;
  }
}
