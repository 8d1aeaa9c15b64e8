import { withinMs } from '../base/deadline.ts';
import type { ChunkId } from '../base/ids.ts';
import type { PieceDisk, PieceRead, PieceToStore, PieceUsage } from './piece-disk.ts';

/** The disk itself, but for calls that take too long: those throw TIMEOUT, and go on unheard. */
export function withDeadline(disk: PieceDisk, label: string, timeoutMs: number): PieceDisk {
  return new DeadlineDisk(disk, label, timeoutMs);
}

class DeadlineDisk implements PieceDisk {
  readonly #disk: PieceDisk;
  readonly #label: string;
  readonly #timeoutMs: number;

  constructor(disk: PieceDisk, label: string, timeoutMs: number) {
    this.#disk = disk;
    this.#label = label;
    this.#timeoutMs = timeoutMs;
  }

  append(pieces: readonly PieceToStore[]): Promise<void> {
    return this.#limit('append to', this.#disk.append(pieces));
  }

  sync(): Promise<void> {
    return this.#limit('sync', this.#disk.sync());
  }

  read(chunkId: ChunkId, pieceIndex: number): Promise<PieceRead | undefined> {
    return this.#limit('read from', this.#disk.read(chunkId, pieceIndex));
  }

  find(
    chunkId: ChunkId,
    pieceIndex: number,
  ): Promise<{ bucket: number; bad: boolean } | undefined> {
    return this.#limit('look into', this.#disk.find(chunkId, pieceIndex));
  }

  markBad(chunkId: ChunkId, pieceIndex: number): Promise<void> {
    return this.#limit('mark a piece of', this.#disk.markBad(chunkId, pieceIndex));
  }

  badCount(): Promise<number> {
    return this.#limit('look into', this.#disk.badCount());
  }

  usage(): Promise<PieceUsage> {
    return this.#limit('measure', this.#disk.usage());
  }

  remove(chunkId: ChunkId, pieceIndex: number): Promise<boolean> {
    return this.#limit('remove from', this.#disk.remove(chunkId, pieceIndex));
  }

  close(): Promise<void> {
    return this.#limit('close', this.#disk.close());
  }

  #limit<T>(action: string, call: Promise<T>): Promise<T> {
    return withinMs(this.#timeoutMs, `${action} ${this.#label}`, call);
  }
}
