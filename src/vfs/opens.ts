import { existsSync } from 'node:fs';
import { ENOENT, type NegativeErrno } from '../base/errno.ts';
import { InvariantError, messageOf } from '../base/errors.ts';
import type { Ino } from '../base/ids.ts';
import { MIB } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import type { FileCache } from '../cache/mod.ts';
import { type Inode, isRegular, type LiveMeta } from '../meta/mod.ts';
import type { AccessTimes } from './access-times.ts';
import type { Modes } from './modes.ts';
import { OpenSlots } from './open-slots.ts';
import { HANDLE, OpenTable, type PassedOpens } from './open-table.ts';
import type { Attr, Backing, Kernel, OpenResult, RequestContext } from './vfs-interface.ts';

const O_ACCMODE = 0o3;
const O_WRONLY = 0o1;
const O_DIRECT = 0o40000;
/** A file that one request reads is not worth it, and stays in the pages of the inode. */
const PASSED_BYTES_MIN: number = MIB + 1;
/** Cache files the kernel knows while nobody has them open, for the next open, at most. */
const IDLE_MAX = 512;
/** Files that are remembered as changed in place, at most. */
const REWRITTEN_MAX = 65_536;

export interface OpensOptions {
  meta: LiveMeta;
  cache: FileCache;
  accessTimes: AccessTimes;
  modes: Modes;
  /** Where the passed opens are written down; without it none is passed. */
  opensPath?: string;
  log: Log;
}

/** How an open is answered. */
type OpenMode = Pick<OpenResult, 'handle' | 'backing' | 'isUncached'>;

interface Wanted {
  isWriter: boolean;
  /** Reads and writes shall come to us. */
  isDirect: boolean;
}

const CACHED: OpenMode = { handle: HANDLE.CACHED };
const UNCACHED: OpenMode = { handle: HANDLE.UNCACHED, isUncached: true };

/**
 * Decides how files are opened: whole files of some size that are only read are read by the kernel
 * from the cache file (FOPEN_PASSTHROUGH, Linux 6.9). The rules are in docs/adr/0007-passthrough.md.
 *
 * Invariants:
 *  1. What {@link OpenTable} says.
 *  2. A passed open is in the file of slots before the kernel is told of it, and a number is closed
 *     only after the slot says that nothing is open. So a process that takes over knows at least
 *     the opens there are, and the number they must have.
 *  3. Cached opens from before a takeover are unknown: only inodes made after it are passed anew.
 */
export class Opens {
  readonly #options: OpensOptions;
  readonly #table: OpenTable = new OpenTable();
  readonly #lastRequest = new Map<Ino, number>();
  /** Changed in place since they were made or emptied: likely to be again, and then not passed. */
  readonly #rewritten = new Set<Ino>();
  /** Numbers of cache files that nobody has open, the longest idle first. */
  readonly #idle = new Map<Ino, number>();
  /** The kernel's pages may not have what mappings of the cache file wrote. */
  readonly #stale = new Set<Ino>();
  #backing: Backing | undefined;
  /** Who serves the requests; absent where nobody does. */
  kernel: Kernel | undefined;
  #slots: OpenSlots | undefined;
  /** Invariant 3: no inode before this one; 0 when this process has seen the mount begin. */
  #firstIno: number = Number.POSITIVE_INFINITY;
  #passedCount = 0;
  readonly #slotsPath: string | undefined;

  constructor(options: OpensOptions) {
    this.#options = options;
    this.#slotsPath = options.opensPath;
  }

  /** Opens answered with a backing file so far. */
  get passedCount(): number {
    return this.#passedCount;
  }

  /** The driver is there; a file of slots is what a process before this one left. */
  connect(backing: Backing): void {
    const slotsPath = this.#slotsPath;
    const { log } = this.#options;
    if (slotsPath === undefined) return;
    this.#backing = backing;
    this.#options.cache.lending.onEnd = (ino) => this.#closeIdle(ino);
    if (!existsSync(slotsPath)) return;
    try {
      this.#takeOver(slotsPath, backing);
    } catch (error) {
      log('error', 'passed opens are unknown', { message: messageOf(error) });
      this.#backing = undefined;
    }
  }

  #takeOver(path: string, backing: Backing): void {
    const { lending } = this.#options.cache;
    const { slots, found } = OpenSlots.open(path);
    this.#slots = slots;
    lending.inherit();
    const ids = new Set<number>();
    for (const { ino, lastRequest, ...opens } of found) {
      if (opens.readers + opens.direct === 0) continue;
      ids.add(opens.id);
      this.#table.setPassed(ino, opens);
      this.#lastRequest.set(ino, lastRequest);
      lending.lent(ino);
      if (opens.direct > 0) lending.writing(ino);
    }
    for (const { ino, id, readers, direct } of found) {
      if (readers + direct > 0) continue;
      if (!ids.has(id)) backing.close(id);
      slots.free(ino);
    }
  }

  /** A new mount: nothing is open. */
  mounted(): void {
    this.#table.clear();
    this.#idle.clear();
    this.#lastRequest.clear();
    const slotsPath = this.#slotsPath;
    const { log } = this.#options;
    if (slotsPath === undefined) return;
    try {
      // The file says to the next process that cached opens of before are to be expected.
      this.#slots ??= OpenSlots.open(slotsPath).slots;
      this.#slots.clear();
      this.#firstIno = 0;
    } catch (error) {
      log('warn', 'passes no file', { message: messageOf(error) });
    }
  }

  /** The content of a file begins anew. */
  emptied(ino: Ino): void {
    this.#rewritten.delete(ino);
  }

  /** The answer to an open with `flags` of open(2); `isNew` when it made the file. */
  open(
    context: RequestContext,
    ino: Ino,
    flags: number,
    isNew = false,
  ): OpenResult | NegativeErrno {
    const { meta, accessTimes, modes } = this.#options;
    const inode = meta.inode(ino);
    if (inode === undefined) return -ENOENT;
    const mode = this.#modeOf(context, inode, flags, isNew);
    const isPassed = mode.backing !== undefined;
    const isStale = !isPassed && this.#stale.delete(ino);
    const keepCache = accessTimes.opened(inode, flags, isPassed) && !isStale;
    // Who only reads has nothing to wait for in close.
    const noFlush = (flags & O_ACCMODE) === 0 || !modes.mayBeStrong(inode);
    return { keepCache, noFlush, ...mode };
  }

  /** The answer to a request that makes a file and opens it; `isNew` unless it was there before. */
  openNew(
    context: RequestContext,
    attr: Attr | NegativeErrno,
    flags: number,
    isNew: boolean,
  ): { attr: Attr; open: OpenResult } | NegativeErrno {
    if (typeof attr === 'number') return attr;
    if (isNew && this.#firstIno === Number.POSITIVE_INFINITY) this.#firstIno = attr.ino;
    const open = this.open(context, attr.ino, flags, isNew);
    return typeof open === 'number' ? open : { attr, open };
  }

  #modeOf(context: RequestContext, inode: Inode, flags: number, isNew: boolean): OpenMode {
    const { ino } = inode;
    const isWriter = (flags & O_ACCMODE) !== 0;
    if (isWriter && !isNew) this.#noteRewritten(ino);
    const mode = { isWriter, isDirect: isWriter || (flags & O_DIRECT) !== 0 };
    const passed = this.#table.passed(ino) ?? this.#begin(inode, mode);
    const joined = passed && this.#join(context, ino, passed, mode);
    if (joined !== undefined) return joined;
    const isUncached = this.#isUncached(ino, flags, isNew);
    this.#table.addCached(ino, isUncached ? HANDLE.UNCACHED : HANDLE.CACHED);
    return isUncached ? UNCACHED : CACHED;
  }

  /**
   * Who makes a file only to write it, writes past the kernel's pages, and all who open it
   * meanwhile: a page that somebody reads fails such a write with EBUSY. docs/adr/0008
   */
  #isUncached(ino: Ino, flags: number, isNew: boolean): boolean {
    if (this.#table.hasUncached(ino)) return true;
    return isNew && (flags & O_ACCMODE) === O_WRONLY && this.kernel?.mapsUncached === true;
  }

  /**
   * Bytes [start, end) of `ino` were written past the kernel's pages. It dropped those before it
   * asked us, but who has a mapping may have got the old ones again: then a promise to wait for.
   */
  wroteUncached(ino: Ino, start: number, end: number): Promise<unknown> | undefined {
    // Who opened it before a takeover is unknown.
    if (!this.#table.hasUncached(ino)) this.#table.addCached(ino, HANDLE.UNCACHED);
    const isAlone = ino >= this.#firstIno && this.#table.cachedCount(ino) === 1;
    return isAlone ? undefined : this.kernel?.forgetPages(ino, { start, end });
  }

  #noteRewritten(ino: Ino): void {
    this.#rewritten.delete(ino);
    this.#rewritten.add(ino);
    if (this.#rewritten.size <= REWRITTEN_MAX) return;
    for (const oldest of this.#rewritten) {
      this.#rewritten.delete(oldest);
      return;
    }
  }

  /** One more open of an inode that is passed; undefined if it was the first and is not noted. */
  #join(
    context: RequestContext,
    ino: Ino,
    passed: PassedOpens,
    mode: Wanted,
  ): OpenMode | undefined {
    const isRepeated = context.resent && this.#lastRequest.get(ino) === context.unique;
    if (!isRepeated) {
      if (mode.isDirect) passed.direct++;
      else passed.readers++;
      const isFirst = passed.direct + passed.readers === 1;
      if (!this.#note(ino, passed, context.unique) && isFirst) {
        this.#table.forget(ino);
        this.#backing?.close(passed.id);
        this.#options.cache.lending.returned(ino);
        return undefined;
      }
    }
    if (mode.isWriter) {
      this.#options.cache.lending.writing(ino);
      this.#stale.add(ino);
    }
    this.#passedCount++;
    const handle = mode.isDirect ? HANDLE.DIRECT : HANDLE.PASSED;
    return { handle, backing: { id: passed.id, isDirect: mode.isDirect } };
  }

  /** Makes the cache file of an inode known to the kernel, if its opens can be passed. */
  #begin(inode: Inode, mode: Wanted): PassedOpens | undefined {
    const { ino } = inode;
    const { lending } = this.#options.cache;
    if (ino < this.#firstIno || this.#table.cachedCount(ino) > 0) return undefined;
    // Who has a mapping of the cache file shall see what others write to theirs, and they his.
    if (!this.#isWorthIt(inode, mode) && !lending.isLent(ino)) return undefined;
    const path = lending.lend(inode);
    if (path === undefined) return undefined;
    const id = this.#tellKernel(ino, path);
    if (id === undefined) {
      lending.returned(ino);
      return undefined;
    }
    const passed = { id, readers: 0, direct: 0 };
    this.#table.setPassed(ino, passed);
    return passed;
  }

  #isWorthIt(inode: Inode, mode: Wanted): boolean {
    if (mode.isDirect || this.#backing?.isPossible !== true) return false;
    if (inode.sizeBytes < PASSED_BYTES_MIN || !isRegular(inode)) return false;
    // Of what is strong we must hear of msync, which for a mapping of the cache file goes there.
    return !this.#rewritten.has(inode.ino) && !this.#options.modes.mayBeStrong(inode);
  }

  #tellKernel(ino: Ino, path: string): number | undefined {
    const idle = this.#idle.get(ino);
    this.#idle.delete(ino);
    if (idle !== undefined) return idle;
    try {
      return this.#backing?.open(path);
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      this.#options.log('warn', 'cannot pass a file', { ino, message: messageOf(error) });
      return undefined;
    }
  }

  /** Ends an open; see {@link Vfs.release}. */
  release(context: RequestContext, ino: Ino, handle: number): void {
    if (handle === HANDLE.CACHED || handle === HANDLE.UNCACHED) {
      this.#table.releaseCached(ino, handle);
      return;
    }
    const request = context.unique + 1;
    if (context.resent && this.#lastRequest.get(ino) === request) return;
    const passed = this.#table.releasePassed(ino, handle);
    if (passed === undefined) return;
    const isNoted = this.#note(ino, passed, request);
    if (passed.readers + passed.direct > 0) return;
    // A number that the slot still has must stay valid.
    if (isNoted) this.#setIdle(ino, passed.id);
    this.#lastRequest.delete(ino);
    this.#options.cache.lending.returned(ino);
  }

  #setIdle(ino: Ino, id: number): void {
    this.#idle.set(ino, id);
    if (this.#idle.size <= IDLE_MAX) return;
    for (const oldest of this.#idle.keys()) {
      this.#closeIdle(oldest);
      return;
    }
  }

  /** The kernel keeps a cache file that it knows: one that goes, or another one's turn. */
  #closeIdle(ino: Ino): void {
    const id = this.#idle.get(ino);
    if (id === undefined) return;
    this.#idle.delete(ino);
    this.#backing?.close(id);
    this.#slots?.free(ino);
  }

  /** The inode is gone. */
  forget(ino: Ino): void {
    this.#rewritten.delete(ino);
    this.#stale.delete(ino);
    this.#lastRequest.delete(ino);
    const passed = this.#table.forget(ino);
    const isNoted =
      passed !== undefined && this.#note(ino, { id: passed.id, readers: 0, direct: 0 }, 0);
    if (isNoted) this.#idle.set(ino, passed.id);
    this.#closeIdle(ino);
  }

  /** As {@link Opens.#write}: whether it could; what is not written is missed after a crash only. */
  #note(ino: Ino, passed: PassedOpens, request: number): boolean {
    try {
      this.#write(ino, passed, request);
      return true;
    } catch (error) {
      this.#options.log('warn', 'a passed open is not noted', { ino, message: messageOf(error) });
      return false;
    }
  }

  /** Invariant 2. */
  #write(ino: Ino, passed: PassedOpens, request: number): void {
    if (this.#slotsPath === undefined) return;
    this.#slots ??= OpenSlots.open(this.#slotsPath).slots;
    this.#slots.put({ ino, lastRequest: request, ...passed });
    this.#lastRequest.set(ino, request);
  }

  close(): void {
    this.#slots?.close();
    this.#slots = undefined;
  }
}
