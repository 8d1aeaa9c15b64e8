import { DfsError } from '../base/errors.ts';
import { DISK_FULL_SHARE } from '../base/limits.ts';

/** A measurement is good for so long, while it leaves room. */
const STALE_MS = 1000;

/** The size of a file system and what of it is free. */
export interface MeasuredSpace {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

/** Keeps pieces out of the last part of a file system, which is for metadata. */
export class RoomCheck {
  readonly #label: string;
  readonly #measure: () => Promise<MeasuredSpace>;
  #measuredMs = Number.NEGATIVE_INFINITY;
  #totalBytes = 0;
  #freeBytes = 0;

  constructor(label: string, measure: () => Promise<MeasuredSpace>) {
    this.#label = label;
    this.#measure = measure;
  }

  /** NO_SPACE unless so many bytes more leave the file system below what it may be full. */
  async take(bytes: number): Promise<void> {
    const now = performance.now();
    if (now - this.#measuredMs > STALE_MS || !this.#fits(bytes)) {
      const { totalBytes, freeBytes } = await this.#measure();
      this.#totalBytes = totalBytes;
      this.#freeBytes = freeBytes;
      this.#measuredMs = now;
    }
    if (!this.#fits(bytes)) throw this.#full();
    this.#freeBytes -= bytes;
  }

  #fits(bytes: number): boolean {
    const taken = this.#totalBytes - this.#freeBytes + bytes;
    return taken <= this.#totalBytes * DISK_FULL_SHARE;
  }

  #full(): DfsError {
    const taken = this.#totalBytes - this.#freeBytes;
    const percent = Math.floor((taken / Math.max(1, this.#totalBytes)) * 100);
    const most = Math.round(DISK_FULL_SHARE * 100);
    const state = `its file system is ${percent}% full, pieces are taken up to ${most}%`;
    return new DfsError('NO_SPACE', `Cannot append to ${this.#label}: ${state}`);
  }
}
