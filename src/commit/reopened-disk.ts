import type { ChunkId } from '../base/ids.ts';
import type { PieceKey } from '../chunk/mod.ts';
import type {
  DiskSpace,
  HasSlots,
  ListedPiece,
  PieceCheck,
  PieceDisk,
  PieceRead,
  PieceToStore,
  PieceUsage,
  SlotDisk,
} from '../store/mod.ts';

type Disk = PieceDisk & HasSlots;

/** A disk that is open, and how many calls of it run. */
interface Held {
  readonly disk: Disk;
  calls: number;
  isReplaced: boolean;
}

/**
 * A disk that is read while somebody else writes it: opened anew, it knows of what came since.
 * Calls that run meanwhile end on what was open before, which is closed behind the last of them.
 */
export class ReopenedDisk implements PieceDisk, HasSlots {
  readonly #open: () => Promise<Disk>;
  #held: Held;
  #isClosed = false;

  private constructor(open: () => Promise<Disk>, disk: Disk) {
    this.#open = open;
    this.#held = { disk, calls: 0, isReplaced: false };
  }

  static async open(open: () => Promise<Disk>): Promise<ReopenedDisk> {
    return new ReopenedDisk(open, await open());
  }

  /** Opens it anew; throws what that throws, and stays as it is. */
  async reopen(): Promise<void> {
    const disk = await this.#open();
    if (this.#isClosed) return disk.close();
    const before = this.#held;
    this.#held = { disk, calls: 0, isReplaced: false };
    before.isReplaced = true;
    if (before.calls === 0) await before.disk.close();
  }

  async #ask<T>(question: (disk: PieceDisk) => Promise<T>): Promise<T> {
    const held = this.#held;
    held.calls++;
    try {
      return await question(held.disk);
    } finally {
      held.calls--;
      if (held.isReplaced && held.calls === 0) await held.disk.close();
    }
  }

  get slots(): SlotDisk {
    return this.#held.disk.slots;
  }

  append(pieces: readonly PieceToStore[]): Promise<void> {
    return this.#ask((disk) => disk.append(pieces));
  }

  sync(): Promise<void> {
    return this.#ask((disk) => disk.sync());
  }

  read(key: PieceKey): Promise<PieceRead | undefined> {
    return this.#ask((disk) => disk.read(key));
  }

  find(key: PieceKey): Promise<{ bucket: number; bad: boolean } | undefined> {
    return this.#ask((disk) => disk.find(key));
  }

  /** Nothing is noted: the piece may have been moved. */
  markBad(): Promise<void> {
    return Promise.resolve();
  }

  badCount(): Promise<number> {
    return this.#ask((disk) => disk.badCount());
  }

  usage(): Promise<PieceUsage> {
    return this.#ask((disk) => disk.usage());
  }

  space(): Promise<DiskSpace> {
    return this.#ask((disk) => disk.space());
  }

  list(after: ChunkId | undefined, limit: number): Promise<ListedPiece[]> {
    return this.#ask((disk) => disk.list(after, limit));
  }

  verify(keys: readonly PieceKey[]): Promise<PieceCheck[]> {
    return this.#ask((disk) => disk.verify(keys));
  }

  remove(keys: readonly PieceKey[]): Promise<number> {
    return this.#ask((disk) => disk.remove(keys));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#held.disk.close();
  }
}
