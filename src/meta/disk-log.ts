import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { assert, DfsError } from '../base/errors.ts';
import type { Epoch } from '../base/ids.ts';
import { KIB } from '../base/limits.ts';
import { ioError, syncFolder } from '../base/publish.ts';
import { DiskLogFile } from './disk-log-file.ts';
import { type LogFile, listLogFiles, logFileAt, removeLogFiles } from './disk-log-files.ts';
import {
  findCut,
  inspectTail,
  type LogDamage,
  type LogRecord,
  readHeaders,
  readRecords,
} from './disk-log-walk.ts';
import { EPOCH_RECORD, type EpochRecordHeader } from './epoch-record-format.ts';
import { decodeEpochRecordHeader } from './epoch-record-reader.ts';

// Invariants:
//  1. Records stand in the files in the order of their epochs, and the files in the order of their
//     names; only the last file is ever written, only at its end.
//  2. The end of the open file is that of the last complete record of the last file; behind it are
//     zeros, if anything.
//  3. After a failed write or sync the object is poisoned: nobody knows what the kernel kept, so
//     nothing is written or synced through it again. Only a full disk is forgiven, once the half
//     record is cut off again.
//  4. One operation at a time: a sync that finds nothing to do has still waited for those before
//     it.

/** Room is made for records up to this size. */
const ROOM_FOR_BYTES_MAX = 64 * KIB;
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
  #file: DiskLogFile | undefined;
  #head: EpochRecordHeader | undefined;
  #tail: LogDamage | undefined;
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

  /** Syncs that somebody waited for: fdatasync, fsync, writes with O_DSYNC. */
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
      await this.#append({ record, header }, (file) => file.append(record));
    });
  }

  /**
   * As append() and sync() together; for a small record one call of the system, mostly. The header
   * is the record's own.
   */
  appendSynced(record: Buffer, header: EpochRecordHeader): Promise<void> {
    return this.#enqueue('append to', async () => {
      let synced = false;
      await this.#append({ record, header }, async (file) => {
        synced = !this.#folderDirty && (await file.appendSynced(record));
        if (synced) this.#syncCount++;
        else await file.append(record);
      });
      if (!synced) await this.#sync();
      // Room for those to come: to write over zeros changes no metadata of the disk.
      if (record.length <= ROOM_FOR_BYTES_MAX) this.#file?.makeRoom();
    });
  }

  async #append(
    { record, header }: { record: Buffer; header: EpochRecordHeader },
    write: (file: DiskLogFile) => Promise<void>,
  ): Promise<void> {
    const length = EPOCH_RECORD.headerBytes + header.bodyBytes;
    assert(record.length === length, `a record of ${record.length} bytes instead of ${length}`);
    assert(header.volumeTag.equals(this.#volumeTag), 'a record of another volume');
    const last = this.#head?.epoch ?? -1;
    assert(header.epoch > last, `epoch ${header.epoch} after epoch ${last}`);
    const current = this.#files.at(-1);
    // An empty file that awaits another epoch would keep a name that is not true.
    const misnamed = this.#sizeBytes === 0 && current?.firstEpoch !== header.epoch;
    if (current === undefined || misnamed) await this.#createFile(header.epoch);
    assert(this.#file !== undefined, 'the log has a file');
    try {
      await write(this.#file);
    } catch (cause) {
      const error = ioError('Cannot write a record', cause);
      if (error.code !== 'NO_SPACE') throw error;
      await this.#file.takeBack();
      this.#forgiven = error;
      throw error;
    }
    this.#head = header;
  }

  get #sizeBytes(): number {
    return this.#file?.sizeBytes ?? 0;
  }

  /** Returns when everything appended so far is on the platter. */
  sync(): Promise<void> {
    return this.#enqueue('sync', () => this.#sync());
  }

  async #sync(): Promise<void> {
    await this.#syncFile();
    if (!this.#folderDirty) return;
    this.#syncCount++;
    await syncFolder(this.folder);
    this.#folderDirty = false;
  }

  async #syncFile(): Promise<void> {
    if (this.#file?.isSynced !== false) return;
    this.#syncCount++;
    await this.#file.sync();
  }

  /**
   * Ends the current file; `epoch` will be the first in the next one. To be called after a
   * snapshot. Does nothing when the epoch, or a later one, was appended meanwhile.
   */
  startNewFile(epoch: Epoch): Promise<void> {
    return this.#enqueue('start a file of', async () => {
      if (epoch <= (this.#head?.epoch ?? -1)) return;
      await this.#syncFile();
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
    const files = await this.#readable();
    yield* readRecords({ files, volumeTag: this.#volumeTag, from, onDamage });
  }

  /**
   * The headers of the same records. Bodies are verified, but for those that `isKnown` says are
   * known to be good elsewhere.
   */
  async *headers(
    from: Epoch,
    isKnown: (header: EpochRecordHeader) => boolean,
    onDamage: (damage: LogDamage) => void,
  ): AsyncGenerator<EpochRecordHeader, void, void> {
    const files = await this.#readable();
    yield* readHeaders({ files, volumeTag: this.#volumeTag, from, isKnown, onDamage });
  }

  async #readable(): Promise<LogFile[]> {
    await this.#queue;
    if (this.#closed) throw new DfsError('CLOSED', 'Cannot read the log: it is closed');
    return this.#files.map((file, index) => {
      const isLast = index === this.#files.length - 1;
      return isLast && !this.#readOnly ? { ...file, sizeBytes: this.#sizeBytes } : file;
    });
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
      await this.#closeFile();
      const kept = this.#files.slice(0, cut.fileIndex + (cut.offset > 0 ? 1 : 0));
      const removed = this.#files.slice(kept.length);
      // From the end, so that a crash in between leaves a log that only ends later.
      await removeLogFiles(removed.toReversed());
      await syncFolder(this.folder);
      this.#files = kept;
      const file = kept.at(-1);
      if (cut.offset > 0 && file !== undefined) await this.#cut(file, cut.offset);
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
    await this.#closeFile();
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close({ cut: this.#poison === undefined });
  }

  /** Finds the last good record, cuts what is behind it, and opens the last file for writing. */
  async #load(): Promise<LogDamage | undefined> {
    this.#files = await listLogFiles(this.folder);
    const { head, endBytes, tail } = await inspectTail(this.#files, this.#volumeTag);
    this.#head = head;
    const file = this.#files.at(-1);
    if (this.#readOnly || file === undefined) return tail;
    if (tail !== undefined) await this.#cut(file, endBytes);
    try {
      this.#file = await DiskLogFile.open(file.path, endBytes);
      // A process killed before its sync leaves records that are readable and may yet vanish: what
      // is called the head from now on has to be on the platter.
      this.#syncCount += 2;
      await this.#file.sync();
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
    const isEmpty = this.#sizeBytes === 0;
    await this.#closeFile();
    if (current !== undefined && isEmpty) {
      await removeLogFiles([current]);
      this.#files.pop();
    }
    this.#file = await DiskLogFile.create(file.path);
    this.#files.push(file);
    this.#folderDirty = true;
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
