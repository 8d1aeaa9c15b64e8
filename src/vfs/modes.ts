import type { Ino } from '../base/ids.ts';
import { ROOT_INO } from '../base/ids.ts';
import { MODE_XATTR } from '../base/xattr-names.ts';
import { folderOf, type Inode, type LiveMeta } from '../meta/mod.ts';

const MODE_NAME: Buffer = Buffer.from(MODE_XATTR);
/** Folders whose mode is remembered, at most. */
const FOLDERS_MAX = 65_536;

/** strong: fsync, close and the like return when committed; weak: when the cache device has it. */
export type Mode = 'weak' | 'strong';

/** The mode that a value of {@link MODE_XATTR} stands for; undefined if for none. */
export function parseMode(value: Buffer): Mode | undefined {
  const text = value.toString('latin1');
  return text === 'weak' || text === 'strong' ? text : undefined;
}

/**
 * Which files are strong. A mark on a file holds for it, one on a folder for all in it that has no
 * nearer one, and the mount's mode where there is no mark at all.
 *
 * Invariants:
 *  1. `#marks` has every inode with the attribute, as the metadata have it.
 *  2. `#folders` is emptied whenever a mark changes or a folder moves.
 *  3. Where it cannot be told without a search, the answer is strong if it could be: a file with
 *     several names may have one in a strong folder.
 */
export class Modes {
  readonly #meta: LiveMeta;
  readonly #ofMount: Mode;
  readonly #marks = new Map<Ino, Mode>();
  #strongMarks = 0;
  /** What holds in folders. */
  readonly #folders = new Map<Ino, Mode>();

  constructor(options: { meta: LiveMeta; ofMount: Mode }) {
    this.#meta = options.meta;
    this.#ofMount = options.ofMount;
    for (const [ino, value] of options.meta.state.xattrsNamed(MODE_NAME)) {
      this.marked(ino, parseMode(value));
    }
  }

  /** Whether what is done to `inode` counts only when it is committed. */
  isStrong(inode: Inode): boolean {
    // No disk will ever have what has no name.
    return inode.nlink > 0 && this.of(inode) === 'strong';
  }

  /** As {@link isStrong}, for as long as it is open: what has no name yet may get one. */
  mayBeStrong(inode: Inode): boolean {
    return this.of(inode) === 'strong';
  }

  /** What holds for `inode`. */
  of(inode: Inode): Mode {
    if (this.#marks.size === 0) return this.#ofMount;
    const own = this.#marks.get(inode.ino);
    if (own !== undefined) return own;
    const folder = folderOf(inode);
    if (folder !== undefined) return this.#inFolder(folder);
    return this.#strongMarks > 0 ? 'strong' : this.#ofMount;
  }

  /** The mode of a folder: that of the nearest mark on the way to the root. */
  #inFolder(folder: Ino): Mode {
    const way: Ino[] = [];
    let mode: Mode | undefined;
    for (let at = folder; mode === undefined; ) {
      mode = this.#marks.get(at) ?? this.#folders.get(at);
      way.push(at);
      const above: Ino = at === ROOT_INO ? at : (this.#meta.inode(at)?.parent ?? at);
      if (above === at) mode ??= this.#ofMount;
      at = above;
    }
    if (this.#folders.size + way.length > FOLDERS_MAX) this.#folders.clear();
    for (const ino of way) this.#folders.set(ino, mode);
    return mode;
  }

  /** How many inodes are marked. */
  get counts(): Record<Mode, number> {
    return { strong: this.#strongMarks, weak: this.#marks.size - this.#strongMarks };
  }

  /** The attribute of `ino` was set, or removed. */
  marked(ino: Ino, mode: Mode | undefined): void {
    if (this.#marks.get(ino) === 'strong') this.#strongMarks--;
    if (mode === undefined) this.#marks.delete(ino);
    else this.#marks.set(ino, mode);
    if (mode === 'strong') this.#strongMarks++;
    this.#folders.clear();
  }

  /** A folder has moved. */
  moved(): void {
    this.#folders.clear();
  }

  /** The inode is gone. */
  forget(ino: Ino): void {
    if (this.#marks.has(ino)) this.marked(ino, undefined);
    this.#folders.delete(ino);
  }
}
