import type { Epoch, Ino } from '../base/ids.ts';
import type { FileCache } from '../cache/mod.ts';
import type { Committer } from '../commit/mod.ts';
import { isFolder, type LiveMeta } from '../meta/mod.ts';

/** How far a file, or a folder with all that is in it, is committed. */
export interface Receipt {
  state: 'cached' | 'committing' | 'committed';
  /** The newest committed epoch, which has it when the state is committed. */
  epoch: Epoch;
  /** Bytes no published chunk has. */
  bytesLeft: number;
  /**
   * Age of the volume's oldest byte that no commit has taken, in ms; undefined when there is none.
   */
  oldestUncommittedMs: number | undefined;
  scheme: string;
  /** Why the last commit failed. */
  failure: string | undefined;
}

export interface ReceiptsOptions {
  meta: LiveMeta;
  cache: FileCache;
  committer: Committer;
  scheme: () => string;
}

/** What of an inode, and of all in it, waits for a commit. */
interface Waiting {
  dirty: number;
  frozen: number;
  pending: boolean;
  /** An operation is not even in the cut that is being committed. */
  behindCut: boolean;
}

const LIST_BATCH = 1000;

/** Answers how far inodes are committed. */
export class Receipts {
  readonly #options: ReceiptsOptions;

  constructor(options: ReceiptsOptions) {
    this.#options = options;
  }

  of(ino: Ino): Receipt {
    const { cache, committer, scheme } = this.#options;
    const { committedEpoch, failure, running } = committer.status;
    const waiting = { dirty: 0, frozen: 0, pending: false, behindCut: false };
    if (!committer.isClean) this.#collect(ino, waiting);
    const isInCut = running !== undefined && !waiting.behindCut;
    const isCached = waiting.dirty > 0 || (waiting.pending && !isInCut);
    const oldest = cache.oldestDirtyMs;
    return {
      state: isCached
        ? 'cached'
        : waiting.frozen > 0 || waiting.pending
          ? 'committing'
          : 'committed',
      epoch: committedEpoch,
      bytesLeft: waiting.dirty + waiting.frozen,
      oldestUncommittedMs:
        oldest === undefined || cache.dirtyBytes === 0 ? undefined : Date.now() - oldest,
      scheme: scheme(),
      failure,
    };
  }

  #collect(ino: Ino, waiting: Waiting): void {
    const { meta, cache } = this.#options;
    const { dirty, frozen } = cache.uncommittedBytes(ino);
    waiting.dirty += dirty;
    waiting.frozen += frozen;
    if (meta.isPending(ino)) waiting.pending = true;
    if (meta.isBehindCut(ino)) waiting.behindCut = true;
    const inode = meta.inode(ino);
    if (inode === undefined || !isFolder(inode)) return;
    for (let behind = -1; ; ) {
      const batch = meta.state.entries(ino, behind, LIST_BATCH);
      for (const [, , entry] of batch) this.#collect(entry, waiting);
      const last = batch.at(-1);
      if (last === undefined || batch.length < LIST_BATCH) return;
      behind = last[0];
    }
  }

  /** The receipt as the extended attribute user.dfs.commit shows it. */
  text(ino: Ino): string {
    const { state, epoch } = this.of(ino);
    return state === 'committed' ? `committed@${epoch}` : state;
  }
}
