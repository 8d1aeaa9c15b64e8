import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DfsError, messageOf } from '../base/errors.ts';
import type { DiskId, Epoch } from '../base/ids.ts';
import { MIB } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import type { Settings } from '../base/settings.ts';
import {
  CommittedMeta,
  type DiskLog,
  type Head,
  listSnapshots,
  packSnapshot,
  publishSnapshot,
  readSnapshot,
  readSnapshotHeader,
  removeSnapshots,
} from '../meta/mod.ts';
import type { EpochLogs } from './epoch-logs.ts';
import { pinnedEpochs } from './epoch-pins.ts';
import { retainedSnapshots } from './retained-snapshots.ts';
import type { Retention } from './retention.ts';
import { type AgedSnapshot, keptEpochs, snapshotIntervalMs } from './thinning.ts';

export interface SnapshotsOptions {
  home: string;
  tag: Buffer;
  committed: () => CommittedMeta;
  logs: EpochLogs;
  retention: Retention;
  settings: () => Pick<Settings, 'retentionMs'>;
  /** Has an epoch made although nothing may have changed. */
  wantEpoch: () => void;
  log: Log;
}

/** Where the committed database is, and the folders with snapshots of it. */
export interface CommittedSource {
  path: string;
  tag: Buffer;
  folders: string[];
  log: Log;
}

/** A snapshot is due when the log since the last one is as long as it, but not before this. */
const LOG_BYTES_MIN: number = 64 * MIB;
/** How often it is asked whether one is due by time. */
const CHECK_MS = 1000;

/**
 * Writes snapshots of the committed metadata to the disks, beside commits, thins them out, and reads
 * them back.
 *
 * Invariants:
 *  1. All disks keep the same snapshots, as far as they could: those that {@link Retention} knows.
 *     A disk that was away may have others, of which nobody knows whether their chunks are there.
 *  2. A snapshot is deleted before it no longer protects its chunks.
 */
export class Snapshots {
  readonly #options: SnapshotsOptions;
  #logBytes = 0;
  #lastBytes = 0;
  /** When one was last written or tried, in ms since 1970. */
  #lastMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
  }

  /** Finds the snapshots there are. */
  async load(): Promise<void> {
    const { home, logs, retention, tag, log } = this.#options;
    const head = this.#head();
    const found = await retainedSnapshots({
      disks: logs.healthy,
      isNewest: ({ recordId }) => recordId?.equals(head.recordId) === true,
      tag,
      log,
    });
    retention.keep(found, pinnedEpochs(home));
    retention.published(head.epoch, Date.now() - head.cutTimeMs);
    this.#lastMs = retention.snapshots[0]?.cutTimeMs ?? 0;
  }

  /** Begins to write them by itself. */
  start(): void {
    this.#timer = setInterval(() => this.#check(), CHECK_MS);
    this.#timer.unref();
  }

  /** A record of `bytes` was published; begins a snapshot when one is due. */
  logged(bytes: number): void {
    this.#logBytes += bytes;
    if (this.#logBytes < Math.max(LOG_BYTES_MIN, this.#lastBytes)) return;
    if (this.#running === undefined) this.#begin();
  }

  /** Begins one when it is time and something has changed since the last. */
  #check(): void {
    const { retention, settings, committed, wantEpoch, log } = this.#options;
    const dueMs = snapshotIntervalMs(settings().retentionMs);
    const isDue = Math.abs(Date.now() - this.#lastMs) >= dueMs;
    if (!isDue || this.#running !== undefined) return;
    try {
      const newest = retention.snapshots[0]?.epoch ?? -1;
      if (this.#head().epoch > newest) this.#begin();
      else if (committed().deadChunks(1).length > 0) {
        // Garbage is kept until there are later snapshots, also on a volume at rest.
        this.#lastMs = Date.now() - dueMs + CHECK_MS;
        wantEpoch();
      }
    } catch (error) {
      this.#lastMs = Date.now();
      log('warn', 'no snapshot now', { message: messageOf(error) });
    }
  }

  #begin(): void {
    const { log } = this.#options;
    void this.now().catch((error: unknown) => {
      log('error', 'snapshot failed', { message: messageOf(error) });
    });
  }

  /** Writes one now; the one that is being written, if there is one. */
  now(): Promise<void> {
    this.#running ??= this.#writeNow().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #writeNow(): Promise<void> {
    this.#logBytes = 0;
    this.#lastMs = Date.now();
    await this.write(this.#options.logs.healthy);
  }

  /** Gives a snapshot to disks whose log ends early: they were away, or are new. */
  async catchUp(): Promise<void> {
    const head = this.#head();
    const behind: [DiskId, DiskLog][] = [];
    for (const [id, log] of this.#options.logs.healthy) {
      if (isInStep(log, head)) continue;
      const newest = (await listSnapshots(log.folder))[0];
      if ((newest?.epoch ?? -1) < head.epoch) behind.push([id, log]);
    }
    if (behind.length > 0) await this.write(behind);
  }

  /**
   * Has a snapshot on all disks that is newer than this call, for the sake of one whose log takes
   * records already; throws when that disk does not take it.
   */
  async giveTo(id: DiskId, diskLog: DiskLog): Promise<void> {
    const { logs } = this.#options;
    await this.#running?.catch(() => undefined);
    const { epoch } = this.#head();
    await this.now();
    const [newest] = await listSnapshots(diskLog.folder);
    if ((newest?.epoch ?? -1) >= epoch && logs.failure(id) === undefined) return;
    const state = logs.failure(id) ?? 'it has no room for a snapshot';
    throw new DfsError('UNAVAILABLE', `Cannot give disk ${id} the metadata: ${state}`);
  }

  /** Publishes the committed state on the given disks and drops what it makes superfluous. */
  async write(disks: [DiskId, DiskLog][]): Promise<void> {
    const { home, tag, committed } = this.#options;
    const source = join(home, 'snapshot.tmp');
    const target = join(home, 'snapshot-packed.tmp');
    const { epoch, incarnation, recordId, cutTimeMs } = this.#head();
    const header = { volumeTag: tag, epoch, incarnation, recordId, cutTimeMs };
    let written: boolean[] = [];
    try {
      rmSync(target, { force: true });
      committed().copyTo(source);
      // To compress takes longer than to write: it is done once for all disks.
      this.#lastBytes = await packSnapshot({ header, source, target });
      rmSync(source);
      const publishes = disks.map(([id, log]) =>
        this.#onDisk(id, async () => {
          await log.startNewFile((epoch + 1) as Epoch);
          await publishSnapshot(target, { folder: log.folder, epoch });
        }),
      );
      written = await Promise.all(publishes);
    } finally {
      for (const path of [source, target]) rmSync(path, { force: true });
    }
    if (written.includes(true)) await this.#thinOut({ epoch, cutTimeMs });
  }

  /** Deletes from all disks what is not kept any more, now that there is a newer one. */
  async #thinOut(newest: AgedSnapshot): Promise<void> {
    const { home, logs, retention, settings } = this.#options;
    const others = retention.snapshots.filter(({ epoch }) => epoch !== newest.epoch);
    const all = [...others, newest];
    const { retentionMs } = settings();
    const kept = keptEpochs(all, { nowMs: Date.now(), retentionMs });
    for (const [id, log] of logs.healthy) {
      await this.#onDisk(id, async () => {
        const [first, second] = await removeSnapshots(log.folder, (epoch) => kept.has(epoch));
        const oldest = second ?? first;
        if (oldest !== undefined) await log.dropBefore((oldest + 1) as Epoch);
      });
    }
    // Invariant 2; and what has been mounted by now is known, see epoch-pins.ts.
    const left = all.filter(({ epoch }) => kept.has(epoch));
    retention.keep(left, pinnedEpochs(home));
  }

  /** Whether it could be done. A disk that is full stays in service. */
  async #onDisk(id: DiskId, work: () => Promise<void>): Promise<boolean> {
    const { logs, log } = this.#options;
    try {
      await work();
      return true;
    } catch (error) {
      const isFull = error instanceof DfsError && error.code === 'NO_SPACE';
      if (isFull) log('warn', 'no room for a snapshot', { disk: id, message: error.message });
      else logs.fail(id, error);
      return false;
    }
  }

  #head(): Head {
    const head = this.#options.committed().head();
    if (head === undefined) throw new DfsError('CORRUPT', 'Cannot make a snapshot: no epoch');
    return head;
  }

  /** Waits for a snapshot that is being written. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    // Who asked for it has heard what became of it.
    await this.#running?.catch(() => undefined);
  }

  /**
   * Opens the committed database at `path`; when it is missing or damaged, builds it from the
   * newest snapshot that verifies on any disk. Throws UNAVAILABLE when there is none.
   */
  static async openCommitted(options: CommittedSource): Promise<CommittedMeta> {
    const { path, log } = options;
    if (existsSync(path)) {
      let committed: CommittedMeta | undefined;
      try {
        committed = new CommittedMeta(path);
        committed.checkIntegrity();
        if (committed.head() !== undefined) return committed;
      } catch (error) {
        log('warn', 'committed metadata is rebuilt', { message: messageOf(error) });
      }
      committed?.close();
    }
    return Snapshots.rebuildCommitted(options);
  }

  /** Puts the newest snapshot that verifies in the place of the committed database at `path`. */
  static async rebuildCommitted(options: CommittedSource): Promise<CommittedMeta> {
    await restore(options);
    return new CommittedMeta(options.path);
  }

  /** The epoch of the newest snapshot whose header can be read; 0 when there is none. */
  static async newestEpoch(options: CommittedSource): Promise<number> {
    const { tag, folders } = options;
    const found = await Promise.all(folders.map((folder) => listSnapshots(folder)));
    let newest = 0;
    for (const { path } of found.flat()) {
      const header = await readSnapshotHeader(path).catch(() => undefined);
      if (header?.volumeTag.equals(tag) === true) newest = Math.max(newest, header.epoch);
    }
    return newest;
  }
}

/**
 * The log ends with the newest epoch: the disk has not been away. The number alone does not tell: an
 * epoch that was never published may have had it, too.
 */
function isInStep(log: DiskLog, head: Head): boolean {
  return log.head()?.id.equals(head.recordId) === true;
}

async function restore(options: CommittedSource): Promise<void> {
  const { path, tag, folders, log } = options;
  const found = await Promise.all(folders.map((folder) => listSnapshots(folder)));
  const newestFirst = found.flat().sort((a, b) => b.epoch - a.epoch);
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true });
  const problems: string[] = [];
  for (const snapshot of newestFirst) {
    try {
      await readSnapshot({ path: snapshot.path, targetPath: path, volumeTag: tag });
      return;
    } catch (error) {
      if (error instanceof DfsError && error.code === 'NEWER_FORMAT') throw error;
      log('warn', 'snapshot not usable', { path: snapshot.path, message: messageOf(error) });
      problems.push(messageOf(error));
    }
  }
  const why = problems.length > 0 ? problems.join('; ') : 'there is none on the disks given';
  throw new DfsError('UNAVAILABLE', `Cannot read a metadata snapshot: ${why}`);
}
