import { setImmediate as nextTurn } from 'node:timers/promises';
import { DfsError, InvariantError, messageOf } from '../base/errors.ts';
import type { Epoch, Ino } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { type Timed, untimed } from '../base/pauses.ts';
import { DEADLINE_MS } from '../base/settings.ts';
import type { LiveMeta } from '../meta/mod.ts';
import { Checkpoints } from './checkpoints.ts';
import type { CommitBackend } from './commit-backend.ts';
import type { CommitProgress } from './commit-progress.ts';
import { CutCommit } from './cut-commit.ts';
import type { CutSource } from './cut-source.ts';
import { Pace } from './pace.ts';
import { type DeadlineFigures, Schedule, type Waiting } from './schedule.ts';
import { SmallExtents } from './small-extents.ts';

export interface CommitterOptions {
  meta: LiveMeta;
  cache: CutSource & {
    readonly dirtyBytes: number;
    readonly frozenBytes: number;
    rewrite(ino: Ino, start: number, end: number): void;
    readonly backlog: {
      /** So much may be uncommitted; of the cut `bytesDone` are stored. */
      pace(limit: { bytesMax: number; bytesDone: number }): void;
    };
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

interface Waiter {
  resolve: (epoch: Epoch) => void;
  reject: (error: unknown) => void;
  isUrgent: boolean;
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

const CHECK_MS = 200;
/** Part of the deadline after which a commit no longer rests. */
const PRESSING_SHARE = 0.4;
/** Old rows removed in one turn of the event loop. */
const OLD_ROWS_A_TURN = 2000;

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
  readonly #cuts: CutCommit;
  readonly #speed: Pace;
  /** Those that wait for the commit that runs. */
  #served: readonly Waiter[] = [];
  readonly #smallExtents: SmallExtents;
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
  #waiters: Waiter[] = [];
  /** An epoch is wanted even if nothing has changed. */
  #isWanted = false;
  #timer: NodeJS.Timeout | undefined;
  #committedAtMs: number | undefined;
  #failure: string | undefined;
  #closed = false;

  constructor(options: CommitterOptions) {
    this.#options = options;
    this.#timed = options.timed ?? untimed;
    this.#nextEpoch = options.firstEpoch;
    const { meta, backend, log, intervalMs, deadlineMs = DEADLINE_MS, dirtyBytesMax } = options;
    this.#schedule = new Schedule({ intervalMs, deadlineMs, dirtyBytesMax });
    const { cache } = options;
    const parts = { meta, cache, backend, log, timed: this.#timed };
    this.#speed = new Pace({ isPressing: () => this.#isPressing });
    this.#cuts = new CutCommit({ ...parts, pace: this.#speed });
    this.#cuts.onTrouble = (message) => {
      this.#failure = message;
    };
    this.#smallExtents = new SmallExtents(parts);
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
    // A fast writer writes hundreds of MiB before the first tick.
    this.#pace();
  }

  get status(): CommitStatus {
    return {
      running: this.#cuts.count?.progress,
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
    const ops = this.#cuts.count === undefined ? pendingOps : Math.min(1, pendingBytes);
    return { dirtyBytes: cache.dirtyBytes, ops, opBytes: pendingBytes };
  }

  /** Whether the commit that runs has to be done soon. */
  get #isPressing(): boolean {
    const { cache, dirtyBytesMax, deadlineMs = DEADLINE_MS } = this.#options;
    if (this.#waiters.length + this.#served.length > 0 || this.#closed) return true;
    const { oldestMs = 0 } = this.#schedule.figures;
    return cache.dirtyBytes >= dirtyBytesMax || oldestMs >= deadlineMs * PRESSING_SHARE;
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
    this.#tidy();
  }

  /** What commits leave for later. */
  #tidy(): void {
    const { publishes } = this.#options.meta;
    if (this.#running === undefined) this.#smallExtents.look();
    publishes.trimLater();
    if (publishes.isTrimmed) return;
    this.#timed('drop the journal', () => publishes.trim(OLD_ROWS_A_TURN));
  }

  #pace(): void {
    const { bytesDone = 0 } = this.#cuts.count?.progress ?? {};
    const bytesMax = this.#schedule.backlogBytesMax(bytesDone);
    this.#options.cache.backlog.pace({ bytesMax, bytesDone });
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

  /**
   * Resolves with the epoch that has everything up to now; rejects when that commit fails. An
   * urgent one of little data goes the short way: see {@link CutCommit}.
   */
  async commit(options: { isUrgent: boolean } = { isUrgent: false }): Promise<Epoch> {
    if (this.#closed) throw closing();
    this.#options.cache.lending.noteMapped('now');
    if (this.isClean) return this.#options.meta.committedEpoch;
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject, ...options });
      this.#speed.hurry();
      void this.#run();
    });
  }

  /** Makes an epoch soon, although nothing may have changed; one that fails is not tried again. */
  commitAnyway(): void {
    if (this.#closed) return;
    this.#isWanted = true;
    void this.#run();
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
    const isAsked = this.#waiters.length > 0 || this.#isWanted;
    if (isAsked && !this.#closed) await this.#run();
  }

  async #once(): Promise<void> {
    const waiters = this.#waiters;
    this.#waiters = [];
    this.#served = waiters;
    try {
      const epoch = await this.#commitCut(waiters);
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
      this.#cuts.count = undefined;
      this.#served = [];
      this.#pace();
    }
  }

  async #commitCut(waiters: readonly Waiter[]): Promise<Epoch> {
    const { meta, cache, log } = this.#options;
    const isWanted = this.#isWanted;
    this.#isWanted = false;
    if (meta.pendingOps === 0 && cache.dirtyBytes === 0 && !isWanted) return meta.committedEpoch;
    const startedMs = performance.now();
    const epoch = this.#nextEpoch;
    const { cutTimeMs, files } = await this.#cuts.commit({
      epoch,
      isUrgent: waiters.some(({ isUrgent }) => isUrgent),
      onCut: () => {
        this.#nextEpoch = (epoch + 1) as Epoch;
        this.#schedule.cut(cache.frozenBytes);
      },
      onPublished: () => {
        for (const { resolve } of waiters) resolve(epoch);
      },
    });
    this.#schedule.committed();
    this.#committedAtMs = cutTimeMs;
    await this.#smallExtents.note(files);
    const totals = this.#totals;
    totals.commits++;
    totals.files += files.length;
    totals.bytes += this.#cuts.count?.progress.bytesTotal ?? 0;
    totals.lastMs = performance.now() - startedMs;
    totals.lastCutMs = this.#cuts.lastCutMs;
    log('debug', 'committed', {
      epoch,
      files: files.length,
      cutMs: Math.round(totals.lastCutMs),
      ms: Math.round(totals.lastMs),
    });
    return epoch;
  }

  /**
   * Commits a last time unless told not to; background commits end. Throws when the last commit
   * fails.
   */
  async close(options: { commit: boolean }): Promise<void> {
    clearInterval(this.#timer);
    this.#cuts.isClosing = true;
    try {
      if (options.commit) await this.commit();
    } finally {
      this.#closed = true;
      this.#speed.hurry();
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
