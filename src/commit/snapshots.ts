import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DfsError, messageOf } from '../base/errors.ts';
import type { DiskId, Epoch } from '../base/ids.ts';
import { MIB } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import {
  CommittedMeta,
  type DiskLog,
  type Head,
  listSnapshots,
  readSnapshot,
  readSnapshotHeader,
  removeOldSnapshots,
  writeSnapshot,
} from '../meta/mod.ts';
import type { EpochLogs } from './epoch-logs.ts';

export interface SnapshotsOptions {
  home: string;
  tag: Buffer;
  committed: () => CommittedMeta;
  logs: EpochLogs;
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

/** Writes snapshots of the committed metadata to the disks, beside commits, and reads them back. */
export class Snapshots {
  readonly #options: SnapshotsOptions;
  #logBytes = 0;
  #lastBytes = 0;
  #running: Promise<void> | undefined;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
  }

  /** A record of `bytes` was published; begins a snapshot when one is due. */
  logged(bytes: number): void {
    this.#logBytes += bytes;
    if (this.#logBytes < Math.max(LOG_BYTES_MIN, this.#lastBytes)) return;
    if (this.#running !== undefined) return;
    this.#logBytes = 0;
    this.#running = this.write(this.#options.logs.healthy)
      .catch((error: unknown) => {
        this.#options.log('error', 'snapshot failed', { message: messageOf(error) });
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Gives a snapshot to disks whose log ends early: they were away, or are new. */
  async catchUp(): Promise<void> {
    const { epoch, recordId } = this.#head();
    const behind: [DiskId, DiskLog][] = [];
    for (const [id, log] of this.#options.logs.healthy) {
      // The number alone does not tell: an epoch that was never published may have had it, too.
      if (log.head()?.id.equals(recordId) === true) continue;
      const newest = (await listSnapshots(log.folder))[0];
      if ((newest?.epoch ?? -1) < epoch) behind.push([id, log]);
    }
    if (behind.length > 0) await this.write(behind);
  }

  /** Publishes the committed state on the given disks and drops what it makes superfluous. */
  async write(disks: [DiskId, DiskLog][]): Promise<void> {
    const { home, tag, committed, logs } = this.#options;
    const source = join(home, 'snapshot.tmp');
    const { epoch, incarnation, recordId, cutTimeMs } = this.#head();
    committed().copyTo(source);
    try {
      for (const [id, log] of disks) {
        try {
          await log.startNewFile((epoch + 1) as Epoch);
          const header = { volumeTag: tag, epoch, incarnation, recordId, cutTimeMs };
          const { sizeBytes } = await writeSnapshot({ folder: log.folder, header, source });
          this.#lastBytes = sizeBytes;
          const oldest = await removeOldSnapshots(log.folder);
          if (oldest !== undefined) await log.dropBefore((oldest + 1) as Epoch);
        } catch (error) {
          logs.fail(id, error);
        }
      }
    } finally {
      rmSync(source, { force: true });
    }
  }

  #head(): Head {
    const head = this.#options.committed().head();
    if (head === undefined) throw new DfsError('CORRUPT', 'Cannot make a snapshot: no epoch');
    return head;
  }

  /** Waits for a snapshot that is being written. */
  async close(): Promise<void> {
    await this.#running;
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
