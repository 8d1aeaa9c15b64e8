import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Epoch, Ino } from '../base/ids.ts';
import type { FileCache } from '../cache/mod.ts';
import type { Committer } from '../commit/mod.ts';
import { entryBatches, isFolder, type LiveMeta, S_IFDIR } from '../meta/mod.ts';

/** How far a file, or a folder with all that is in it, is committed. */
export interface Receipt {
  state: 'cached' | 'committing' | 'committed';
  /** The newest committed epoch, which has it when the state is committed. */
  epoch: Epoch;
  /** Bytes no published chunk has. */
  bytesLeft: number;
  /**
   * Age of the volume's oldest change that is not committed, in ms; undefined when there is none.
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

/** So many entries of folders are looked at in one turn of the event loop, at some 5 us each. */
const LOOKS_A_TURN = 200;

const FOLDER_TYPE = S_IFDIR >>> 12;

/** Answers how far inodes are committed. */
export class Receipts {
  readonly #options: ReceiptsOptions;

  constructor(options: ReceiptsOptions) {
    this.#options = options;
  }

  /**
   * The receipt of a file, or of a folder with all that is in it. That takes as long as a walk; what
   * is moved meanwhile may be seen twice or not at all.
   */
  of(ino: Ino): Receipt | Promise<Receipt> {
    const { committer, meta } = this.#options;
    const waiting = { dirty: 0, frozen: 0, pending: false, behindCut: false };
    if (committer.isClean) return this.#receipt(waiting);
    this.#add(ino, waiting);
    const inode = meta.inode(ino);
    if (inode === undefined || !isFolder(inode)) return this.#receipt(waiting);
    return this.#walk(ino, waiting).then(() => this.#receipt(waiting));
  }

  #receipt(waiting: Waiting): Receipt {
    const { committer, scheme } = this.#options;
    const { committedEpoch, failure, running } = committer.status;
    const isInCut = running !== undefined && !waiting.behindCut;
    const isCached = waiting.dirty > 0 || (waiting.pending && !isInCut);
    return {
      state: isCached
        ? 'cached'
        : waiting.frozen > 0 || waiting.pending
          ? 'committing'
          : 'committed',
      epoch: committedEpoch,
      bytesLeft: waiting.dirty + waiting.frozen,
      oldestUncommittedMs: committer.deadline.oldestMs,
      scheme: scheme(),
      failure,
    };
  }

  #add(ino: Ino, waiting: Waiting): void {
    const { meta, cache } = this.#options;
    const { dirty, frozen } = cache.uncommittedBytes(ino);
    waiting.dirty += dirty;
    waiting.frozen += frozen;
    if (meta.isPending(ino)) waiting.pending = true;
    if (meta.isBehindCut(ino)) waiting.behindCut = true;
  }

  async #walk(top: Ino, waiting: Waiting): Promise<void> {
    const { meta } = this.#options;
    const folders = [top];
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      for (const batch of entryBatches(meta.state, folder, LOOKS_A_TURN)) {
        for (const [, , ino, type] of batch) {
          this.#add(ino, waiting);
          if (type === FOLDER_TYPE) folders.push(ino);
        }
        await nextTurn();
      }
    }
  }

  /** The receipt as the extended attribute user.dfs.commit shows it. */
  text(ino: Ino): string | Promise<string> {
    const receipt = this.of(ino);
    return receipt instanceof Promise ? receipt.then(textOf) : textOf(receipt);
  }
}

function textOf({ state, epoch }: Receipt): string {
  return state === 'committed' ? `committed@${epoch}` : state;
}
