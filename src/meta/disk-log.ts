import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { assert, DfsError } from '../base/errors.ts';
import type { Epoch } from '../base/ids.ts';
import { ioError, syncFolder } from '../base/publish.ts';
import { type LogFile, listLogFiles, logFileAt, removeLogFiles } from './disk-log-files.ts';
import {
  findCut,
  inspectTail,
  type LogDamage,
  type LogRecord,
  readRecords,
} from './disk-log-walk.ts';
import { EPOCH_RECORD, type EpochRecordHeader } from './epoch-record-format.ts';
import { decodeEpochRecordHeader } from './epoch-record-reader.ts';

// Invariants:
//  1. Records stand in the files in the order of their epochs, and the files in the order of their
//     names; only the last file is ever written, only at its end.
//  2. `#sizeBytes` is the end of the last complete record of the last file; nothing behind it is
//     read.
//  3. After a failed write or sync the object is poisoned: nobody knows what the kernel kept, so
//     nothing is written or synced through it again. Only a full disk is forgiven, once the half
//     record is cut off again.
//  4. One operation at a time: a sync that finds nothing to do has still waited for those before
//     it.

/** Operations that may wait for their turn; a commit has one append and one sync at a time. */
const OPERATIONS_MAX = 256;

export interface DiskLogOptions {
  /** `<disk>/dfs/meta`; made when it is opened for writing. */
  folder: string;
  volumeTag: Buffer;
  readOnly?: boolean;
}

/**
 * The metadata log of one disk: epoch records, appended, in files named after their first epoch.
 */
export class DiskLog {
  readonly folder: string;
  readonly #volumeTag: Buffer;
  readonly #readOnly: boolean;
  #files: LogFile[] = [];
  #handle: FileHandle | undefined;
  #sizeBytes = 0;
  #head: EpochRecordHeader | undefined;
  #tail: LogDamage | undefined;
  #dirty = false;
  #folderDirty = false;
  #syncCount = 0;
  #poison: unknown;
  #forgiven: unknown;
  #closed = false;
  #queue: Promise<void> = Promise.resolve();
  #waiting = 0;

  private constructor(options: DiskLogOptions) {
    this.folder = options.folder;
    this.#volumeTag = options.volumeTag;
    this.#readOnly = options.readOnly ?? false;
  }

  /**
   * Opens the log of a disk, verifying its last file. What a crash left behind the last record is
   * in {@link tail}, and is cut off when opened for writing. A folder that is not there is an empty
   * log.
   */
  static async open(options: DiskLogOptions): Promise<DiskLog> {
    const log = new DiskLog(options);
    if (!log.#readOnly) {
      try {
        await mkdir(options.folder, { recursive: true });
      } catch (error) {
        throw ioError(`Cannot make the folder ${options.folder}`, error);
      }
      await syncFolder(dirname(options.folder));
    }
    log.#tail = await log.#load();
    return log;
  }

  /** fdatasync and fsync calls so far. */
  get syncCount(): number {
    return this.#syncCount;
  }

  /** What stood behind the last record when the log was opened; cut off by now unless read-only. */
  get tail(): LogDamage | undefined {
    return this.#tail;
  }

  /** The last record that verifies; undefined for an empty log, or one that a snapshot emptied. */
  head(): EpochRecordHeader | undefined {
    return this.#head;
  }

  /** Appends one record; it is durable after the next {@link sync}. Epochs must increase. */
  append(record: Buffer): Promise<void> {
    return this.#enqueue('append to', async () => {
      const header = decodeEpochRecordHeader(record);
      const length = EPOCH_RECORD.headerBytes + header.bodyBytes;
      assert(record.length === length, `a record of ${record.length} bytes instead of ${length}`);
      assert(header.volumeTag.equals(this.#volumeTag), 'a record of another volume');
      const last = this.#head?.epoch ?? -1;
      assert(header.epoch > last, `epoch ${header.epoch} after epoch ${last}`);
      const current = this.#files.at(-1);
      // An empty file that awaits another epoch would keep a name that is not true.
      const misnamed = this.#sizeBytes === 0 && current?.firstEpoch !== header.epoch;
      if (current === undefined || misnamed) await this.#createFile(header.epoch);
      await this.#write(record);
      this.#head = header;
    });
  }

  /** Returns when everything appended so far is on the platter. */
  sync(): Promise<void> {
    return this.#enqueue('sync', async () => {
      if (this.#dirty) {
        this.#syncCount++;
        await this.#handle?.datasync();
        this.#dirty = false;
      }
      if (this.#folderDirty) {
        this.#syncCount++;
        await syncFolder(this.folder);
        this.#folderDirty = false;
      }
    });
  }

  /**
   * Ends the current file; `epoch` will be the first in the next one. To be called after a
   * snapshot. Does nothing when the epoch, or a later one, was appended meanwhile.
   */
  startNewFile(epoch: Epoch): Promise<void> {
    return this.#enqueue('start a file of', async () => {
      if (epoch <= (this.#head?.epoch ?? -1)) return;
      if (this.#dirty) {
        this.#syncCount++;
        await this.#handle?.datasync();
        this.#dirty = false;
      }
      await this.#createFile(epoch);
    });
  }

  /**
   * The records from an epoch on, in order, verified, one body in memory at a time. `onDamage` is
   * told of every place that does not verify; the record after one has `gap: true`.
   */
  async *records(
    from: Epoch,
    onDamage: (damage: LogDamage) => void = () => undefined,
  ): AsyncGenerator<LogRecord, void, void> {
    await this.#queue;
    if (this.#closed) throw new DfsError('CLOSED', 'Cannot read the log: it is closed');
    const files = this.#files.map((file, index) => {
      const isLast = index === this.#files.length - 1;
      return isLast && !this.#readOnly ? { ...file, sizeBytes: this.#sizeBytes } : file;
    });
    yield* readRecords({ files, volumeTag: this.#volumeTag, from, onDamage });
  }

  /**
   * Drops, durably, everything after the given record, because it never was committed: later
   * epochs, the same epoch of another incarnation, and what does not verify behind the last record
   * that stays. Also the way to repair a log with a gap: cut it there, and append what other disks
   * have. Answers how many records were dropped.
   */
  truncateAfter(last: { epoch: Epoch; incarnation: number }): Promise<number> {
    return this.#enqueue('truncate', async () => {
      const cut = await findCut({ files: this.#files, volumeTag: this.#volumeTag, last });
      if (cut === undefined) return 0;
      await this.#handle?.close();
      this.#handle = undefined;
      const kept = this.#files.slice(0, cut.fileIndex + (cut.offset > 0 ? 1 : 0));
      const removed = this.#files.slice(kept.length);
      // From the end, so that a crash in between leaves a log that only ends later.
      await removeLogFiles(removed.toReversed());
      await syncFolder(this.folder);
      this.#files = kept;
      const file = kept.at(-1);
      if (cut.offset > 0 && file !== undefined) await this.#cut(file, cut.offset);
      this.#dirty = false;
      this.#folderDirty = false;
      await this.#load();
      return cut.records;
    });
  }

  /**
   * Deletes the files in which every record is of an epoch before the given one, but never the
   * last.
   */
  dropBefore(epoch: Epoch): Promise<void> {
    return this.#enqueue('drop files of', async () => {
      const kept = this.#files.findIndex((_, index) => {
        const next = this.#files[index + 1];
        return next === undefined || next.firstEpoch > epoch;
      });
      if (kept <= 0) return;
      await removeLogFiles(this.#files.slice(0, kept));
      await syncFolder(this.folder);
      this.#files = this.#files.slice(kept);
    });
  }

  /** Waits for what was begun, and gives up the file. Does not sync. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#queue;
    await this.#handle?.close();
    this.#handle = undefined;
  }

  /** Finds the last good record, cuts what is behind it, and opens the last file for writing. */
  async #load(): Promise<LogDamage | undefined> {
    this.#files = await listLogFiles(this.folder);
    const { head, endBytes, tail } = await inspectTail(this.#files, this.#volumeTag);
    this.#head = head;
    this.#sizeBytes = endBytes;
    const file = this.#files.at(-1);
    if (this.#readOnly || file === undefined) return tail;
    if (tail !== undefined) await this.#cut(file, endBytes);
    try {
      this.#handle = await open(file.path, 'r+');
      // A process killed before its sync leaves records that are readable and may yet vanish: what
      // is called the head from now on has to be on the platter.
      this.#syncCount += 2;
      await this.#handle.datasync();
      await syncFolder(this.folder);
    } catch (error) {
      throw ioError(`Cannot open ${file.path}`, error);
    }
    return tail;
  }

  async #cut(file: LogFile, sizeBytes: number): Promise<void> {
    try {
      const handle = await open(file.path, 'r+');
      try {
        await handle.truncate(sizeBytes);
        this.#syncCount++;
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw ioError(`Cannot cut ${file.path} at byte ${sizeBytes}`, error);
    }
  }

  async #createFile(epoch: Epoch): Promise<void> {
    const file = logFileAt(this.folder, epoch);
    const current = this.#files.at(-1);
    if (current?.firstEpoch === epoch && this.#sizeBytes === 0) return;
    await this.#handle?.close();
    this.#handle = undefined;
    if (current !== undefined && this.#sizeBytes === 0) {
      await removeLogFiles([current]);
      this.#files.pop();
    }
    this.#handle = await open(file.path, 'wx');
    this.#files.push(file);
    this.#sizeBytes = 0;
    this.#folderDirty = true;
  }

  async #write(record: Buffer): Promise<void> {
    assert(this.#handle !== undefined, 'the log has a file');
    this.#dirty = true;
    try {
      for (let done = 0; done < record.length; ) {
        const left = record.length - done;
        const at = this.#sizeBytes + done;
        done += (await this.#handle.write(record, done, left, at)).bytesWritten;
      }
    } catch (cause) {
      const error = ioError('Cannot write a record', cause);
      if (error.code !== 'NO_SPACE') throw error;
      await this.#handle.truncate(this.#sizeBytes);
      this.#forgiven = error;
      throw error;
    }
    this.#sizeBytes += record.length;
  }

  /** Invariants 3 and 4. */
  #enqueue<T>(what: string, operation: () => Promise<T>): Promise<T> {
    assert(!this.#readOnly, `${what} a log that is open for reading only`);
    if (this.#closed) {
      return Promise.reject(new DfsError('CLOSED', `Cannot ${what} the log: it is closed`));
    }
    assert(this.#waiting < OPERATIONS_MAX, `more than ${OPERATIONS_MAX} operations on one log`);
    this.#waiting++;
    const action = `Cannot ${what} the log in ${this.folder}`;
    const result = this.#queue.then(async () => {
      this.#waiting--;
      if (this.#poison !== undefined) {
        const options = { cause: this.#poison };
        throw new DfsError('IO', `${action}: an earlier write or sync of it failed`, options);
      }
      try {
        return await operation();
      } catch (error) {
        if (error !== this.#forgiven) this.#poison = error;
        throw ioError(action, error);
      }
    });
    this.#queue = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }
}
