import type { Ino } from '../base/ids.ts';

const RESERVE = 4096;

/**
 * Gives numbers to new inodes. They are reserved in the database some thousand at a time, so that
 * none is given twice, though not every one that is given gets a row.
 */
export class InoNumbers {
  readonly #reserve: (upTo: number) => void;
  #next: number;
  #reserved: number;

  /** `reserve` writes down that numbers below `upTo` may be in use. */
  constructor(options: { next: number; reserved: number; reserve: (upTo: number) => void }) {
    this.#next = Math.max(options.next, options.reserved);
    this.#reserved = options.reserved;
    this.#reserve = options.reserve;
  }

  /** A number that was never given; throws what `reserve` throws. */
  next(): Ino {
    const ino = this.#next;
    if (ino >= this.#reserved) {
      this.#reserve(ino + RESERVE);
      this.#reserved = ino + RESERVE;
    }
    this.#next = ino + 1;
    return ino as Ino;
  }

  /** Numbers below `ino` are in use. */
  skipTo(ino: number): void {
    this.#next = Math.max(this.#next, ino);
  }
}
