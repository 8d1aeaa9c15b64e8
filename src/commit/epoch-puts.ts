import { InvariantError, messageOf } from '../base/errors.ts';
import { type ChunkId, chunkKey, type DiskId } from '../base/ids.ts';
import { MIB } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import type { Scheme } from '../chunk/mod.ts';
import type { CommittedMeta } from '../meta/mod.ts';
import type { ChunkStore, ChunkToStore, PutSession } from '../store/mod.ts';
import type { EpochBuilder } from './epoch-builder.ts';
import { Leftovers } from './leftovers.ts';

/** Inline content that one commit puts into buckets, beside what it has to store itself. */
const MOVED_BYTES_MAX: number = 4 * MIB;

export interface EpochPutsOptions {
  chunks: ChunkStore;
  epoch: EpochBuilder;
  isNeeded: (id: ChunkId) => boolean;
  log: Log;
}

/** The pieces of the epoch that is being made, and what those that failed have left. */
export class EpochPuts {
  readonly #options: EpochPutsOptions;
  readonly #leftovers: Leftovers;
  /** One for each epoch: it knows where the epoch's pieces went. */
  #session: PutSession;
  /** Inline chunks that this epoch puts into buckets. */
  readonly #moving = new Set<string>();

  constructor(options: EpochPutsOptions) {
    const { chunks, isNeeded } = options;
    this.#options = options;
    this.#leftovers = new Leftovers({ chunks, isNeeded });
    this.#session = chunks.session();
    chunks.protect(({ chunkId }) => this.has(chunkId));
  }

  /** Whether pieces of the chunk may be those of the epoch that is being made. */
  has(id: ChunkId): boolean {
    return this.#options.epoch.hasChunk(id) || this.#moving.has(chunkKey(id));
  }

  /** Puts chunks that the epoch has; NO_SPACE when there is none without the leftovers. */
  async put(chunks: readonly ChunkToStore[]): Promise<void> {
    if (chunks.length > 0) await this.#leftovers.put(this.#session, chunks);
  }

  /** Puts inline chunks into buckets, as far as it can: this epoch will say that they are there. */
  async moveInline({ inline }: Pick<CommittedMeta, 'inline'>, scheme: Scheme): Promise<void> {
    if (inline.bytes === 0) return;
    const { epoch, log } = this.#options;
    const oldest = inline.oldest(MOVED_BYTES_MAX);
    for (const { id } of oldest) this.#moving.add(chunkKey(id));
    try {
      await this.#session.putMany(oldest.map(({ id, content }) => ({ id, content, scheme })));
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      // They stay where they are: this commit may do without those disks.
      log('warn', 'small chunks stay with the metadata', { message: messageOf(error) });
      return;
    }
    for (const { id, content } of oldest) {
      epoch.addChunk(id, { lengthBytes: content.length, scheme });
    }
  }

  /** Makes durable what was put; the disks that are lost, with which the epoch fails. */
  sync(): Promise<DiskId[]> {
    return this.#session.sync();
  }

  /** The disks have the epoch: the next one begins with nothing. */
  published(): void {
    this.#options.epoch.clear();
    this.#moving.clear();
    this.#session = this.#options.chunks.session();
  }

  /** The epoch failed: what was put for it is left over. */
  abandoned(): void {
    this.#leftovers.add(this.#options.epoch.chunks());
    this.published();
  }
}
