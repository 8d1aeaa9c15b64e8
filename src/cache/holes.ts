import { blockCeil } from '../base/blocks.ts';
import type { Ino } from '../base/ids.ts';
import { FILE_BYTES_MAX } from '../base/limits.ts';
import { punchHole } from '../base/os/mod.ts';
import type { Inode, LiveMeta } from '../meta/mod.ts';
import type { CacheFiles } from './cache-files.ts';
import type { CachedFile } from './cached-file.ts';
import type { Cut } from './cut.ts';

export interface HolesOptions {
  files: CacheFiles;
  cut: Cut;
  meta: LiveMeta;
  markDirty: (file: CachedFile) => void;
  /** Takes note of what mappings wrote to a file. */
  noteMapped: (file: CachedFile) => void;
}

/** Where files have data and where they have holes, and how a range becomes a hole. */
export class Holes {
  readonly #files: CacheFiles;
  readonly #cut: Cut;
  readonly #meta: LiveMeta;
  readonly #markDirty: (file: CachedFile) => void;
  readonly #noteMapped: (file: CachedFile) => void;

  constructor(options: HolesOptions) {
    this.#files = options.files;
    this.#cut = options.cut;
    this.#meta = options.meta;
    this.#markDirty = options.markDirty;
    this.#noteMapped = options.noteMapped;
  }

  #load(inode: Inode): CachedFile {
    const file = this.#files.load(inode);
    this.#noteMapped(file);
    return file;
  }

  /** The first stored or written byte at or behind `offset`; undefined when only holes follow. */
  nextData(inode: Inode, offset: number): number | undefined {
    const file = this.#load(inode);
    const end = inode.sizeBytes;
    const written = file.dirty.inside(offset, end)[0]?.start;
    const frozen = file.frozen?.left.inside(offset, end)[0]?.start;
    const stored = this.#meta.state.extents.nextData(inode.ino, offset);
    const candidates = [written, frozen, stored].filter((at) => at !== undefined);
    const first = Math.max(offset, Math.min(...candidates));
    return first < end ? first : undefined;
  }

  /** The first byte of a hole at or behind `offset`; the end of the file counts as one. */
  nextHole(inode: Inode, offset: number): number {
    const file = this.#load(inode);
    let at = offset;
    while (at < inode.sizeBytes) {
      const dirty = file.dirty.inside(at, at + FILE_BYTES_MAX)[0];
      const frozen = file.frozen?.left.inside(at, at + FILE_BYTES_MAX)[0];
      const stored = this.#meta.state.extents.overlapping(inode.ino, at, at + 1)[0];
      const next = Math.max(
        dirty !== undefined && dirty.start === at ? dirty.end : at,
        frozen !== undefined && frozen.start === at ? frozen.end : at,
        stored === undefined ? at : stored.offset + stored.lengthBytes,
      );
      if (next === at) return at;
      at = next;
    }
    return inode.sizeBytes;
  }

  /** Where the first byte of [start, end) is that only the cache has; `end` if there is none. */
  cleanUpTo(inode: Inode, start: number, end: number): number {
    const file = this.#load(inode);
    const dirty = file.dirty.inside(start, end)[0]?.start ?? end;
    const frozen = file.frozen?.left.inside(start, end)[0]?.start ?? end;
    return Math.min(dirty, frozen);
  }

  /** Units of 512 bytes that the content of a regular file takes; what is dirty may count twice. */
  blocks(inode: Inode): number {
    const file = this.#files.known(inode.ino);
    const frozen = file?.frozen?.left.total ?? 0;
    const bytes = this.#meta.storedBytes(inode.ino) + (file?.dirty.total ?? 0) + frozen;
    return Math.min(Math.ceil(bytes / 512), blockCeil(inode.sizeBytes) / 512);
  }

  /**
   * First step of erasing [start, end), whole blocks: undefined when {@link erase} may follow, in
   * the same turn as the operation that says so; else a promise after which to ask again. A crash
   * between the two finds the inode dirty, and the kernel asks again.
   */
  prepare(inode: Inode, start: number, end: number): Promise<void> | undefined {
    const file = this.#files.load(inode);
    const running = file.fillTouching(start, end);
    if (running !== undefined) return running.done.catch(() => undefined);
    if (this.#files.existing(file) !== undefined) this.#markDirty(file);
    return undefined;
  }

  /** Nothing of [start, end), whole blocks, is in the cache any more: the extents say what is. */
  erase(ino: Ino, start: number, end: number): void {
    const inode = this.#meta.inode(ino);
    if (inode === undefined) return;
    const file = this.#files.load(inode);
    this.#cut.save(file, start, end);
    this.#files.removeRange(file, start, end);
    const fd = this.#files.existing(file);
    if (fd !== undefined) {
      punchHole(fd, start, end - start);
      this.#files.fitLength(file, fd);
    }
    if (file.isBusy) this.#files.restoreMtime(file);
  }
}
