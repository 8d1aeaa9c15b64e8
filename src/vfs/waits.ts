import { Cancels } from '../base/cancels.ts';
import { EROFS, type NegativeErrno } from '../base/errno.ts';
import type { Ino } from '../base/ids.ts';
import type { FileCache } from '../cache/mod.ts';
import { isFolder, type LiveMeta } from '../meta/mod.ts';
import type { Changes } from './changes.ts';
import type { Mode, Modes } from './modes.ts';

/** What durability the mount promises and where it comes from. */
export interface Durability {
  /** Of everything that nothing else is said of: see {@link Modes}. */
  mode: Mode;
  /** Resolves with the epoch that has everything up to now; rejects when that failed. */
  commit(): Promise<number>;
  /** Text of the receipt of `ino`: cached, committing or committed@epoch. */
  receipt(ino: Ino): string | Promise<string>;
}

export interface WaitsOptions {
  meta: LiveMeta;
  cache: FileCache;
  changes: Changes;
  modes: Modes;
  durability: Durability;
  readOnly: boolean;
}

type Done = 0 | NegativeErrno | Promise<0 | NegativeErrno>;

/** What fsync, close and fcommit wait for: the cache device, or the disks. */
export class Waits {
  readonly #options: WaitsOptions;
  readonly #cancels = new Cancels();
  /** The newest epoch that was waited for. */
  #newest = 0;

  constructor(options: WaitsOptions) {
    this.#options = options;
  }

  /** close(2): waits for what is strong only. */
  flush(ino: Ino): Done {
    return this.#isStrong(ino) ? this.#committed(ino) : 0;
  }

  /** fsync(2), fdatasync(2), msync(2), and each write to what was opened with O_SYNC. */
  fsync(ino: Ino): Done {
    if (this.#isStrong(ino)) return this.#committed(ino);
    const { meta, cache, changes } = this.#options;
    const data = cache.sync(ino);
    const wal = meta.wal.sync(ino);
    if (data === undefined && wal === undefined) return 0;
    // The first sync of a file in an epoch leaves a mark, which has to last as well.
    return Promise.all([data, wal])
      .then(() => meta.wal.sync(ino))
      .then(
        () => 0 as const,
        (error: unknown) => changes.errno(error, 'fsync'),
      );
  }

  /**
   * fsync behind a write that the kernel does not sync itself; who is killed meanwhile hears of the
   * write alone.
   */
  written(ino: Ino, count: number, unique: number): number | Promise<number> {
    if (count < 0) return count;
    const synced = this.fsync(ino);
    if (typeof synced === 'number') return synced < 0 ? synced : count;
    let failed: NegativeErrno = 0;
    const wait = synced.then((result) => {
      failed = result;
    });
    return this.#cancels.during(unique, wait).then(() => (failed < 0 ? failed : count));
  }

  /** Ends a wait of {@link written}. */
  cancel(unique: number): void {
    this.#cancels.cancel(unique);
  }

  /** fcommit: the newest epoch when all of `ino`, or all below a folder, is in one. */
  commit(ino: Ino): number | Promise<number> {
    const { meta } = this.#options;
    const inode = meta.inode(ino);
    const isClean = inode !== undefined && !isFolder(inode) && !this.#isUncommitted(ino);
    const result = isClean ? 0 : this.commitAll();
    if (typeof result === 'number') return result < 0 ? result : meta.committedEpoch;
    // The disks may have an epoch a moment before the metadata says so.
    return result.then((failed) =>
      failed < 0 ? failed : Math.max(this.#newest, meta.committedEpoch),
    );
  }

  /** Waits until everything up to now is committed. */
  commitAll(): Done {
    const { changes, durability, meta, cache, readOnly } = this.#options;
    if (readOnly) return meta.pendingOps + cache.dirtyBytes === 0 ? 0 : -EROFS;
    return durability.commit().then(
      (epoch) => {
        this.#newest = epoch;
        return 0 as const;
      },
      (error: unknown) => changes.errno(error, 'commit'),
    );
  }

  #isStrong(ino: Ino): boolean {
    const { meta, modes, readOnly } = this.#options;
    const inode = readOnly ? undefined : meta.inode(ino);
    return inode !== undefined && modes.isStrong(inode);
  }

  #committed(ino: Ino): Done {
    return this.#isUncommitted(ino) ? this.commitAll() : 0;
  }

  /** Whether something of `ino` waits for a commit, or may: mappings change a lent file unseen. */
  #isUncommitted(ino: Ino): boolean {
    const { meta, cache } = this.#options;
    const { dirty, frozen } = cache.uncommittedBytes(ino);
    return dirty + frozen > 0 || meta.isPending(ino) || cache.lending.isWriting(ino);
  }
}
