import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  linkSync,
  openSync,
  renameSync,
  unlink,
  unlinkSync,
} from 'node:fs';
import type { Ino } from '../base/ids.ts';
import { MIB } from '../base/limits.ts';
import { type Timed, untimed } from '../base/pauses.ts';
import type { Inode, LiveMeta } from '../meta/mod.ts';
import { CachedFile } from './cached-file.ts';
import { CACHE_FILE_MODE, Descriptors } from './descriptors.ts';
import { Evictor } from './evictor.ts';
import { CacheLayout } from './layout.ts';
import { Loans } from './loans.ts';
import { Removals } from './removals.ts';
import { Scanner } from './scanner.ts';
import { Shrinker } from './shrinker.ts';
import { giveLength, MODE_WITHOUT_LENGTH, takeUp, truncateRow } from './take-up.ts';
import { Unsynced } from './unsynced.ts';

/** Files the cache keeps in memory at most, unless more of them are dirty. */
const FILES_IN_MEMORY_MAX = 8192;
/** To free more than this of a device takes long: it is done on another thread. */
export const FREED_AT_ONCE_BYTES_MAX: number = 4 * MIB;

/**
 * The cached files in memory and their files on the device; counts what is dirty. It keeps
 * invariants 1 and 2 of file-cache.ts; all of the room works on it.
 */
export class CacheFiles {
  readonly layout: CacheLayout;
  readonly descriptors: Descriptors = new Descriptors();
  readonly shrinker: Shrinker = new Shrinker(this.descriptors);
  readonly evictor: Evictor;
  readonly #scanner: Scanner;
  readonly loans: Loans;
  readonly unsynced: Unsynced = new Unsynced();
  readonly removals: Removals;
  readonly #meta: LiveMeta;
  readonly #files = new Map<Ino, CachedFile>();
  /** Files whose size or times in memory are newer than the row. */
  readonly grown: Set<CachedFile> = new Set<CachedFile>();
  /** Files with dirty blocks, and some that had them. */
  #dirty = new Set<CachedFile>();
  /** Called before anybody works on a file; a cut freezes it then. */
  beforeUse: ((file: CachedFile) => void) | undefined;
  #tick = 0;
  /** How many files in memory make it worth looking for idle ones again. */
  #trimAt = FILES_IN_MEMORY_MAX;
  dirtyBytes = 0;

  constructor(options: { folder: string; meta: LiveMeta; limitBytes: number; timed?: Timed }) {
    const { folder, meta, limitBytes, timed = untimed } = options;
    this.#meta = meta;
    this.removals = new Removals(() => meta.wal.syncAll());
    this.layout = new CacheLayout(folder);
    this.loans = new Loans(this.layout, this.descriptors);
    this.#scanner = new Scanner({ descriptors: this.descriptors, timed });
    this.evictor = new Evictor({
      files: this.#files,
      limitBytes,
      layout: this.layout,
      descriptors: this.descriptors,
      forget: (file) => this.forget(file),
      // What a mapping wrote last is not known to be dirty before the next look at it.
      isLent: (ino) => this.loans.isWriting(ino) || this.loans.isLent(ino),
      timed,
    });
  }

  /** What is in memory of `ino`, if anything. */
  known(ino: Ino): CachedFile | undefined {
    const file = this.#files.get(ino);
    if (file !== undefined) this.beforeUse?.(file);
    return file;
  }

  /** The files with dirty blocks, which are counted anew from now on. */
  takeDirty(): Set<CachedFile> {
    const dirty = this.#dirty;
    this.#dirty = new Set();
    this.dirtyBytes = 0;
    return dirty;
  }

  /** Size or times of the file in memory are newer than the row. */
  noteGrown(file: CachedFile): void {
    file.grown = true;
    this.grown.add(file);
  }

  /** The row has size and times of the file, or the file is gone. */
  settle(file: CachedFile): void {
    file.grown = false;
    this.grown.delete(file);
  }

  /** The cached file of an inode, taken up from the device when it is not in memory. */
  load(inode: Inode): CachedFile {
    const known = this.#files.get(inode.ino);
    if (known !== undefined) {
      this.beforeUse?.(known);
      known.lastUsed = ++this.#tick;
      return known;
    }
    this.#removeMisfit(inode);
    const file = new CachedFile(inode);
    const fd = this.existing(file);
    if (fd !== undefined) this.#scanner.begin(file, fd, () => this.evictor.loaded(file));
    return this.#keep(file);
  }

  /**
   * A clean cache file of the wrong length was left by a process that died in a truncation which
   * nobody carries out any more: its last block may have been cut.
   */
  #removeMisfit(inode: Inode): void {
    const path = this.layout.file(inode.ino);
    const fd = this.descriptors.existing(path);
    const sizeBytes = fd === undefined ? inode.sizeBytes : fstatSync(fd).size;
    if (fd === undefined || sizeBytes === inode.sizeBytes) return;
    if (this.loans.isLent(inode.ino)) {
      // It cannot go, so the truncation is carried out, or taken back where the file only grew.
      if (sizeBytes < inode.sizeBytes) truncateRow(this.#meta, inode, sizeBytes);
      else ftruncateSync(fd, inode.sizeBytes);
      return;
    }
    this.descriptors.forget(path);
    unlinkSync(path);
  }

  /** An inode was just made: it has no cache file, and nobody needs to look for one. */
  fresh(inode: Inode): void {
    this.descriptors.isAbsent(this.layout.file(inode.ino));
    this.#keep(new CachedFile(inode));
  }

  #keep(file: CachedFile): CachedFile {
    if (this.#files.size >= this.#trimAt) this.#trimMemory();
    file.lastUsed = ++this.#tick;
    this.evictor.loaded(file);
    this.#meta.pin(file.inode);
    this.#files.set(file.ino, file);
    return file;
  }

  /** Forgets files that can be loaded again, the least recently used half. */
  #trimMemory(): void {
    const idle = [...this.#files.values()].filter((file) => !file.isBusy);
    const median = Float64Array.from(idle, (file) => file.lastUsed).sort()[idle.length >> 1] ?? 0;
    for (const file of idle) if (file.lastUsed <= median) this.forget(file);
    // Dirty files stay; to look at all of them again for every new one would take n * n steps.
    this.#trimAt = Math.max(FILES_IN_MEMORY_MAX, this.#files.size + FILES_IN_MEMORY_MAX / 2);
  }

  /** Drops a file from memory; what it has on the device stays. */
  forget(file: CachedFile): void {
    this.#files.delete(file.ino);
    this.#meta.unpin(file.ino);
  }

  /** The inode is gone: nothing is kept of it. */
  remove(ino: Ino): void {
    this.unsynced.forget(ino);
    this.evictor.removed(ino);
    this.loans.forget(ino);
    const file = this.#files.get(ino);
    if (file === undefined) return;
    this.settle(file);
    this.#dirty.delete(file);
    this.#files.delete(ino);
  }

  path(file: CachedFile): string {
    return this.layout.file(file.ino);
  }

  /** The descriptor of the cache file, or undefined when there is none. */
  existing(file: CachedFile): number | undefined {
    return this.descriptors.existing(this.path(file));
  }

  /**
   * The descriptor of the cache file, made as long as the inode when there is none (invariant 2).
   * Until it is, its mode says so: a file that a crash left without its length must not be taken for
   * one that was truncated. A device has both from one inode, the mode never before the length.
   */
  created(file: CachedFile): number {
    const { sizeBytes } = file.inode;
    const mode = sizeBytes > 0 ? MODE_WITHOUT_LENGTH : CACHE_FILE_MODE;
    const { fd, isNew } = this.descriptors.created(this.path(file), mode);
    if (isNew) this.unsynced.made(file.ino);
    if (isNew && sizeBytes > 0) giveLength(fd, sizeBytes);
    return fd;
  }

  /** Blocks [start, end) read right from the cache file now. */
  addPresent(file: CachedFile, start: number, end: number): void {
    file.present.add(start, end);
    const added = file.allocated.add(start, end);
    if (added > 0) this.evictor.grew(file, added);
  }

  /** Blocks [start, end) hold what no chunk has. */
  addDirty(file: CachedFile, start: number, end: number): void {
    this.dirtyBytes += file.dirty.add(start, end);
    this.unsynced.changed(file.ino);
    this.#dirty.add(file);
  }

  /** Makes a cache file as long as its inode (invariant 2). */
  fitLength(file: CachedFile, fd: number): void {
    if (fstatSync(fd).size !== file.inode.sizeBytes) ftruncateSync(fd, file.inode.sizeBytes);
  }

  /** Blocks [start, end) are no longer part of the file. */
  removeRange(file: CachedFile, start: number, end: number): void {
    file.losses++;
    this.unsynced.changed(file.ino);
    file.frozen?.left.remove(start, end);
    this.dirtyBytes -= file.dirty.remove(start, end);
    file.present.remove(start, end);
    this.evictor.shrank(file, file.allocated.remove(start, end));
  }

  /** Gives the cache file the inode's time of change: after a crash it is looked for there. */
  restoreMtime(file: CachedFile): void {
    const fd = this.existing(file);
    const { mtimeSec, mtimeNsec } = file.inode;
    if (fd !== undefined) futimesSync(fd, mtimeSec, mtimeSec + mtimeNsec / 1e9);
  }

  /** The content of `file` is going: keeps what a running commit needs of it, removes the rest. */
  setAside(file: CachedFile): void {
    if (this.#isNoLongerThere(file)) return;
    const path = this.path(file);
    try {
      if (file.cachedBytes <= FREED_AT_ONCE_BYTES_MAX) unlinkSync(path);
      else {
        const gone = this.layout.gone(file.ino);
        renameSync(path, gone);
        this.removePath(gone);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  /** As {@link setAside} of an inode that is gone; nobody uses the name again. */
  discard(file: CachedFile): void {
    const [path, { frozen }] = [this.path(file), file];
    this.descriptors.forget(path);
    if (frozen !== undefined && frozen.path === path && !frozen.uncaptured.isEmpty) {
      frozen.path = frozen.wholePath;
      if (existsSync(path)) linkSync(path, frozen.path);
    } else if (file.present.isEmpty && file.inode.sizeBytes === 0) return;
    this.removals.add(path);
  }

  /** Whether nothing is to be removed, or a running commit needs it and has it elsewhere now. */
  #isNoLongerThere(file: CachedFile): boolean {
    const path = this.path(file);
    this.descriptors.forget(path);
    const { frozen } = file;
    if (frozen !== undefined && frozen.path === path && !frozen.uncaptured.isEmpty) {
      frozen.path = frozen.wholePath;
      if (existsSync(path)) renameSync(path, frozen.path);
      return true;
    }
    return file.present.isEmpty && file.inode.sizeBytes === 0;
  }

  /**
   * The file becomes empty. Where the inode is marked dirty a cache file stays: should the process
   * die before the metadata knows, its length says so, while none would mean that nothing was
   * written since the last commit.
   */
  empty(file: CachedFile): void {
    const path = this.path(file);
    const { frozen } = file;
    if (frozen !== undefined && frozen.path === path && !frozen.uncaptured.isEmpty) {
      this.#replaceByEmpty(file, frozen.wholePath);
      frozen.path = frozen.wholePath;
    } else if (frozen !== undefined || !file.dirty.isEmpty) {
      if (file.cachedBytes <= FREED_AT_ONCE_BYTES_MAX) ftruncateSync(this.created(file), 0);
      else {
        const gone = this.layout.gone(file.ino);
        this.#replaceByEmpty(file, gone);
        this.removePath(gone);
      }
    } else this.setAside(file);
  }

  /** One step for who finds the files after a crash: the name goes from the old to an empty one. */
  #replaceByEmpty(file: CachedFile, oldPath: string): void {
    const [path, empty] = [this.path(file), `${oldPath}.empty`];
    closeSync(openSync(empty, 'w', CACHE_FILE_MODE));
    linkSync(path, oldPath);
    this.descriptors.forget(path);
    renameSync(empty, path);
    this.unsynced.made(file.ino);
  }

  /** Removes a file of the cache that nobody needs, without waiting. */
  removePath(path: string): void {
    this.descriptors.forget(path);
    unlink(path, () => undefined);
  }

  /**
   * Makes folders and takes up what an earlier process left. Without `keepClean` cached blocks that
   * are not dirty are not trusted and go: after a power cut they may not be what they were, as
   * nobody synced them.
   */
  open(options: { keepClean: boolean }): void {
    const isSameBoot = options.keepClean;
    this.layout.prepare();
    // Which files are lent only the kernel knows yet, and eviction may begin before it was asked.
    if (options.keepClean) this.loans.inherit();
    const dirty = new Set(this.#meta.dirtyInodes().map(({ ino }) => ino));
    if (!options.keepClean) {
      for (const ino of this.layout.inodes()) {
        if (!dirty.has(ino)) unlinkSync(this.layout.file(ino));
      }
    }
    // Of the others what is fetched from now on is no older than the metadata.
    const found = (ino: Ino): boolean => takeUp(this, this.#meta, { ino, isSameBoot });
    this.#meta.markClean([...dirty].filter((ino) => !found(ino)));
    this.evictor.scan();
  }

  /** The file of an inode with all that its cache file has, which may not be on the device yet. */
  adopt(inode: Inode): CachedFile {
    const file = new CachedFile(inode);
    const fd = this.existing(file);
    if (fd !== undefined) this.#scanner.whole(file, fd);
    this.unsynced.made(inode.ino);
    return this.#keep(file);
  }

  close(): void {
    this.removals.close();
    this.evictor.close();
    this.descriptors.close();
  }
}
