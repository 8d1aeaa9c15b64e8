import { blockCeil } from '../base/blocks.ts';
import { assert } from '../base/errors.ts';
import type { Epoch, Ino } from '../base/ids.ts';
import { IntervalSet } from '../base/interval-set.ts';
import type { CapturedRange, FrozenFile } from '../commit/mod.ts';
import type { CacheFiles } from './cache-files.ts';
import type { CachedFile, Frozen } from './cached-file.ts';
import { preserve } from './ranges.ts';

/**
 * The files of a cut while it is being committed (invariants 4 and 5 of file-cache.ts).
 *
 * The cut itself takes no longer with more files: it only keeps the set of those that are dirty.
 * Each is frozen when somebody is about to work on it, or when the commit asks for it, whatever
 * comes first; nothing of it can change in between.
 */
export class Cut {
  readonly #files: CacheFiles;
  readonly #frozen = new Map<Ino, CachedFile>();
  /** Files of the cut that are as they were at it, and not frozen yet. */
  #unfrozen = new Set<CachedFile>();
  /** Frozen files the commit has not heard of. */
  #fresh: FrozenFile[] = [];
  #epoch = 0 as Epoch;
  frozenBytes = 0;

  constructor(files: CacheFiles) {
    this.#files = files;
  }

  /** The cut: all that is dirty belongs to `epoch`. */
  freeze(epoch: Epoch): void {
    assert(this.#frozen.size + this.#unfrozen.size === 0, 'a cut while another one is committed');
    for (const file of this.#files.grown) file.grown = false;
    this.#files.grown.clear();
    this.#epoch = epoch;
    this.frozenBytes = this.#files.dirtyBytes;
    this.#unfrozen = this.#files.takeDirty();
    this.#files.beforeUse = this.#freezeFile;
  }

  /** Frozen files nobody was told of, about `count`; none when all have been told. */
  frozen(count: number): FrozenFile[] {
    for (const file of this.#unfrozen) {
      if (this.#fresh.length >= count) break;
      this.#freezeFile(file);
    }
    if (this.#unfrozen.size === 0) this.#files.beforeUse = undefined;
    return this.#fresh.splice(0);
  }

  readonly #freezeFile = (file: CachedFile): void => {
    if (!this.#unfrozen.delete(file) || file.dirty.isEmpty) return;
    const ranges = [...file.dirty];
    const state: Frozen = {
      sizeBytes: file.inode.sizeBytes,
      ranges,
      left: file.dirty,
      uncaptured: file.dirty.copy(),
      saved: new IntervalSet(),
      path: this.#files.path(file),
      wholePath: this.#files.layout.whole(file.ino, this.#epoch),
      savedPath: this.#files.layout.saved(file.ino, this.#epoch),
    };
    file.frozen = state;
    file.dirty = new IntervalSet();
    this.#frozen.set(file.ino, file);
    const { ino } = file;
    const descriptor = (): number | undefined => this.#files.existing(file);
    this.#fresh.push({
      ino,
      sizeBytes: state.sizeBytes,
      ranges,
      path: () => state.path,
      descriptor,
    });
  };

  /**
   * Keeps the bytes of [start, end) that the running commit has not read yet, before they change.
   */
  save(file: CachedFile, start: number, end: number): void {
    const { frozen } = file;
    if (frozen === undefined || !frozen.uncaptured.intersects(start, end)) return;
    if (frozen.path !== this.#files.path(file)) return; // The whole file was set aside.
    const source = this.#files.existing(file);
    const target = this.#files.descriptors.created(frozen.savedPath).fd;
    assert(source !== undefined, `the frozen cache file ${frozen.path} is gone`);
    for (const range of frozen.uncaptured.inside(start, end)) {
      for (const gap of frozen.saved.gaps(range.start, range.end)) {
        preserve(source, target, gap.start, gap.end);
        frozen.saved.add(gap.start, gap.end);
      }
    }
  }

  /** See {@link CutSource.capture}. */
  capture(ino: Ino, start: number, end: number): CapturedRange {
    const frozen = this.#frozen.get(ino)?.frozen;
    assert(frozen !== undefined, `capture of inode ${ino}, which is not frozen`);
    frozen.uncaptured.remove(start, blockCeil(end));
    const saved = frozen.saved.inside(start, end);
    return { path: frozen.path, savedPath: frozen.savedPath, saved };
  }

  /** Bytes of `ino` that are being committed. */
  bytesOf(ino: Ino): number {
    return this.#frozen.get(ino)?.frozen?.left.total ?? 0;
  }

  /** The cut is committed: thaws up to `count` files; false when none is left. */
  published(count: number): boolean {
    return this.#thaw(count, () => undefined);
  }

  /** The cut failed: what up to `count` files had is dirty again, as far as it is still there. */
  abandoned(count: number): boolean {
    return this.#thaw(count, (file, left) => {
      if (file.deleted) return;
      for (const { start, end } of left) this.#files.addDirty(file, start, end);
    });
  }

  #thaw(count: number, each: (file: CachedFile, left: IntervalSet) => void): boolean {
    assert(this.#unfrozen.size === 0, 'the end of a cut whose files were not all asked for');
    let room = count;
    for (const file of this.#frozen.values()) {
      if (room-- <= 0) return true;
      const { frozen } = file;
      assert(frozen !== undefined, `inode ${file.ino} lost its frozen ranges`);
      file.frozen = undefined;
      if (!frozen.saved.isEmpty) this.#files.removePath(frozen.savedPath);
      if (frozen.path !== this.#files.path(file)) this.#files.removePath(frozen.path);
      this.#frozen.delete(file.ino);
      each(file, frozen.left);
    }
    this.frozenBytes = 0;
    return false;
  }
}
