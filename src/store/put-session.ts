import type { DiskId } from '../base/ids.ts';
import type { PieceDisk, PieceToStore } from './piece-disk.ts';
import type { PutGate } from './put-gate.ts';
import { type ChunkToStore, putPieces, type StoreParts, scatter } from './scatter.ts';

// Who puts something durable owns a session, from the first put to the sync that vouches for it.
//
// Invariants.
// 1. A disk is of the session once it has taken a piece, and stays it: also when it had the piece
//    already, which somebody else wrote and nobody may have synced.
// 2. A disk is lost to the session when it is out of service at the sync, when its sync fails, and when
//    it was opened anew since it took a piece: what was not on the platter then is gone, and no sync
//    of the new one tells. What another session syncs, and when, changes nothing of that.
// 3. A lost disk stays lost. What the session put is durable only if none is.

/** Puts that are made durable together. */
export class PutSession {
  readonly #store: StoreParts;
  readonly #gate: PutGate;
  readonly #took = new Map<DiskId, PieceDisk>();
  readonly #lost = new Set<DiskId>();

  constructor(store: StoreParts, gate: PutGate) {
    this.#store = store;
    this.#gate = gate;
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
  putMany(chunks: readonly ChunkToStore[]): Promise<void> {
    return this.#gate.put(() => scatter(this.#store, chunks, this.#note));
  }

  /** Writes pieces to a disk, whatever the map says; UNAVAILABLE or NO_SPACE when it takes none. */
  putPieces(diskId: DiskId, pieces: readonly PieceToStore[]): Promise<void> {
    return this.#gate.put(() =>
      putPieces({ store: this.#store, diskId, pieces, note: this.#note }),
    );
  }

  /**
   * Syncs the disks that took pieces; those that are lost. When there is one, what was put has to be
   * put again, in another session, which finds other disks.
   */
  async sync(): Promise<DiskId[]> {
    const { disks } = this.#store;
    const syncs = [...this.#took].map(async ([diskId, disk]) => {
      if (disks.readable(diskId) !== disk) {
        this.#lost.add(diskId);
        return;
      }
      try {
        await disk.sync();
      } catch (error) {
        this.#lost.add(diskId);
        disks.failed(disk, error);
      }
    });
    await Promise.all(syncs);
    return [...this.#lost].toSorted((a, b) => a - b);
  }

  readonly #note = (diskId: DiskId, disk: PieceDisk): void => {
    const before = this.#took.get(diskId) ?? disk;
    this.#took.set(diskId, disk);
    if (before !== disk) this.#lost.add(diskId);
  };
}
