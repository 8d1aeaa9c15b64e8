import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Epoch, Ino } from '../base/ids.ts';
import { syncFolderNow } from '../base/publish.ts';

const FANOUT = 256;

/** The place of an inode's cache file in the folder of the cache. */
export function cacheFile(ino: Ino): string {
  return `${subfolder(ino % FANOUT)}/${ino}`;
}

function subfolder(index: number): string {
  return index.toString(16).padStart(2, '0');
}

/**
 * Where the cache keeps its files: `<xx>/<ino>` for contents, `frozen/` for what a running commit
 * still needs. The epoch in the names there keeps the next commit's files apart from those still
 * being removed.
 */
export class CacheLayout {
  readonly folder: string;
  readonly #folders: string[];
  #gone = 0;

  constructor(folder: string) {
    this.folder = folder;
    this.#folders = Array.from({ length: FANOUT }, (_, index) => join(folder, subfolder(index)));
  }

  /** Makes the folders and removes what a commit that died left behind: its epoch is cut again. */
  prepare(): void {
    mkdirSync(this.folder, { recursive: true });
    const there = new Set(readdirSync(this.folder));
    const missing = this.#folders.filter((folder) => !there.has(basename(folder)));
    for (const folder of missing) mkdirSync(folder);
    // fsync of a file in one of them does not sync its name.
    if (missing.length > 0) syncFolderNow(this.folder);
    rmSync(join(this.folder, 'frozen'), { recursive: true, force: true });
    mkdirSync(join(this.folder, 'frozen'));
  }

  /** The sparse file with the cached blocks of an inode, at their own offsets. */
  file(ino: Ino): string {
    return `${this.#folders[ino % FANOUT] as string}/${ino}`;
  }

  /** Bytes that were overwritten after the cut and before they were captured. */
  saved(ino: Ino, epoch: Epoch): string {
    return `${this.folder}/frozen/${ino}.${epoch}.saved`;
  }

  /** The whole file as it was at the cut, when its inode was emptied or deleted since. */
  whole(ino: Ino, epoch: Epoch): string {
    return `${this.folder}/frozen/${ino}.${epoch}.whole`;
  }

  /** A name for a file that is about to be removed. */
  gone(ino: Ino): string {
    return `${this.folder}/frozen/${ino}.${++this.#gone}.gone`;
  }

  /** Inodes that have a cache file. */
  *inodes(): Generator<Ino> {
    for (const folder of this.#folders) {
      for (const name of readdirSync(folder)) {
        const ino = Number(name);
        if (Number.isSafeInteger(ino) && ino > 0) yield ino as Ino;
      }
    }
  }
}
