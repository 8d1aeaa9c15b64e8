import { withinMs } from '../base/deadline.ts';
import { InvariantError, messageOf } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import { DISK_DEADLINE_MS } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import type { Settings } from '../base/settings.ts';
import type { ChunkStore } from '../store/mod.ts';
import { probeDisk } from './disk-probe.ts';
import type { VolumeDisk } from './volume-disk.ts';
import type { VolumeDisks } from './volume-disks.ts';

/** What is left on a disk that is to be removed. */
export interface Remains {
  pieces: number;
  /** Chunks of which no other disk has enough. */
  onlyCopies: number;
}

/** What the index of a disk says is left on it; undefined when it cannot be asked. */
export async function piecesOn(
  chunks: Pick<ChunkStore, 'ask'>,
  id: DiskId,
): Promise<Remains | undefined> {
  const usage = await chunks.ask(id, (disk) => disk.usage());
  return usage && { pieces: usage.pieces, onlyCopies: usage.pieces };
}

/** What is left on a disk, proven; undefined when that cannot be told now. */
export type Proof = (id: DiskId) => Promise<Remains | undefined>;

export interface DiskWatchOptions {
  volumeUuid: string;
  disks: VolumeDisks;
  settings: () => Pick<Settings, 'rebuildAfterMs'>;
  proof: Proof;
  /** Whether enough other disks have the metadata for a disk to leave. */
  hasMetadataBeside: (id: DiskId) => boolean;
  /** Moves slots to where the map says, if they are not there; whether they are. */
  settleSlots: () => Promise<boolean>;
  everyMs: number;
  log: Log;
  /** Ms since 1970. */
  now?: () => number;
}

/** The longest that a disk which keeps failing waits until it is tried again. */
const REST_MS_MAX = 300_000;
/** A disk that was in service for so long is trusted as before. */
const STEADY_MS = 600_000;

// A disk goes, as the watch sees it:
//   in service -> out of service (its folder is gone or another; or a call to it failed, elsewhere)
//   out of service -> in service (identity and probe are right, and it could be brought up to date)
// and with that, in the map:
//   in -> failed (out of service for rebuildAfterMs)
//   failed -> in (in service, and not failed by hand)
//   draining -> removed (proven to be empty)

/** Looks after the disks of a volume from time to time: who is gone, who is back, who may leave. */
export class DiskWatch {
  readonly #options: DiskWatchOptions;
  readonly #now: () => number;
  /** Disks that were asked and have not answered: they are not asked again. */
  readonly #asked = new Set<DiskId>();
  /** What was last logged of a disk, so that it is not said every few seconds. */
  readonly #said = new Map<DiskId, string>();
  /** Disks that came back: how often by now, and when last. */
  readonly #returns = new Map<DiskId, { count: number; atMs: number }>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: DiskWatchOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => Date.now());
  }

  start(): void {
    this.#timer = setTimeout(() => {
      void this.look().finally(() => {
        if (!this.#isClosed) this.start();
      });
    }, this.#options.everyMs);
    this.#timer.unref();
  }

  /** Looks once at every disk; resolves when all that follows from it is done. */
  look(): Promise<void> {
    this.#running = this.#running.then(async () => {
      if (this.#isClosed) return;
      const { disks } = this.#options;
      await Promise.all(disks.all.map((disk) => this.#lookAt(disk)));
      if (!disks.isLevel && !this.#isClosed) await disks.level();
    });
    return this.#running;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #lookAt(disk: VolumeDisk): Promise<void> {
    const { id } = disk.entry;
    const steps = [
      () => this.#checkPresence(disk),
      () => this.#tryAgain(disk),
      () => this.#noteTime(id),
      () => this.#settle(id),
    ];
    for (const step of steps) {
      if (this.#isClosed) return;
      try {
        await step();
      } catch (error) {
        // The disk may be in no state for this; what follows from that is for the next steps.
        if (error instanceof InvariantError) throw error;
        this.#say(id, messageOf(error));
      }
    }
  }

  /** What was opened may be reachable still when its folder is not: nothing that is written lasts. */
  async #checkPresence(disk: VolumeDisk): Promise<void> {
    const { disks } = this.#options;
    const { id } = disk.entry;
    if (disks.failure(id) !== undefined) return;
    const isGone = await this.#ask(id, () => disks.isGone(disk));
    if (isGone === true) await disks.takeOut(id, `Cannot use disk ${id}: ${disk.path} is gone`);
  }

  async #tryAgain({ entry: { id }, path }: VolumeDisk): Promise<void> {
    const { disks, volumeUuid } = this.#options;
    if (path === undefined || disks.failure(id) === undefined || this.#isResting(id)) return;
    const works = await this.#ask(id, async () => {
      await probeDisk({ path, volumeUuid, diskId: id });
      return true;
    });
    if (works !== true || this.#isClosed) return;
    await disks.returned(id, path);
    this.#said.delete(id);
    this.#returns.set(id, { count: (this.#returns.get(id)?.count ?? 0) + 1, atMs: this.#now() });
  }

  /** A disk that comes and goes is let in less and less often. */
  #isResting(id: DiskId): boolean {
    const { count = 0, atMs = 0 } = this.#returns.get(id) ?? {};
    const restMs = Math.min(REST_MS_MAX, this.#options.everyMs * 2 ** count);
    return count > 0 && this.#now() - atMs < restMs;
  }

  /** Asks a disk that may hang: undefined while an earlier question has no answer. */
  async #ask<T>(id: DiskId, question: () => Promise<T>): Promise<T | undefined> {
    if (this.#asked.has(id)) return undefined;
    this.#asked.add(id);
    const answer = question().finally(() => this.#asked.delete(id));
    return withinMs(DISK_DEADLINE_MS, `look at disk ${id}`, answer);
  }

  async #noteTime(id: DiskId): Promise<void> {
    const { disks } = this.#options;
    const isDown = disks.failure(id) !== undefined;
    const { downSinceMs } = disks.trouble(id);
    if (isDown && downSinceMs === undefined) {
      await disks.noteTrouble(id, { downSinceMs: this.#now() });
    }
    const { atMs } = this.#returns.get(id) ?? { atMs: this.#now() };
    if (!isDown && this.#now() - atMs > STEADY_MS) this.#returns.delete(id);
    if (!isDown && downSinceMs !== undefined) {
      await disks.noteTrouble(id, { downSinceMs: undefined });
    }
  }

  /** Changes the state in the map when that is due. */
  async #settle(id: DiskId): Promise<void> {
    const { disks, settings, log } = this.#options;
    const entry = disks.all.find((disk) => disk.entry.id === id)?.entry;
    if (entry === undefined || this.#isClosed) return;
    const isDown = disks.failure(id) !== undefined;
    const { downSinceMs, failedByHand } = disks.trouble(id);
    if (entry.state === 'in' && isDown && downSinceMs !== undefined) {
      // A clock that was set back begins the grace anew.
      if (downSinceMs > this.#now()) await disks.noteTrouble(id, { downSinceMs: this.#now() });
      if (this.#now() - downSinceMs < settings().rebuildAfterMs) return;
      await disks.setState(id, 'failed');
      log('error', 'disk failed', { disk: id, downSinceMs });
    } else if (entry.state === 'failed' && !isDown && failedByHand !== true) {
      await disks.setState(id, 'in');
      log('info', 'disk is in again', { disk: id });
    } else if (entry.state === 'draining') {
      await this.#removeIfEmpty(id);
    }
  }

  async #removeIfEmpty(id: DiskId): Promise<void> {
    const { disks, proof, hasMetadataBeside, settleSlots } = this.#options;
    const remains = await proof(id);
    if (remains === undefined || remains.pieces > 0 || remains.onlyCopies > 0) return;
    if (!hasMetadataBeside(id) || !(await settleSlots())) return;
    await disks.remove(id);
  }

  #say(id: DiskId, message: string): void {
    if (this.#said.get(id) === message) return;
    this.#said.set(id, message);
    this.#options.log('warn', 'trouble with a disk', { disk: id, message });
  }
}
