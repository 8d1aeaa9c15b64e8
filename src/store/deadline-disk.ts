import { withinMs } from '../base/deadline.ts';
import type { ChunkId } from '../base/ids.ts';
import type { PieceKey } from '../chunk/mod.ts';
import type {
  DiskSpace,
  ListedPiece,
  PieceCheck,
  PieceDisk,
  PieceRead,
  PieceToStore,
  PieceUsage,
} from './piece-disk.ts';

// A long batch would be taken for a disk that hangs, and let short calls wait: it goes in parts.
const VERIFIED_AT_ONCE = 8;
const REMOVED_AT_ONCE = 256;

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

  read(key: PieceKey): Promise<PieceRead | undefined> {
    return this.#limit('read from', this.#disk.read(key));
  }

  find(key: PieceKey): Promise<{ bucket: number; bad: boolean } | undefined> {
    return this.#limit('look into', this.#disk.find(key));
  }

  markBad(key: PieceKey): Promise<void> {
    return this.#limit('mark a piece of', this.#disk.markBad(key));
  }

  badCount(): Promise<number> {
    return this.#limit('look into', this.#disk.badCount());
  }

  usage(): Promise<PieceUsage> {
    return this.#limit('measure', this.#disk.usage());
  }

  space(): Promise<DiskSpace> {
    return this.#limit('measure', this.#disk.space());
  }

  list(after: ChunkId | undefined, limit: number): Promise<ListedPiece[]> {
    return this.#limit('list', this.#disk.list(after, limit));
  }

  async verify(keys: readonly PieceKey[]): Promise<PieceCheck[]> {
    const checks: PieceCheck[] = [];
    for (const part of partsOf(keys, VERIFIED_AT_ONCE)) {
      checks.push(...(await this.#limit('verify pieces of', this.#disk.verify(part))));
    }
    return checks;
  }

  async remove(keys: readonly PieceKey[]): Promise<number> {
    let removed = 0;
    for (const part of partsOf(keys, REMOVED_AT_ONCE)) {
      removed += await this.#limit('remove from', this.#disk.remove(part));
    }
    return removed;
  }

  close(): Promise<void> {
    return this.#limit('close', this.#disk.close());
  }

  #limit<T>(action: string, call: Promise<T>): Promise<T> {
    return withinMs(this.#timeoutMs, `${action} ${this.#label}`, call);
  }
}

/** No part for no keys would not ask the disk whether it is open. */
function partsOf(keys: readonly PieceKey[], count: number): (readonly PieceKey[])[] {
  const parts = Array.from({ length: Math.max(1, Math.ceil(keys.length / count)) }, (_, at) =>
    keys.slice(at * count, (at + 1) * count),
  );
  return parts;
}
