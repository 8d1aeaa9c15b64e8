import { DfsError, messageOf } from '../base/errors.ts';
import type { ChunkId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { formatScheme } from '../chunk/mod.ts';
import { type ChunkRow, INLINE_SCHEME } from '../meta/mod.ts';
import { type ContentSource, contentOf } from './fetch-order.ts';
import { ReopenedDisk } from './reopened-disk.ts';
import type { OpenBuckets } from './volume-disk.ts';

/** What a read says of a chunk whose pieces are not where they were. */
const MISSING: readonly string[] = ['UNAVAILABLE', 'CORRUPT'];
/** Disks are opened anew at most so often. */
const REOPEN_MS_MIN = 5000;

/**
 * Where chunks are that a volume, which goes on being written, has moved or re-encoded since its
 * disks were opened here. The disks know: a piece says of which chunk and scheme it is.
 */
export class MovedChunks {
  readonly #disks: ReopenedDisk[] = [];
  readonly #open: OpenBuckets;
  readonly #log: Log;
  #reopening: Promise<void> | undefined;
  #reopenedMs = Number.NEGATIVE_INFINITY;

  /** `openBuckets` opens a disk, each time anew. */
  constructor({ openBuckets, log }: { openBuckets: OpenBuckets; log: Log }) {
    this.#open = openBuckets;
    this.#log = log;
  }

  /** Opens a disk that is opened anew later on. */
  readonly openBuckets: OpenBuckets = async (options) => {
    const disk = await ReopenedDisk.open(() => this.#open(options));
    this.#disks.push(disk);
    return disk;
  };

  /** As the function of this name, also of a chunk that was moved or re-encoded since. */
  async contentOf(id: ChunkId, row: ChunkRow | undefined, from: ContentSource): Promise<Buffer> {
    try {
      return await contentOf(id, row, from);
    } catch (error) {
      const isMissing = error instanceof DfsError && MISSING.includes(error.code);
      if (!isMissing || row === undefined || row.scheme === INLINE_SCHEME) throw error;
      for (const scheme of await this.#schemesOf(id)) {
        const content = await contentOf(id, { ...row, scheme }, from).catch(() => undefined);
        if (content !== undefined) return content;
      }
      throw error;
    }
  }

  /** Schemes under which some disk has a piece of the chunk now. */
  async #schemesOf(id: ChunkId): Promise<string[]> {
    await this.#reopen();
    const found = new Set<string>();
    const asked = this.#disks.map(async (disk) => {
      for (const piece of await disk.list(previousChunkId(id), 1)) {
        if (piece.chunkId.equals(id)) found.add(formatScheme(piece.scheme));
      }
    });
    for (const end of await Promise.allSettled(asked)) {
      if (end.status === 'rejected') this.#noteTrouble(end.reason);
    }
    return [...found];
  }

  /** Who comes while they are being opened waits for that. */
  #reopen(): Promise<void> {
    if (this.#reopening !== undefined) return this.#reopening;
    if (performance.now() - this.#reopenedMs < REOPEN_MS_MIN) return Promise.resolve();
    this.#reopening = this.#reopenAll().finally(() => {
      this.#reopening = undefined;
      this.#reopenedMs = performance.now();
    });
    return this.#reopening;
  }

  async #reopenAll(): Promise<void> {
    const all = await Promise.allSettled(this.#disks.map((disk) => disk.reopen()));
    for (const end of all) if (end.status === 'rejected') this.#noteTrouble(end.reason);
  }

  #noteTrouble(error: unknown): void {
    this.#log('warn', 'a disk cannot be opened anew', { message: messageOf(error) });
  }
}

/** The id before this one; undefined for the first. */
function previousChunkId(id: ChunkId): ChunkId | undefined {
  const previous = Buffer.from(id) as ChunkId;
  for (let at = previous.length - 1; at >= 0; at--) {
    const byte = previous[at] ?? 0;
    previous[at] = byte === 0 ? 255 : byte - 1;
    if (byte > 0) return previous;
  }
  return undefined;
}
