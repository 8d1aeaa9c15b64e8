import { DfsError } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { pieceCount } from '../chunk/mod.ts';
import type { Placer } from '../diskmap/mod.ts';
import { DiskSet, type DiskStatus } from './disk-set.ts';
import { type ChunkToRead, gather, type ReadCounters } from './gather.ts';
import { type ChunkReport, locateChunk, type PieceReport, verifyChunk } from './inspect.ts';
import type { PieceDisk, PieceUsage } from './piece-disk.ts';
import { type ChunkToStore, scatter } from './scatter.ts';

/** What a store is made of. */
export interface ChunkStoreOptions {
  readonly placer: Pick<Placer, 'place'>;
  /** The disks of the map, undefined for one that could not be opened. */
  readonly disks: ReadonlyMap<DiskId, PieceDisk | undefined>;
  readonly log: Log;
  /** A clock in ms. */
  readonly now?: () => number;
}

/** How a disk is. */
export interface DiskHealth {
  readonly diskId: DiskId;
  readonly status: DiskStatus;
  /** Why it is not up, else ''. */
  readonly reason: string;
  /** Pieces known to be bad; undefined when the disk cannot be asked. */
  readonly badPieces: number | undefined;
  readonly usage: PieceUsage | undefined;
}

/** Chunks over disks: scatters their pieces where the map says, and gathers them again. */
export class ChunkStore {
  readonly counters: ReadCounters = { badPieces: 0, degradedReads: 0 };
  #placer: Pick<Placer, 'place'>;
  readonly #disks: DiskSet;
  #closed = false;

  constructor({ placer, disks, log, now }: ChunkStoreOptions) {
    this.#placer = placer;
    this.#disks = new DiskSet(disks, log, now);
  }

  /** From now on pieces are placed by this. */
  useMap(placer: Pick<Placer, 'place'>): Promise<void> {
    this.#placer = placer;
    return Promise.resolve();
  }

  /** Takes a disk in: a new one, or one that works again. BUSY while the one it replaces works. */
  async attach(diskId: DiskId, disk: PieceDisk): Promise<void> {
    await closeQuietly(this.#parts().disks.attach(diskId, disk));
  }

  /** Closes a disk, and forgets that there is one. */
  async detach(diskId: DiskId): Promise<void> {
    await closeQuietly(this.#parts().disks.detach(diskId));
  }

  /** Closes a disk that is out of service; what is known of it stays. */
  async release(diskId: DiskId): Promise<void> {
    await closeQuietly(this.#parts().disks.release(diskId));
  }

  async ask<T>(diskId: DiskId, question: (disk: PieceDisk) => Promise<T>): Promise<T | undefined> {
    const { disks } = this.#parts();
    const disk = disks.readable(diskId);
    if (disk === undefined) return undefined;
    try {
      return await question(disk);
    } catch (error) {
      disks.readFailed(diskId, error);
      throw error;
    }
  }

  /** How a disk is. */
  statusOf(diskId: DiskId): DiskStatus {
    return this.#disks.status(diskId);
  }

  /** Why a disk is not up, else ''. */
  reasonOf(diskId: DiskId): string {
    return this.#disks.all().find((slot) => slot.diskId === diskId)?.reason ?? '';
  }

  /**
   * Writes every piece of a chunk, without syncing; pieces that are there and whole stay, so that
   * this also repairs. UNAVAILABLE when there are fewer usable disks than pieces, NO_SPACE when
   * there would be enough if they were not full.
   */
  put(chunk: ChunkToStore): Promise<void> {
    return this.putMany([chunk]);
  }

  /** As put(), with one append a disk for all; the pieces of all of them are in memory at once. */
  async putMany(chunks: readonly ChunkToStore[]): Promise<void> {
    await scatter(this.#parts(), chunks);
  }

  /** The content of a chunk, verified; UNAVAILABLE or CORRUPT say which pieces are the trouble. */
  async get(chunk: ChunkToRead): Promise<Buffer> {
    return gather(this.#parts(), chunk);
  }

  /** Where the pieces of a chunk are, by the disks' indexes. */
  async locate(chunk: Pick<ChunkToRead, 'id' | 'scheme'>): Promise<PieceReport[]> {
    return locateChunk(this.#parts(), chunk);
  }

  /** Reads and compares every piece of a chunk, and remembers the bad ones. */
  async verify(chunk: ChunkToRead): Promise<ChunkReport> {
    return verifyChunk(this.#parts(), chunk);
  }

  /** Removes the pieces of a chunk from every disk that can be asked; how many there were. */
  async remove({ id, scheme }: Pick<ChunkToRead, 'id' | 'scheme'>): Promise<number> {
    const { disks } = this.#parts();
    let removed = 0;
    const keys = [...Array(pieceCount(scheme)).keys()].map((pieceIndex) => {
      return { chunkId: id, scheme, pieceIndex };
    });
    for (const { diskId } of disks.all()) {
      try {
        const here = (await disks.readable(diskId)?.remove(keys)) ?? 0;
        if (here > 0) disks.spaceFreed(diskId);
        removed += here;
      } catch (error) {
        disks.writeFailed(diskId, error);
      }
    }
    return removed;
  }

  /**
   * The disks that the next sync() must return for all that was put before it to be durable: those
   * that can be used, and those that took a piece since the last sync and went down after it.
   */
  get inService(): DiskId[] {
    const { disks } = this.#parts();
    const ids = disks.all().map(({ diskId }) => diskId);
    return ids.filter((id) => disks.readable(id) !== undefined || disks.isUnsynced(id));
  }

  /**
   * Syncs all disks at once; those whose pieces are durable now. When one of {@link inService} is
   * not among them, what was put since the last sync has to be put again, which finds other disks.
   */
  async sync(): Promise<Set<DiskId>> {
    const { disks } = this.#parts();
    disks.takeUnsynced();
    const synced = new Set<DiskId>();
    const syncs = disks.all().map(async ({ diskId }) => {
      const disk = disks.readable(diskId);
      if (disk === undefined) return;
      try {
        await disk.sync();
        synced.add(diskId);
      } catch (error) {
        disks.failed(diskId, error);
      }
    });
    await Promise.all(syncs);
    return synced;
  }

  /** How each disk is. */
  async health(): Promise<DiskHealth[]> {
    const { disks } = this.#parts();
    const reports = disks.all().map(async (slot): Promise<DiskHealth> => {
      const { diskId, status, reason } = slot;
      const unknown = { badPieces: undefined, usage: undefined };
      const disk = disks.readable(diskId);
      if (disk === undefined) return { diskId, status, reason, ...unknown };
      try {
        const [badPieces, usage] = [await disk.badCount(), await disk.usage()];
        return { diskId, status, reason, badPieces, usage };
      } catch (error) {
        disks.failed(diskId, error);
        return { diskId, status: slot.status, reason: slot.reason, ...unknown };
      }
    });
    return Promise.all(reports);
  }

  /** Closes every disk, also those that are down. */
  async close(): Promise<void> {
    if (this.#closed) return;
    const slots = this.#disks.all();
    this.#closed = true;
    const results = await Promise.allSettled(slots.map(async ({ disk }) => disk?.close()));
    // Of a disk that is out of service nothing is expected.
    const failed = results.find(
      (result, at) => result.status === 'rejected' && slots[at]?.status !== 'down',
    );
    if (failed?.status === 'rejected') throw failed.reason;
  }

  #parts(): { placer: Pick<Placer, 'place'>; disks: DiskSet; counters: ReadCounters } {
    if (this.#closed) throw new DfsError('CLOSED', 'Cannot use the chunk store: it is closed');
    return { placer: this.#placer, disks: this.#disks, counters: this.counters };
  }
}

async function closeQuietly(disk: PieceDisk | undefined): Promise<void> {
  await disk?.close().catch(() => undefined);
}
