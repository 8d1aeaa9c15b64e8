import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { InvariantError, messageOf } from '../base/errors.ts';
import { CHUNK_ID_BYTES, type ChunkId, type Epoch, type Ino } from '../base/ids.ts';
import { KIB, MIB } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import type { Timed } from '../base/pauses.ts';
import type { Erased, ExtentRange, FileExtents, LiveMeta } from '../meta/mod.ts';
import type { CommitBackend } from './commit-backend.ts';
import { ProgressCount } from './commit-progress.ts';
import type { CutSource, FrozenFile } from './cut-source.ts';
import type { Pace } from './pace.ts';
import { readFrozen } from './read-frozen.ts';
import { addExtent, batchesOf, type Segment, segmentsOf } from './segments.ts';
import { inTurns, ROWS_A_TURN, slicesOf } from './slices.ts';

/** Rows that go in larger numbers: some 0.5 us each. */
const OLD_ROWS_A_TURN = 2000;
const RETRY_MS = 1000;
/** A cut with more dirty bytes than this is not small. */
const SMALL_BYTES_MAX: number = 128 * KIB;
/** Bytes of small commits with the metadata above which a commit of the other kind moves them. */
const INLINE_BYTES_MAX: number = 16 * MIB;

export interface CutCommitOptions {
  meta: LiveMeta;
  cache: CutSource & { readonly dirtyBytes: number };
  backend: CommitBackend;
  log: Log;
  timed: Timed;
  pace: Pace;
}

/** How a commit is to be made, and who hears of it. */
export interface CommitOrder {
  epoch: Epoch;
  /** Somebody waits for it who wants to go on. */
  isUrgent: boolean;
  /** The cut is made: what is written from now on belongs to another epoch. */
  onCut: () => void;
  /** The disks have the epoch, of a small commit; the live metadata takes it over after that. */
  onPublished: () => void;
}

/** A commit that was made. */
export interface DoneCommit {
  cutTimeMs: number;
  files: FileExtents[];
}

interface Cut {
  epoch: Epoch;
  seq: number;
  erased: Erased;
  cutTimeMs: number;
  /** The operations of a small commit. */
  ops: Uint8Array | undefined;
}

/**
 * One commit after the other: cut, store, publish, take over. An urgent one of little data goes to
 * the store's thread in one message, as a record that has all of it.
 */
export class CutCommit {
  readonly #options: CutCommitOptions;
  /** Of the commit that runs. */
  count: ProgressCount | undefined;
  lastCutMs = 0;
  /** Why the live metadata could not take over an epoch, while that is tried again. */
  onTrouble: (message: string) => void = () => undefined;
  /** The process ends: what cannot be noted is left to the next one. */
  isClosing = false;
  /** The last journal number that the disks have; undefined before the first commit. */
  #publishedSeq: number | undefined;
  #inlineBytes = 0;

  constructor(options: CutCommitOptions) {
    this.#options = options;
  }

  /** Makes the commit; throws when it fails, and everything is dirty again. */
  async commit(order: CommitOrder): Promise<DoneCommit> {
    const { cache, timed, backend } = this.#options;
    await this.#settle();
    for (let busy = cache.resizing; busy !== undefined; busy = cache.resizing) {
      await busy;
      await nextTurn(); // Those who waited for it as well go first.
    }
    const cut = this.#cut(order);
    order.onCut();
    const count = new ProgressCount(cut.epoch);
    this.count = count;
    let files: FileExtents[];
    try {
      if (cut.ops === undefined) files = await this.#commitLarge(cut, count);
      else files = await this.#commitSmall(cut, { ops: cut.ops, count, order });
    } catch (error) {
      await inTurns(timed, 'thaw', () => cache.abandoned(ROWS_A_TURN));
      await backend.abandon().catch(() => undefined);
      throw error;
    }
    await inTurns(timed, 'thaw', () => cache.published(ROWS_A_TURN));
    return { cutTimeMs: cut.cutTimeMs, files };
  }

  /** One turn of the event loop: invariant 1 of {@link Committer}. */
  #cut({ epoch, isUrgent }: CommitOrder): Cut {
    const { meta, cache, timed } = this.#options;
    const cutTimeMs = Date.now();
    const startMs = performance.now();
    const cut = timed('cut', () => {
      const { seq, erased } = meta.cut(cache.grown(Number.POSITIVE_INFINITY));
      const ops = isUrgent && this.#canBeSmall ? meta.publishes.opsUpTo(seq) : undefined;
      // The store's thread reads the journal on a connection of its own.
      if (ops === undefined) meta.flush();
      cache.freeze(epoch);
      return { seq, erased, ops };
    });
    this.lastCutMs = performance.now() - startMs;
    return { epoch, cutTimeMs, ...cut };
  }

  get #canBeSmall(): boolean {
    const { meta, cache } = this.#options;
    const { seq } = meta.publishes;
    return (
      cache.dirtyBytes <= SMALL_BYTES_MAX &&
      this.#inlineBytes <= INLINE_BYTES_MAX &&
      // An epoch that the disks have may have failed here, at its last step.
      (this.#publishedSeq ?? seq) === seq
    );
  }

  /**
   * Writes down what files have grown to, some in each turn: at the cut only those are left that
   * grow meanwhile.
   */
  async #settle(): Promise<void> {
    const { meta, cache, timed } = this.#options;
    let turns = Math.floor(cache.grownFiles / ROWS_A_TURN);
    await inTurns(timed, 'write down sizes', () => {
      if (turns-- <= 0) return false;
      const some = cache.grown(ROWS_A_TURN);
      meta.grow(some);
      cache.settled(some);
      return true;
    });
  }

  async #commitLarge(cut: Cut, count: ProgressCount): Promise<FileExtents[]> {
    const { meta, cache, backend, timed } = this.#options;
    const { epoch, seq, cutTimeMs, erased } = cut;
    const files = await this.#store(count);
    count.published();
    await allOf([this.#publish({ epoch, seq, cutTimeMs }, backend), meta.wal.syncAll()]);
    this.#inlineBytes = 0;
    await this.#untilNoted(epoch, async () => {
      for (const some of slicesOf(files, ROWS_A_TURN)) {
        timed('take over extents', () => meta.publishes.extents(some, erased));
        await nextTurn();
      }
      cache.lending.keepMarks();
      meta.publishes.done(epoch, seq);
      await inTurns(timed, 'drop the journal', () => meta.publishes.trim(OLD_ROWS_A_TURN));
    });
    return files;
  }

  async #publish(
    cut: { epoch: Epoch; seq: number; cutTimeMs: number },
    backend: CommitBackend,
  ): Promise<void> {
    await backend.publish(cut);
    this.#publishedSeq = cut.seq;
  }

  /** Stores all dirty ranges; what stands at their offsets afterwards, by file. */
  async #store(count: ProgressCount): Promise<FileExtents[]> {
    const { cache, backend, timed } = this.#options;
    const frozen: FrozenFile[] = [];
    await inTurns(timed, 'freeze', () => {
      const some = cache.frozen(ROWS_A_TURN);
      for (const file of some) {
        frozen.push(file);
        count.found(file);
      }
      return some.length > 0;
    });
    const byIno = new Map<Ino, ExtentRange[]>();
    const store = async (batch: Segment[]): Promise<void> => {
      const ids = await backend.store(batch);
      collect(byIno, batch, ids);
      count.stored(batch);
    };
    await this.#storeEach(batchesOf(segmentsOf(frozen)), store);
    return [...byIno].map(([ino, ranges]) => ({ ino, ranges }));
  }

  /** Some at a time; when one fails, those under way are waited for, and no other begins. */
  async #storeEach(
    batches: Iterable<Segment[]>,
    store: (batch: Segment[]) => Promise<void>,
  ): Promise<void> {
    const { pace } = this.#options;
    const running = new Set<Promise<void>>();
    const failures: Error[] = [];
    for (const batch of batches) {
      if (failures.length > 0) break;
      const startMs = performance.now();
      const stored = store(batch)
        .catch((error: unknown) => void failures.push(error as Error))
        .finally(() => running.delete(stored));
      running.add(stored);
      while (running.size >= pace.inFlightMax) {
        await Promise.race(running);
        await pace.rest(performance.now() - startMs);
      }
    }
    await Promise.all(running);
    const [failure] = failures;
    if (failure !== undefined) throw failure;
  }

  /**
   * One message to the store's thread and back, one round of syncs there. Who waits is told as soon
   * as the disks have the epoch: should this process end before the live metadata has taken it
   * over, the next one takes it from the disks.
   */
  async #commitSmall(
    cut: Cut,
    small: { ops: Uint8Array; count: ProgressCount; order: CommitOrder },
  ): Promise<FileExtents[]> {
    const { meta, cache, backend, timed } = this.#options;
    const { epoch, seq, cutTimeMs, erased } = cut;
    const { ops, count, order } = small;
    const afterSeq = meta.publishes.seq;
    // No await up to here since the cut: nothing has changed.
    const { segments, content } = timed('read small', () => readFrozen(cache, count));
    const asked = { epoch, seq, cutTimeMs, afterSeq, ops, segments, content };
    const { ids, inlineBytes } = await backend.commitSmall(asked);
    this.#publishedSeq = seq;
    this.#inlineBytes = inlineBytes;
    count.published();
    order.onPublished();
    // Their answers go out first, and no request comes in between.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    const byIno = new Map<Ino, ExtentRange[]>();
    collect(byIno, segments, ids);
    const files = [...byIno].map(([ino, ranges]) => ({ ino, ranges }));
    await this.#untilNoted(epoch, () => {
      cache.lending.keepMarks();
      timed('take over small', () => meta.publishes.small({ epoch, seq, files, erased }));
    });
    return files;
  }

  /** The disks have the epoch, the live metadata must have it too: a full device is waited for. */
  async #untilNoted(epoch: Epoch, note: () => void | Promise<void>): Promise<void> {
    const { log } = this.#options;
    for (;;) {
      try {
        await note();
        return;
      } catch (error) {
        // A process that ends leaves it to the next one, which takes the epoch from the disks.
        if (error instanceof InvariantError || this.isClosing) throw error;
        const message = messageOf(error);
        this.onTrouble(message);
        log('error', 'committed, but not noted', { epoch, message });
      }
      await delay(RETRY_MS);
    }
  }
}

/**
 * Waits for all to end, before what they work on may be given up; throws what the first of them
 * threw.
 */
async function allOf(work: Promise<void>[]): Promise<void> {
  for (const end of await Promise.allSettled(work)) if (end.status === 'rejected') throw end.reason;
}

function collect(byIno: Map<Ino, ExtentRange[]>, batch: Segment[], ids: Uint8Array): void {
  for (const [index, segment] of batch.entries()) {
    const at = index * CHUNK_ID_BYTES;
    const chunk = Buffer.from(ids.subarray(at, at + CHUNK_ID_BYTES)) as ChunkId;
    addExtent(byIno, segment, chunk);
  }
}
