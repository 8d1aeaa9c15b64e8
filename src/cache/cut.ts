import { assert } from '../base/errors.ts';
import type { Epoch, Ino } from '../base/ids.ts';
import { IntervalSet } from '../base/interval-set.ts';
import type { CapturedRange, FrozenFile } from '../commit/mod.ts';
import type { CacheFiles } from './cache-files.ts';
import { blockCeil, type CachedFile, type Frozen } from './cached-file.ts';
import { preserve } from './ranges.ts';

/** The files of a cut while it is being committed (invariants 4 and 5 of file-cache.ts). */
export class Cut {
  readonly #files: CacheFiles;
  readonly #frozen = new Map<Ino, CachedFile>();
  frozenBytes = 0;

  constructor(files: CacheFiles) {
    this.#files = files;
  }

  /** Freezes all that is dirty. */
  freeze(epoch: Epoch): FrozenFile[] {
    assert(this.#frozen.size === 0, 'a cut while another one is being committed');
    const frozen: FrozenFile[] = [];
    for (const file of this.#files.all()) {
      file.grown = false;
      if (file.dirty.isEmpty) continue;
      frozen.push(this.#freezeFile(file, epoch));
      this.#frozen.set(file.ino, file);
    }
    this.frozenBytes = this.#files.dirtyBytes;
    this.#files.dirtyBytes = 0;
    this.#files.oldestDirtyMs = undefined;
    return frozen;
  }

  #freezeFile(file: CachedFile, epoch: Epoch): FrozenFile {
    const ranges = [...file.dirty];
    const state: Frozen = {
      sizeBytes: file.inode.sizeBytes,
      ranges,
      left: file.dirty.copy(),
      uncaptured: file.dirty.copy(),
      saved: new IntervalSet(),
      path: this.#files.path(file),
      wholePath: this.#files.layout.whole(file.ino, epoch),
      savedPath: this.#files.layout.saved(file.ino, epoch),
    };
    file.frozen = state;
    file.dirty.clear();
    return { ino: file.ino, sizeBytes: state.sizeBytes, ranges, path: () => state.path };
  }

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

  /** The cut is committed. */
  published(): void {
    this.#thaw(() => undefined);
  }

  /** The cut failed: what it had is dirty again, as far as it is still there. */
  abandoned(): void {
    this.#thaw((file, left) => {
      if (file.deleted) return;
      for (const { start, end } of left) this.#files.addDirty(file, start, end);
    });
  }

  #thaw(each: (file: CachedFile, left: IntervalSet) => void): void {
    for (const file of this.#frozen.values()) {
      const { frozen } = file;
      assert(frozen !== undefined, `inode ${file.ino} lost its frozen ranges`);
      file.frozen = undefined;
      if (!frozen.saved.isEmpty) this.#files.removePath(frozen.savedPath);
      if (frozen.path !== this.#files.path(file)) this.#files.removePath(frozen.path);
      each(file, frozen.left);
    }
    this.#frozen.clear();
    this.frozenBytes = 0;
  }
}
