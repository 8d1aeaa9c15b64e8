import { read as readOnPool } from 'node:fs';
import { blockCeil, blockFloor } from '../base/blocks.ts';
import type { NegativeErrno } from '../base/errno.ts';
import { DfsError, messageOf } from '../base/errors.ts';
import type { Ino } from '../base/ids.ts';
import { ResidentReader } from '../base/os/mod.ts';
import { readFully } from '../base/read-fully.ts';
import type { Inode, LiveMeta } from '../meta/mod.ts';
import type { CacheFiles } from './cache-files.ts';
import type { CachedFile } from './cached-file.ts';
import type { Fetcher } from './fetcher.ts';
import { ReadAhead } from './read-ahead.ts';

/** All since the start: bytes, and reads that needed no fetch, and those that did. */
export interface CacheCounters {
  readBytes: number;
  writtenBytes: number;
  fetches: number;
  fetchedBytes: number;
  hits: number;
  misses: number;
  /** Hits that waited for the cache device: the kernel did not have them in memory. */
  deviceReads: number;
}

/** Times a read waits for its blocks, when others take them away again. */
const TRIES = 64;

/** Reads what the kernel has of a file in memory; see {@link ResidentReader}. */
export type Resident = Pick<ResidentReader, 'isSupported' | 'read'>;

/** Serves reads from cache files: at once what is in the kernel's memory, later what is not. */
export class Reader {
  readonly #files: CacheFiles;
  readonly #fetcher: Fetcher;
  readonly #ahead: ReadAhead;
  readonly #meta: LiveMeta;
  readonly #resident: Resident;
  readBytes = 0;
  /** Reads that needed no fetch, and those that did. */
  hits = 0;
  misses = 0;
  /** Hits that had to wait for the cache device. */
  deviceReads = 0;

  constructor(options: {
    files: CacheFiles;
    fetcher: Fetcher;
    meta: LiveMeta;
    resident?: Resident | undefined;
  }) {
    this.#resident = options.resident ?? new ResidentReader();
    this.#files = options.files;
    this.#fetcher = options.fetcher;
    const { evictor } = options.files;
    this.#ahead = new ReadAhead(options.fetcher, (bytes) => evictor.isFull(bytes));
    this.#meta = options.meta;
  }

  /** Reads as {@link Vfs.read} does. */
  read(
    inode: Inode,
    offset: number,
    length: number,
    into: Buffer,
    at: number,
  ): number | Promise<Buffer | NegativeErrno> {
    const end = Math.min(offset + length, inode.sizeBytes);
    if (end <= offset) return 0;
    const file = this.#files.load(inode);
    const waiting = this.#fetcher.ensure(file, blockFloor(offset), blockCeil(end));
    this.#ahead.note(file, offset, end);
    if (waiting !== undefined) {
      this.misses++;
      return this.#readLater(file.ino, offset, length, waiting);
    }
    this.hits++;
    if (this.#readNow(file, offset, into.subarray(at, at + end - offset))) return end - offset;
    this.deviceReads++;
    return this.#readLater(file.ino, offset, length, undefined);
  }

  /**
   * Nothing of before an await is used after it: the file may have been cut, evicted or deleted.
   */
  async #readLater(
    ino: Ino,
    offset: number,
    length: number,
    waiting: Promise<void> | undefined,
  ): Promise<Buffer | NegativeErrno> {
    let pending = waiting;
    for (let tries = 0; tries < TRIES; tries++) {
      await pending;
      const inode = this.#meta.inode(ino);
      const end = Math.min(offset + length, inode?.sizeBytes ?? 0);
      if (inode === undefined || end <= offset) return Buffer.alloc(0);
      const file = this.#files.load(inode);
      pending = this.#fetcher.ensure(file, blockFloor(offset), blockCeil(end));
      if (pending !== undefined) continue;
      const buffer = Buffer.allocUnsafe(end - offset);
      if (this.#readNow(file, offset, buffer)) return buffer;
      if (await this.#readOnPool(file, offset, buffer)) return buffer;
    }
    throw new DfsError('TIMEOUT', `Cannot read inode ${ino}: its blocks are evicted at once`);
  }

  /** Fills `into` without waiting for the device; false when that cannot be. */
  #readNow(file: CachedFile, offset: number, into: Buffer): boolean {
    const fd = this.#files.existing(file);
    // No cache file: a hole.
    if (fd === undefined) into.fill(0);
    else if (this.#resident.isSupported) {
      const count = this.#resident.read(fd, into, offset);
      if (count !== into.length && this.#resident.isSupported) return false;
      if (count !== into.length) this.#readWaiting(fd, offset, into, file);
    } else this.#readWaiting(fd, offset, into, file);
    this.readBytes += into.length;
    return true;
  }

  /** Where nobody can tell what is in memory. */
  #readWaiting(fd: number, offset: number, into: Buffer, file: CachedFile): void {
    const count = readFully(fd, into, offset, this.#files.path(file));
    into.fill(0, count); // A file that ends early: the rest is a hole.
  }

  /** Fills `into` on another thread; false when blocks have left the file meanwhile. */
  async #readOnPool(file: CachedFile, offset: number, into: Buffer): Promise<boolean> {
    const fd = this.#files.existing(file);
    const { losses } = file;
    let done = 0;
    if (fd !== undefined) {
      const path = this.#files.path(file);
      done = await this.#files.descriptors.hold(fd, (held) => readAll(held, offset, into, path));
    }
    into.fill(0, done); // A file that ends early: the rest is a hole.
    const known = this.#files.known(file.ino);
    if (file.losses !== losses || (known !== undefined && known !== file)) return false;
    this.readBytes += into.length;
    return true;
  }
}

/** Reads until `into` is full or the file ends: the count of bytes. */
async function readAll(fd: number, offset: number, into: Buffer, path: string): Promise<number> {
  let done = 0;
  while (done < into.length) {
    const from = done;
    const count = await new Promise<number>((resolve, reject) => {
      readOnPool(fd, into, from, into.length - from, offset + from, (error, bytes) => {
        if (error === null) return resolve(bytes);
        const message = `Cannot read ${path}: ${messageOf(error)}`;
        reject(new DfsError('IO', message, { cause: error }));
      });
    });
    if (count === 0) break;
    done += count;
  }
  return done;
}
