import { closeSync, existsSync, fdatasyncSync, fsyncSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DfsError, InvariantError, messageOf } from '../base/errors.ts';
import { syncData } from '../base/sync-data.ts';
import { LogFile, type LogRecord, readRecords } from './log-file.ts';

export interface WriteAheadLogOptions {
  /** Path of the database; the log's two files stand beside it. */
  path: string;
  /** Says that records belong to this database and this use of the files. */
  salt: number;
  /** Number of the last record that the database has on the device. */
  last: number;
  /** Makes the database hold all that was appended; before the log begins its other file. */
  flush: () => void;
}

/**
 * What the database does not have yet: every change is appended here before it is answered, and the
 * database takes over many in one transaction of its own (a redo log, Mohan et al., ARIES, 1992).
 *
 * Invariants:
 *  1. A record is in the file (survives the process) when append() returns, and on the device
 *     (survives a power cut) when sync() resolves.
 *  2. A file is written over only when the database has all of its records on the device.
 *  3. Numbers go up by one; what the database says it has is not carried out again.
 */
export class WriteAheadLog {
  readonly #options: WriteAheadLogOptions;
  readonly #files: LogFile[];
  #current = 0;
  #next: number;
  /** The other file may be written over (invariant 2). */
  #isOtherFree = true;
  #freeing: Promise<void> | undefined;
  /** A sync of the database failed, which is final: its pages may be gone (invariant 2). */
  #failure: DfsError | undefined;

  constructor(options: WriteAheadLogOptions) {
    this.#options = options;
    const paths = pathsOf(options.path);
    const areThere = paths.every((path) => existsSync(path));
    this.#files = paths.map((path) => new LogFile(path, options.salt));
    // Syncing a file need not sync its name.
    if (!areThere) syncNow(dirname(options.path), fsyncSync);
    this.#next = options.last + 1;
  }

  /** Records that an earlier use of the files left behind `number`, in order, without a gap. */
  static read(path: string, salt: number, number: number): LogRecord[] {
    const files = pathsOf(path).filter((file) => existsSync(file));
    return inOrder(
      files.map((file) => readRecords(file, salt)),
      number,
    );
  }

  /** Makes all that SQLite committed survive a power cut. */
  static syncDatabase(path: string): void {
    const wal = `${path}-wal`;
    if (existsSync(wal)) syncNow(wal, fdatasyncSync);
  }

  /** The number of the last record. */
  get last(): number {
    return this.#next - 1;
  }

  /** Records behind `number`, in order. */
  after(number: number): LogRecord[] {
    return inOrder(
      this.#files.map((file) => file.records()),
      number,
    );
  }

  get #file(): LogFile {
    return this.#files[this.#current] as LogFile;
  }

  /** Appends a record made of FRAME_HEADER and a payload. NO_SPACE or IO with nothing appended. */
  append(frame: Buffer): void {
    if (!this.#file.hasRoom(frame.length)) {
      if (this.#isOtherFree) this.#turn();
      else this.#beginToFree();
    }
    this.#file.append(frame, this.#next);
    this.#next++;
  }

  /** The record just appended was not carried out. */
  takeBack(): void {
    this.#file.takeBack();
    this.#next--;
  }

  /** Goes on in the other file; this one is free when the database's own log is on the device. */
  #turn(): void {
    this.#current = 1 - this.#current;
    this.#isOtherFree = false;
    this.#file.rewind();
    this.#beginToFree();
  }

  /** Until it succeeds this file grows. */
  #beginToFree(): void {
    if (this.#freeing !== undefined || this.#failure !== undefined) return;
    try {
      this.#options.flush();
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      return; // The next append that finds no room tries again.
    }
    this.#freeing = this.#free();
  }

  async #free(): Promise<void> {
    try {
      await this.#syncDatabase();
      this.#isOtherFree = true;
    } catch {
      // The next append that finds no room tries again, unless the failure is final.
    } finally {
      this.#freeing = undefined;
    }
  }

  /**
   * SQLite's log is opened by itself: closing a descriptor of the database file would drop SQLite's
   * POSIX locks.
   */
  async #syncDatabase(): Promise<void> {
    const path = `${this.#options.path}-wal`;
    let fd: number;
    try {
      fd = openSync(path, 'r+');
    } catch (error) {
      throw new DfsError('IO', `Cannot open ${path}: ${messageOf(error)}`);
    }
    try {
      await syncData(fd, path);
    } catch (error) {
      this.#failure = error as DfsError;
      throw error;
    } finally {
      closeSync(fd);
    }
  }

  /** Resolves when all that was appended is on the device. */
  async sync(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const waiting = this.#files.filter((file) => !file.isSynced);
    await Promise.all(waiting.map((file) => file.sync()));
  }

  async close(): Promise<void> {
    await this.#freeing;
    for (const file of this.#files) file.close();
  }
}

function syncNow(path: string, sync: (fd: number) => void): void {
  const fd = openSync(path, 'r');
  try {
    sync(fd);
  } finally {
    closeSync(fd);
  }
}

function pathsOf(path: string): string[] {
  return [`${path}-ops0`, `${path}-ops1`];
}

function inOrder(lists: LogRecord[][], number: number): LogRecord[] {
  const all = lists.flat().sort((a, b) => a.number - b.number);
  const found: LogRecord[] = [];
  for (const record of all) if (record.number === number + found.length + 1) found.push(record);
  return found;
}
