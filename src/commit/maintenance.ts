import { DfsError } from '../base/errors.ts';
import { type ChunkId, chunkKey, type Epoch } from '../base/ids.ts';
import type { ChunkRow, MetaOp } from '../meta/mod.ts';

/** A change of what is known of chunks, which some epoch is to have. */
export interface ChunkChanges {
  /** Nothing names them, and nothing protects them. */
  readonly forget: readonly ChunkId[];
  /** All pieces of these are on the disks under this scheme, and synced. */
  readonly stored: readonly { id: ChunkId; lengthBytes: number; scheme: string }[];
}

interface Request {
  changes: ChunkChanges;
  resolve: (epoch: Epoch) => void;
  reject: (error: unknown) => void;
}

export interface MaintenanceOptions {
  /** Has an epoch made although nothing else may have changed. */
  wantEpoch: () => void;
  /** What the newest published epoch knows of a chunk. */
  lookUp: (id: ChunkId) => ChunkRow | undefined;
  protects: (chunk: { born: number; died: number }) => boolean;
}

/**
 * Changes of chunks on their way into an epoch.
 *
 * Invariants:
 *  1. Whether a chunk may be forgotten is decided when the epoch's record is made, by the epoch
 *     before it, not when somebody asked: it may have been named again since, and have died again.
 *  2. What the epoch itself has stored anew is not forgotten: see EpochBuilder for the order of a
 *     record, which makes the same of a chunk that only its journal names.
 *  3. Who asked hears of the epoch only when the disks have it; of one that fails, at once. Asking
 *     again is then up to who asked.
 */
export class Maintenance {
  readonly #options: MaintenanceOptions;
  #waiting: Request[] = [];
  /** In the epoch that is being published. */
  #running: Request[] = [];
  #closed = false;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
  }

  /** Resolves to the epoch that has the changes, as far as they still were right. */
  request(changes: ChunkChanges): Promise<Epoch> {
    if (this.#closed) return Promise.reject(closed());
    return new Promise<Epoch>((resolve, reject) => {
      this.#waiting.push({ changes, resolve, reject });
      this.#options.wantEpoch();
    });
  }

  /** The operations of up to `requestsMax` requests, for the record of an epoch. */
  take(
    isStored: (id: ChunkId) => boolean,
    requestsMax: number = Number.POSITIVE_INFINITY,
  ): MetaOp[] {
    this.#running = this.#waiting.slice(0, requestsMax);
    this.#waiting = this.#waiting.slice(requestsMax);
    const ops = new Map<string, MetaOp>();
    for (const { changes } of this.#running) {
      for (const { id, lengthBytes, scheme } of changes.stored) {
        const isKnown = this.#options.lookUp(id) !== undefined;
        if (isKnown) ops.set(chunkKey(id), { kind: 'chunk', chunk: id, lengthBytes, scheme });
      }
      for (const id of changes.forget) {
        if (!isStored(id) && this.#isGarbage(id)) {
          ops.set(chunkKey(id), { kind: 'forget', chunk: id });
        }
      }
    }
    return [...ops.values()];
  }

  #isGarbage(id: ChunkId): boolean {
    const { lookUp, protects } = this.#options;
    const row = lookUp(id);
    if (row === undefined || row.died === null) return false;
    return !protects({ born: row.born, died: row.died });
  }

  /** The disks have the epoch with what was taken. */
  published(epoch: Epoch): void {
    for (const { resolve } of this.#running) resolve(epoch);
    this.#running = [];
    if (this.#waiting.length > 0) this.#options.wantEpoch();
  }

  /** The epoch that what was taken, or what waits, would have been in failed. */
  abandoned(): void {
    const state = 'the commit that was to have it failed';
    this.#reject(new DfsError('UNAVAILABLE', `Cannot note a change of chunks: ${state}`));
  }

  #reject(error: DfsError): void {
    for (const { reject } of [...this.#running, ...this.#waiting]) reject(error);
    this.#running = [];
    this.#waiting = [];
  }

  /** No epoch is to come. */
  close(): void {
    this.#closed = true;
    this.#reject(closed());
  }
}

function closed(): DfsError {
  return new DfsError('CLOSED', 'Cannot note a change of chunks: the volume is closing');
}
