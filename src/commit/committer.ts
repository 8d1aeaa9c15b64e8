import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { DfsError, InvariantError, messageOf } from '../base/errors.ts';
import { CHUNK_ID_BYTES, type ChunkId, type Epoch, type Ino } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { type Timed, untimed } from '../base/pauses.ts';
import type { Erased, ExtentRange, FileExtents, LiveMeta } from '../meta/mod.ts';
import { Checkpoints } from './checkpoints.ts';
import { type CommitProgress, ProgressCount } from './commit-progress.ts';
import type { CutSource, FrozenFile } from './cut-source.ts';
import { type DeadlineFigures, Schedule, type Waiting } from './schedule.ts';
import { addExtent, batchesOf, type Segment, segmentsOf } from './segments.ts';
import { inTurns, ROWS_A_TURN, slicesOf } from './slices.ts';
import { joinSmallExtents } from './small-extents.ts';

/** The side of a commit that touches disks; it lives on a thread of its own. */
export interface CommitBackend {
  /**
   * Reads the segments as they were at the cut, stores what is new: their chunk ids, 32 bytes each,
   * in order.
   */
  store(segments: Segment[]): Promise<Uint8Array>;
  /** Writes the epoch on the disks and syncs them; resolves when it has its redundancy. */
  publish(epoch: { epoch: Epoch; seq: number; cutTimeMs: number }): Promise<void>;
  /** Forgets what was stored for an epoch that will not be published. */
  abandon(): Promise<void>;
  /** Copies SQLite's log of the live metadata into its file; resolves to the pages in the log. */
  checkpoint(): Promise<number>;
}

export interface CommitterOptions {
  meta: LiveMeta;
  cache: CutSource & {
    readonly dirtyBytes: number;
    readonly frozenBytes: number;
    rewrite(ino: Ino, start: number, end: number): void;
    /** So much may be uncommitted; of the cut `bytesDone` are stored. */
    pace?(limit: { bytesMax: number; bytesDone: number }): void;
  };
  backend: CommitBackend;
  firstEpoch: Epoch;
  /** How long dirty data waits until a commit begins at most, while commits succeed. */
  intervalMs: number;
  /** How long a change may wait until it is committed. */
  deadlineMs?: number;
  /** Dirty bytes that start a commit at once. */
  dirtyBytesMax: number;
  log: Log;
  timed?: Timed;
}

export interface CommitStatus {
  running: CommitProgress | undefined;
  committedEpoch: Epoch;
  /**
   * When the newest committed epoch was cut, in ms since 1970; undefined in a new process before
   * its first.
   */
  committedAtMs: number | undefined;
  /** Why the last commit failed; undefined when it did not. */
  failure: string | undefined;
}

/** All commits since the start. Bytes are the dirty bytes of their cuts. */
export interface CommitTotals {
  commits: number;
  failures: number;
  files: number;
  bytes: number;
  /** From the cut to the last waiter of the newest one, and its cut, for which all wait. */
  lastMs: number;
  lastCutMs: number;
}

const BATCHES_IN_FLIGHT = 3;
/** Rows that go in larger numbers: some 0.5 us each. */
const OLD_ROWS_A_TURN = 2000;
const CHECK_MS = 200;
const RETRY_MS = 1000;
/** How long a change may wait for its commit, unless somebody says so. */
export const DEADLINE_MS = 30_000;

/**
 * Decides when to commit and drives one commit at a time.
 *
 * Invariants:
 *  1. The cut is one turn of the event loop: size, times, journal and dirty ranges of all files
 *     belong to one instant.
 *  2. A waiter is told only of an epoch cut after it asked; waiters of one epoch share it (group
 *     commit).
 *  3. The live metadata takes over an epoch's extents only after the disks have it.
 *  4. An epoch number is used once: after a failure the next attempt has the next one.
 *
 * idle -> cutting -> storing -> publishing -> idle; a failure in storing or publishing -> abandoned
 * -> idle.
 */
export class Committer {
  readonly #options: CommitterOptions;
  readonly #timed: Timed;
  readonly #checkpoints: Checkpoints;
  readonly #schedule: Schedule;
  readonly #totals: CommitTotals = {
    commits: 0,
    failures: 0,
    files: 0,
    bytes: 0,
    lastMs: 0,
    lastCutMs: 0,
  };
  #nextEpoch: Epoch;
  #running: Promise<void> | undefined;
  #count: ProgressCount | undefined;
  #waiters: { resolve: (epoch: Epoch) => void; reject: (error: unknown) => void }[] = [];
  #timer: NodeJS.Timeout | undefined;
  #committedAtMs: number | undefined;
  #failure: string | undefined;
  #closing = false;
  #closed = false;

  constructor(options: CommitterOptions) {
    this.#options = options;
    this.#timed = options.timed ?? untimed;
    this.#nextEpoch = options.firstEpoch;
    const { meta, backend, log, intervalMs, deadlineMs = DEADLINE_MS, dirtyBytesMax } = options;
    this.#schedule = new Schedule({ intervalMs, deadlineMs, dirtyBytesMax });
    const copy = (): Promise<number> => backend.checkpoint();
    this.#checkpoints = new Checkpoints({ meta, copy, timed: this.#timed, log });
  }

  get totals(): Readonly<CommitTotals> {
    return this.#totals;
  }

  /** Begins to commit by itself. */
  start(): void {
    this.#timer = setInterval(() => this.#tick(), CHECK_MS);
    this.#timer.unref();
  }

  get status(): CommitStatus {
    return {
      running: this.#count?.progress,
      committedEpoch: this.#options.meta.committedEpoch,
      committedAtMs: this.#committedAtMs,
      failure: this.#failure,
    };
  }

  /** How long changes wait for a commit, and may. */
  get deadline(): DeadlineFigures {
    this.#schedule.look(this.#waiting);
    return this.#schedule.figures;
  }

  get #waiting(): Waiting {
    const { meta, cache } = this.#options;
    const { pendingOps, pendingBytes } = meta;
    // While a commit runs, operations of its cut are pending as well; bytes count from the cut on.
    const ops = this.#count === undefined ? pendingOps : Math.min(1, pendingBytes);
    return { dirtyBytes: cache.dirtyBytes, ops, opBytes: pendingBytes };
  }

  get isClean(): boolean {
    const { meta, cache } = this.#options;
    return meta.pendingOps === 0 && cache.dirtyBytes === 0 && this.#running === undefined;
  }

  #tick(): void {
    this.#checkpoints.check();
    this.#noteMapped();
    if (this.#schedule.look(this.#waiting)) void this.#run();
    this.#pace();
  }

  #pace(): void {
    const { bytesDone = 0 } = this.#count?.progress ?? {};
    this.#options.cache.pace?.({ bytesMax: this.#schedule.backlogBytesMax(bytesDone), bytesDone });
  }

  /** A full device does not take the marks: they are tried again at the next look. */
  #noteMapped(): void {
    const { cache, log } = this.#options;
    try {
      this.#timed('note mapped', () => cache.lending.noteMapped('when due'));
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      this.#failure = messageOf(error);
      log('error', 'mapped files cannot be noted', { message: this.#failure });
    }
  }

  /** Resolves with the epoch that has everything up to now; rejects when that commit fails. */
  async commit(): Promise<Epoch> {
    if (this.#closed) throw closing();
    this.#options.cache.lending.noteMapped('now');
    if (this.isClean) return this.#options.meta.committedEpoch;
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      void this.#run();
    });
  }

  /**
   * Runs commits until nobody waits; the running one does not count for who asked after its cut.
   */
  async #run(): Promise<void> {
    if (this.#running !== undefined) return;
    // One turn later, so that waiters of the same turn share the cut.
    this.#running = nextTurn().then(() => this.#once());
    await this.#running;
    this.#running = undefined;
    if (this.#waiters.length > 0 && !this.#closed) await this.#run();
  }

  async #once(): Promise<void> {
    const waiters = this.#waiters;
    this.#waiters = [];
    try {
      const epoch = await this.#commitCut();
      this.#failure = undefined;
      for (const waiter of waiters) waiter.resolve(epoch);
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      this.#failure = messageOf(error);
      this.#totals.failures++;
      this.#schedule.failed();
      this.#options.log('error', 'commit failed', { message: this.#failure });
      for (const waiter of waiters) waiter.reject(error);
    } finally {
      this.#count = undefined;
      this.#pace();
    }
  }

  async #commitCut(): Promise<Epoch> {
    const { meta, cache, backend, log } = this.#options;
    if (meta.pendingOps === 0 && cache.dirtyBytes === 0) return meta.committedEpoch;
    const startedMs = performance.now();
    await this.#settle();
    for (let busy = cache.resizing; busy !== undefined; busy = cache.resizing) {
      await busy;
      await nextTurn(); // Those who waited for it as well go first.
    }
    const epoch = this.#nextEpoch;
    const cutTimeMs = Date.now();
    const cutMs = performance.now();
    // Invariant 1: no await from here to freeze().
    const { seq, erased } = this.#timed('cut', () => {
      const taken = meta.cut(cache.grown(Number.POSITIVE_INFINITY));
      cache.freeze(epoch);
      return taken;
    });
    this.#totals.lastCutMs = performance.now() - cutMs;
    this.#nextEpoch = (epoch + 1) as Epoch;
    this.#schedule.cut(cache.frozenBytes);
    const count = new ProgressCount(epoch);
    this.#count = count;
    let files: FileExtents[];
    try {
      files = await this.#store(count);
      count.published();
      await allOf([backend.publish({ epoch, seq, cutTimeMs }), meta.wal.syncAll()]);
      await this.#follow({ epoch, seq, files, erased });
    } catch (error) {
      await inTurns(this.#timed, 'thaw', () => cache.abandoned(ROWS_A_TURN));
      await backend.abandon().catch(() => undefined);
      throw error;
    }
    await inTurns(this.#timed, 'thaw', () => cache.published(ROWS_A_TURN));
    this.#schedule.committed();
    this.#committedAtMs = cutTimeMs;
    await joinSmallExtents({ meta, cache, timed: this.#timed }, files);
    const totals = this.#totals;
    totals.commits++;
    totals.files += files.length;
    totals.bytes += count.progress.bytesTotal;
    totals.lastMs = performance.now() - startedMs;
    log('debug', 'committed', {
      epoch,
      files: files.length,
      cutMs: Math.round(totals.lastCutMs),
      ms: Math.round(performance.now() - startedMs),
    });
    return epoch;
  }

  /**
   * Writes down what files have grown to, some in each turn: at the cut only those are left that
   * grow meanwhile.
   */
  async #settle(): Promise<void> {
    const { meta, cache } = this.#options;
    let turns = Math.floor(cache.grownFiles / ROWS_A_TURN);
    await inTurns(this.#timed, 'write down sizes', () => {
      if (turns-- <= 0) return false;
      const some = cache.grown(ROWS_A_TURN);
      meta.grow(some);
      cache.settled(some);
      return true;
    });
  }

  /** Stores all dirty ranges; what stands at their offsets afterwards, by file. */
  async #store(count: ProgressCount): Promise<FileExtents[]> {
    const frozen: FrozenFile[] = [];
    await inTurns(this.#timed, 'freeze', () => {
      const some = this.#options.cache.frozen(ROWS_A_TURN);
      for (const file of some) {
        frozen.push(file);
        count.found(file);
      }
      return some.length > 0;
    });
    const byIno = new Map<Ino, ExtentRange[]>();
    const batches = batchesOf(segmentsOf(frozen));
    const worker = async (): Promise<void> => {
      for (const batch of batches) {
        const ids = await this.#options.backend.store(batch);
        collect(byIno, batch, ids);
        count.stored(batch);
      }
    };
    await allOf(Array.from({ length: BATCHES_IN_FLIGHT }, worker));
    return [...byIno].map(([ino, ranges]) => ({ ino, ranges }));
  }

  /** The disks have the epoch, the live metadata must have it too: a full device is waited for. */
  async #follow(taken: {
    epoch: Epoch;
    seq: number;
    files: FileExtents[];
    erased: Erased;
  }): Promise<void> {
    const { meta, cache, log } = this.#options;
    for (;;) {
      try {
        await this.#takeOver(taken.files, taken.erased);
        cache.lending.keepMarks();
        meta.publishDone(taken.epoch, taken.seq);
        await inTurns(this.#timed, 'drop the journal', () => meta.trim(OLD_ROWS_A_TURN));
        return;
      } catch (error) {
        // A process that ends leaves it to the next one, which takes the epoch from the disks.
        if (error instanceof InvariantError || this.#closing) throw error;
        this.#failure = messageOf(error);
        log('error', 'committed, but not noted', { epoch: taken.epoch, message: this.#failure });
      }
      await delay(RETRY_MS);
    }
  }

  /** Gives the live metadata its new extents, a few files a turn of the event loop. */
  async #takeOver(files: FileExtents[], erased: Erased): Promise<void> {
    for (const some of slicesOf(files, ROWS_A_TURN)) {
      this.#timed('take over extents', () => this.#options.meta.publishExtents(some, erased));
      await nextTurn();
    }
  }

  /**
   * Commits a last time unless told not to; background commits end. Throws when the last commit
   * fails.
   */
  async close(options: { commit: boolean }): Promise<void> {
    clearInterval(this.#timer);
    this.#closing = true;
    try {
      if (options.commit) await this.commit();
    } finally {
      this.#closed = true;
      await this.#running;
      await this.#checkpoints.close();
      for (const waiter of this.#waiters) waiter.reject(closing());
      this.#waiters = [];
    }
  }
}

function closing(): DfsError {
  return new DfsError('CLOSED', 'Cannot commit: the volume is closing');
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
