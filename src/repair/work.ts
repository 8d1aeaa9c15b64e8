import { DfsError, InvariantError, messageOf } from '../base/errors.ts';
import { type ChunkId, chunkKey } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { doomedChunks, forget } from './garbage.ts';
import { hardwareText } from './hardware.ts';
import { type PassParts, type PassResult, repairChunks, runPass } from './pass.ts';
import { Progress } from './progress.ts';
import { scrubStep } from './scrub.ts';
import { KINDS, type Kind, type Survey, survey } from './survey.ts';
import { type Foreground, Throttle } from './throttle.ts';
import { Waiters } from './waiters.ts';
import type { WalkFacts, WorkFacts, WorkPhase } from './work-facts.ts';
import { WorkMemory } from './work-memory.ts';
import { WorkView, type WorkVolume } from './work-volume.ts';

// Phases.
//   (open)                      -> checking   nothing is known of the disks yet
//   idle | waiting | scrubbing  -> checking   the map or the state of a disk changed, or a try is due
//   checking -> working                       the walk found something that can be done
//   checking -> idle                          it found all right
//   checking -> waiting                       what is left waits for a disk, or for another try
//   working  -> checking                      a pass of each kind that was needed is over
//   idle | waiting -> working                 a read found a bad piece, or garbage is due
//   idle | waiting -> scrubbing -> idle | waiting   the scrub is behind its pace
//   any -> paused -> checking                 pause() and resume()
//   any -> (closed)
//
// Invariants.
// 1. One thing at a time: whoever deletes pieces knows that nobody else moves them.
// 2. `lastWalk.isCurrent` only while map and disk states are those that held during all of that walk.
// 3. What was done is found again on the disks; HOME/work only keeps what they cannot tell.

/** How often the hardware is looked at when nobody says that it changed. */
const LOOK_MS = 1000;
/** When something that did not work out is tried again: this, twice this, ... */
const RETRY_MS_MIN = 15_000;
const RETRY_MS_MAX = 600_000;
/** Chunks with bad pieces that wait; more are found by the scrub, or the next walk. */
const SUSPECTS_MAX = 10_000;
/** How often the cursor of the scrub is written down. */
const SAVE_MS = 60_000;
/** Looking for garbage takes at most one part in so many of the time. */
const GARBAGE_LOOK_SHARE = 50;
/** From so many forgotten chunks on, one walk over all is faster than a look at each. */
const LOOKS_MAX = 10_000;

/** What background work is made of. */
export interface WorkOptions {
  readonly volume: WorkVolume;
  /** HOME/work. */
  readonly path: string;
  readonly foreground: Foreground;
  readonly log: Log;
  /** A mistake of ours: nobody may go on. */
  readonly onInvariant: (error: unknown) => void;
}

/**
 * The background work of a volume: brings every piece to where the map wants it, keeps chunks at
 * the redundancy of the scheme, verifies them in turn, and frees what nothing refers to.
 */
export class Work {
  readonly #options: WorkOptions;
  readonly #volume: WorkVolume;
  readonly #throttle: Throttle;
  readonly #memory: WorkMemory;
  #phase: WorkPhase = 'checking';
  #kind: Kind | undefined;
  #progress: Progress = new Progress({ total: 0, totalBytes: 0 });
  #isClosed = false;
  #running: Promise<void> = Promise.resolve();
  #wake: () => void = () => undefined;
  #problem = '';
  /** The hardware as it was when a walk last ended with nothing left that could be done. */
  #settled = '';
  /** The hardware during the last complete walk, and what that found. */
  #walked: { hardware: string; facts: Omit<WalkFacts, 'isCurrent'> } | undefined;
  #retryAtMs = Number.POSITIVE_INFINITY;
  #retries = 0;
  #garbageAtMs = 0;
  #scrubAtMs = 0;
  readonly #suspects = new Map<string, ChunkId>();
  readonly #waiters = new Waiters<WorkFacts>();
  readonly #bytes: Record<Kind, number> = { rebuild: 0, reencode: 0, rebalance: 0, garbage: 0 };
  #failures = 0;
  #forgotten = 0;

  private constructor(options: WorkOptions, memory: WorkMemory) {
    const { volume, foreground } = options;
    this.#options = options;
    this.#volume = volume;
    this.#memory = memory;
    this.#throttle = new Throttle({
      share: () => volume.settings.workShare,
      bytesPerSecond: () => memory.bytesPerSecond,
      isBusy: () => foreground.isBusy,
    });
  }

  /** Takes up what HOME says, and begins. */
  static async start(options: WorkOptions): Promise<Work> {
    const { path, log, volume } = options;
    const memory = await WorkMemory.open({ path, log, scrubDays: () => volume.settings.scrubDays });
    const work = new Work(options, memory);
    work.#running = work.#run().catch(options.onInvariant);
    return work;
  }

  /** The map or a disk has changed: looks at once. */
  changed(): void {
    this.#wake();
  }

  /** Somebody found something wrong: a walk begins, although the hardware is the same. */
  lookAgain(): void {
    this.#settled = '';
    this.#wake();
  }

  /** A piece of the chunk was bad or missing when it was read: it is repaired at once. */
  suspect(id: ChunkId): void {
    // Its own reads find what it is about to mend; another walk follows that finds the rest.
    if (this.#phase === 'working' && this.#kind === 'rebuild') return;
    if (this.#suspects.size < SUSPECTS_MAX) this.#suspects.set(chunkKey(id), id);
    this.#wake();
  }

  async pause(): Promise<void> {
    this.#memory.isPaused = true;
    this.#settled = '';
    this.#waiters.fail(new DfsError('BUSY', 'Cannot wait for background work: it was paused'));
    await this.#memory.save();
    this.#wake();
  }

  async resume(): Promise<void> {
    this.#memory.isPaused = false;
    await this.#memory.save();
    this.#wake();
  }

  /** How many bytes it may write in a second; undefined for no limit. */
  async limit(bytesPerSecond: number | undefined): Promise<void> {
    this.#memory.bytesPerSecond = bytesPerSecond;
    await this.#memory.save();
    this.#wake();
  }

  /** Begins a scrub of everything, as fast as it can. */
  async scrubNow(): Promise<void> {
    this.checkRuns('scrub');
    this.#memory.scrub.ask();
    await this.#memory.save();
    this.#wake();
  }

  /** Resolves when nothing is left that can be done now, garbage included; BUSY when paused. */
  async wait(): Promise<WorkFacts> {
    this.checkRuns('wait for background work');
    this.#garbageAtMs = 0;
    if (Number.isFinite(this.#retryAtMs)) this.#retryAtMs = 0;
    const waited = this.#waiters.wait();
    this.#wake();
    return waited;
  }

  /** Throws BUSY when work is paused, CLOSED. */
  checkRuns(action: string): void {
    if (this.#isClosed) throw new DfsError('CLOSED', `Cannot ${action}: the volume is closed`);
    if (!this.#memory.isPaused) return;
    const hint = 'background work is paused; "dfsctl work resume" lets it go on';
    throw new DfsError('BUSY', `Cannot ${action}: ${hint}`);
  }

  get facts(): WorkFacts {
    const isRunning = this.#phase === 'working' || this.#phase === 'checking';
    const { rate, etaMs, ...amounts } = this.#progress.facts;
    const walked = this.#walked;
    const { isPaused, bytesPerSecond: limit, scrub } = this.#memory;
    const [failures, forgotten] = [this.#failures, this.#forgotten];
    return {
      state: this.#phase,
      kind: this.#kind,
      ...amounts,
      rate: isRunning ? rate : 0,
      etaMs: isRunning ? etaMs : undefined,
      pausedBy: isPaused ? 'user' : undefined,
      limit,
      problem: this.#problem,
      lastWalk: walked && { ...walked.facts, isCurrent: walked.hardware === this.#hardware() },
      scrub: scrub.facts,
      totals: { bytes: { ...this.#bytes }, failures, forgotten },
    };
  }

  /** Ends what runs at the next step, and writes down how far it came. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const state = 'the volume is closed';
    this.#waiters.fail(new DfsError('CLOSED', `Cannot wait for background work: ${state}`));
    this.#wake();
    await this.#running;
    await this.#memory.save();
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      try {
        await this.#turn();
      } catch (error) {
        if (error instanceof InvariantError || !(error instanceof DfsError)) throw error;
        // A disk that went, mostly: then the hardware is another, and the next turn sees it.
        this.#failed(messageOf(error));
        if (!this.#isClosed) await this.#sleep();
      }
    }
  }

  /** Does the most urgent thing there is. */
  async #turn(): Promise<void> {
    if (this.#memory.isPaused) {
      this.#phase = 'paused';
      return this.#sleep();
    }
    const done = this.#waiters.known();
    if (this.#suspects.size > 0) return this.#repairSuspects();
    const isRetry = performance.now() >= this.#retryAtMs;
    if (this.#settled !== this.#hardware() || isRetry) return this.#walk();
    if (performance.now() >= this.#garbageAtMs && (await this.#collectGarbage())) return;
    const isLeft = Number.isFinite(this.#retryAtMs);
    this.#phase = isLeft ? 'waiting' : 'idle';
    this.#kind = undefined;
    done(this.facts);
    if (this.#memory.scrub.isDue && performance.now() >= this.#scrubAtMs) return this.#scrubOn();
    return this.#sleep();
  }

  /** Looks at everything, does what it finds, and leaves it to the next turn to look again. */
  async #walk(): Promise<void> {
    const hardware = this.#hardware();
    this.#phase = 'checking';
    this.#kind = undefined;
    this.#retryAtMs = Number.POSITIVE_INFINITY;
    try {
      await this.#walkOn(hardware);
    } catch (error) {
      // As long as the hardware is the same, the next try may wait.
      this.#settled = hardware;
      throw error;
    }
  }

  async #walkOn(hardware: string): Promise<void> {
    const found = await this.#survey(hardware);
    if (found === undefined) return;
    let [done, failed] = [0, 0];
    for (const kind of KINDS) {
      const { chunks, bytes } = found.todo[kind];
      if (chunks === 0) continue;
      const parts = this.#begin(kind, { total: chunks, totalBytes: bytes }, hardware);
      const result = this.#ended(kind, parts, await runPass(kind, parts));
      if (parts.isOver()) return;
      // Garbage may belong to a commit that is on its way: it is no reason to look again.
      if (kind !== 'garbage') [done, failed] = [done + result.done, failed + result.failed];
    }
    // A walk that got something done is followed by another, which sees whether that is all.
    if (done > 0 && failed === 0) return;
    this.#settled = hardware;
    if (failed > 0 || found.waiting > 0) this.#retryLater();
    else [this.#retries, this.#problem] = [0, ''];
  }

  async #survey(hardware: string): Promise<Survey | undefined> {
    const beganMs = Date.now();
    const view = new WorkView(this.#volume);
    this.#progress = new Progress({ total: this.#walked?.facts.chunks ?? 0, totalBytes: 0 });
    const isOver = (): boolean => this.#isOver(hardware);
    const onPage = (chunks: number): void => this.#progress.add(chunks, 0);
    const found = await survey(view, { onPage, throttle: this.#throttle, isOver });
    if (found === undefined || isOver()) return undefined;
    const { chunks, degraded, misplaced, lost, otherScheme, waiting } = found;
    const counts = { chunks, degraded, misplaced, lost, otherScheme, waiting };
    const mapVersion = this.#volume.map.version;
    this.#walked = { hardware, facts: { mapVersion, beganMs, endedMs: Date.now(), ...counts } };
    return found;
  }

  #begin(
    kind: Kind,
    amount: { total: number; totalBytes: number },
    hardware: string,
  ): PassParts & { readonly progress: Progress } {
    this.#phase = 'working';
    this.#kind = kind;
    this.#progress = new Progress(amount);
    return {
      view: new WorkView(this.#volume),
      throttle: this.#throttle,
      isBusy: () => this.#options.foreground.isBusy,
      isOver: () => this.#isOver(hardware),
      progress: this.#progress,
      log: this.#options.log,
    };
  }

  #ended(kind: Kind, { progress }: PassParts, result: PassResult): PassResult {
    const { bytes } = progress.facts;
    this.#bytes[kind] += bytes;
    this.#failures += result.failed;
    if (result.failed > 0) this.#problem = result.reason;
    const { done, failed } = result;
    if (done + failed === 0) return result;
    this.#options.log('info', 'work.ends', { kind, done, failed, bytes });
    return result;
  }

  async #repairSuspects(): Promise<void> {
    const ids = [...this.#suspects.values()];
    this.#suspects.clear();
    const parts = this.#begin('rebuild', { total: ids.length, totalBytes: 0 }, this.#hardware());
    const { failed } = this.#ended('rebuild', parts, await repairChunks(ids, parts));
    if (failed > 0) this.#retryLater();
  }

  /** Has dead chunks forgotten, and removes their pieces; whether there were any. */
  async #collectGarbage(): Promise<boolean> {
    const startMs = performance.now();
    this.#garbageAtMs = startMs + RETRY_MS_MIN;
    const hardware = this.#hardware();
    const forgotten: ChunkId[] = [];
    for await (const chunks of doomedChunks(this.#volume)) {
      if (this.#isOver(hardware)) return true;
      forgotten.push(...(await forget(this.#volume, chunks)));
    }
    const tookMs = performance.now() - startMs;
    this.#garbageAtMs = performance.now() + Math.max(LOOK_MS, tookMs * GARBAGE_LOOK_SHARE);
    if (forgotten.length === 0) return false;
    this.#forgotten += forgotten.length;
    const parts = this.#begin('garbage', { total: forgotten.length, totalBytes: 0 }, hardware);
    const isMany = forgotten.length > LOOKS_MAX;
    const result = isMany ? runPass('garbage', parts) : repairChunks(forgotten, parts);
    this.#ended('garbage', parts, await result);
    return true;
  }

  async #scrubOn(): Promise<void> {
    const { scrub } = this.#memory;
    const isOver = (): boolean => this.#memory.isPaused || this.#isClosed;
    await this.#throttle.rest(isOver);
    if (isOver()) return;
    const phase = this.#phase;
    this.#phase = 'scrubbing';
    const startMs = performance.now();
    const { isBusy } = this.#options.foreground;
    const { state } = scrub;
    this.#scrubAtMs = startMs + RETRY_MS_MIN;
    const step = await scrubStep(new WorkView(this.#volume), scrub.cursor, isBusy);
    this.#scrubAtMs = 0;
    this.#throttle.worked(performance.now() - startMs, 0);
    this.#phase = phase;
    for (const id of step.bad) this.#suspects.set(chunkKey(id), id);
    // Somebody may have asked for a round of his own meanwhile.
    if (scrub.state !== state) return;
    const isEnd = scrub.advance(step);
    if (isEnd) this.#options.log('info', 'scrub.ends', { ...scrub.facts });
    if (isEnd || performance.now() - this.#memory.savedMs > SAVE_MS) await this.#memory.save();
  }

  #failed(message: string): void {
    this.#problem = message;
    this.#options.log('warn', 'work.interrupted', { message });
    this.#retryLater();
  }

  #retryLater(): void {
    const waitMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.#retries++);
    this.#retryAtMs = performance.now() + waitMs;
  }

  #hardware(): string {
    return hardwareText(this.#volume);
  }

  #isOver(hardware: string): boolean {
    return this.#memory.isPaused || this.#isClosed || this.#hardware() !== hardware;
  }

  /** Until something happens, or it is time to look whether it did. */
  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, LOOK_MS);
      timer.unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
