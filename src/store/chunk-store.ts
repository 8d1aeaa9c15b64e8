import { DfsError, InvariantError } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { Placer } from '../diskmap/mod.ts';
import { type DiskFill, type DiskLimit, fillOf } from './disk-fill.ts';
import { DiskSet, type DiskStatus } from './disk-set.ts';
import {
  type ChunkToRead,
  gather,
  type ReadCounters,
  type ReadParts,
  type TroubledPiece,
} from './gather.ts';
import { type ChunkReport, locateChunk, type PieceReport, verifyChunk } from './inspect.ts';
import type { DiskSpace, PieceDisk, PieceUsage } from './piece-disk.ts';
import { PutGate } from './put-gate.ts';
import { PutSession } from './put-session.ts';
import { type IsNeeded, type PieceToRemove, removePieces } from './removals.ts';

/** What a store is made of. */
export interface ChunkStoreOptions {
  readonly placer: Pick<Placer, 'place'>;
  /** The disks of the map, undefined for one that could not be opened. */
  readonly disks: ReadonlyMap<DiskId, PieceDisk | undefined>;
  /** What the map gives each disk. */
  readonly limits?: ReadonlyMap<DiskId, DiskLimit>;
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
  readonly space: DiskSpace | undefined;
  readonly fill: DiskFill | undefined;
}

/** Chunks over disks: scatters their pieces where the map says, and gathers them again. */
export class ChunkStore {
  readonly counters: ReadCounters = { badPieces: 0, degradedReads: 0 };
  readonly #disks: DiskSet;
  readonly #gate = new PutGate();
  readonly #listeners: ((piece: TroubledPiece) => void)[] = [];
  readonly #guards: IsNeeded[] = [];
  #placer: Pick<Placer, 'place'>;
  #limits: ReadonlyMap<DiskId, DiskLimit>;
  #closed = false;

  constructor({ placer, disks, limits, log, now }: ChunkStoreOptions) {
    this.#placer = placer;
    this.#limits = limits ?? new Map();
    this.#disks = new DiskSet(disks, log, now);
  }

  /** Places by another map from now on; resolves when no put by the old one runs any more. */
  async useMap(
    placer: Pick<Placer, 'place'>,
    limits: ReadonlyMap<DiskId, DiskLimit> = new Map(),
  ): Promise<void> {
    this.#placer = placer;
    this.#limits = limits;
    await this.#gate.alone(() => Promise.resolve());
  }

  /** Takes a disk in: a new one, or one that works again. BUSY while the one it replaces works. */
  async attach(diskId: DiskId, disk: PieceDisk): Promise<void> {
    await closeQuietly(this.#parts().disks.attach(diskId, disk));
  }

  /** Closes a disk, and forgets that there is one. */
  async detach(diskId: DiskId): Promise<void> {
    await closeQuietly(this.#parts().disks.detach(diskId));
  }

  /** How a disk is. */
  statusOf(diskId: DiskId): DiskStatus {
    return this.#disks.status(diskId);
  }

  /** Why a disk is not up, else ''. */
  reasonOf(diskId: DiskId): string {
    return this.#disks.reason(diskId);
  }

  /**
   * Closes a disk that is out of service, so that its folder can be opened again; what is known of
   * it stays. BUSY when it is in service.
   */
  async release(diskId: DiskId): Promise<void> {
    await closeQuietly(this.#parts().disks.release(diskId));
  }

  /** The disks that can be asked. */
  get inService(): DiskId[] {
    const { disks } = this.#parts();
    const ids = disks.all().map(({ diskId }) => diskId);
    return ids.filter((id) => disks.readable(id) !== undefined);
  }

  /** Puts that are made durable together. */
  session(): PutSession {
    return new PutSession(this.#parts(), this.#gate);
  }

  /** Tells `listener` of every piece that a read finds bad or missing, each time it does. */
  onTroubled(listener: (piece: TroubledPiece) => void): void {
    this.#listeners.push(listener);
  }

  /** Keeps pieces from being removed for which `guard` is true; asked while no put runs. */
  protect(guard: IsNeeded): void {
    this.#guards.push(guard);
  }

  /**
   * Removes pieces that neither `isNeeded` nor a guard wants kept, while nothing is put; how many
   * there were. A disk that cannot be asked keeps its own.
   */
  removeUnneeded(pieces: Iterable<PieceToRemove>, isNeeded: IsNeeded): Promise<number> {
    const guards = [isNeeded, ...this.#guards];
    const isKept = (piece: PieceToRemove): boolean => guards.some((guard) => guard(piece));
    const { disks } = this.#parts();
    const measure = (disk: PieceDisk): Promise<unknown> => this.#measure(disk);
    return removePieces({ disks, gate: this.#gate, isNeeded: isKept, measure }, pieces);
  }

  /**
   * Asks one disk: undefined when it is out of service; throws what it throws, and takes it out of
   * service when it is gone.
   */
  async ask<T>(diskId: DiskId, question: (disk: PieceDisk) => Promise<T>): Promise<T | undefined> {
    const { disks } = this.#parts();
    const disk = disks.readable(diskId);
    if (disk === undefined) return undefined;
    try {
      return await question(disk);
    } catch (error) {
      disks.readFailed(disk, error);
      throw error;
    }
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

  /** The disks of the map, in any state. */
  get diskIds(): DiskId[] {
    const { disks } = this.#parts();
    return disks.all().map(({ diskId }) => diskId);
  }

  /** How each disk is, and how full, by which it takes pieces from now on or does not. */
  async health(): Promise<DiskHealth[]> {
    const { disks } = this.#parts();
    const reports = disks.all().map(async (slot): Promise<DiskHealth> => {
      const { diskId } = slot;
      const unknown = { badPieces: undefined, usage: undefined, space: undefined, fill: undefined };
      const disk = disks.readable(diskId);
      let found: Omit<DiskHealth, 'diskId' | 'status' | 'reason'> = unknown;
      try {
        if (disk !== undefined) found = await this.#measure(disk);
      } catch (error) {
        if (disk !== undefined) disks.failed(disk, error);
      }
      return { diskId, status: slot.status, reason: slot.reason, ...found };
    });
    return Promise.all(reports);
  }

  async #measure(disk: PieceDisk): Promise<Omit<DiskHealth, 'diskId' | 'status' | 'reason'>> {
    const [badPieces, usage, space] = [
      await disk.badCount(),
      await disk.usage(),
      await disk.space(),
    ];
    const diskId = this.#disks.idOf(disk);
    const limit = diskId && this.#limits.get(diskId);
    const fill = fillOf({ usage, space, limit });
    this.#disks.measured(disk, fill);
    return { badPieces, usage, space, fill };
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

  #parts(): ReadParts {
    if (this.#closed) throw new DfsError('CLOSED', 'Cannot use the chunk store: it is closed');
    return {
      // Not the map of now: what runs while another one is taken into use places by that.
      placer: { place: (...request) => this.#placer.place(...request) },
      disks: this.#disks,
      counters: this.counters,
      heardOf: (piece) => {
        for (const listener of this.#listeners) listener(piece);
      },
    };
  }
}

/** Of a disk that is out of service nothing is expected. */
async function closeQuietly(disk: PieceDisk | undefined): Promise<void> {
  try {
    await disk?.close();
  } catch (error) {
    if (error instanceof InvariantError) throw error;
  }
}
