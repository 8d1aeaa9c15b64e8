import { statfsSync } from 'node:fs';
import { MIB } from '../base/limits.ts';

/** Of the device, and at most: what the cache leaves to the databases beside it and to others. */
const RESERVE_SHARE: number = 1 / 8;
const RESERVE_BYTES_MAX: number = 256 * MIB;
/** The device is asked again after so much growth. */
const LOOK_BYTES: number = 4 * MIB;

/**
 * How far the cache may grow before its device is full. The metadata is on the same device: a cache
 * that took the last block of it would stop the commits that make room.
 */
export class DeviceRoom {
  readonly #folder: string;
  #free = 0;
  #reserve = 0;
  #grown: number = LOOK_BYTES;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Bytes the cache may still take; 0 when it has more than it should. */
  get bytes(): number {
    if (this.#grown >= LOOK_BYTES) this.look();
    return Math.max(0, this.#free - this.#reserve);
  }

  look(): void {
    this.#grown = 0;
    try {
      const { bavail, bsize, blocks } = statfsSync(this.#folder);
      this.#free = bavail * bsize;
      this.#reserve = Math.min(RESERVE_BYTES_MAX, Math.floor(blocks * bsize * RESERVE_SHARE));
    } catch {
      // Whoever writes to a device that fails is told there.
      this.#free = Number.MAX_SAFE_INTEGER;
    }
  }

  grew(bytes: number): void {
    this.#grown += bytes;
    this.#free -= bytes;
  }

  /** The device may take a moment to have them. */
  shrank(bytes: number): void {
    this.#free += bytes;
  }
}
