import type { ChunkId, DiskId } from '../base/ids.ts';
import type { Scheme } from '../chunk/mod.ts';

/** Rows or pieces that are asked for at once. */
export const PAGE_ITEMS = 512;

/** What the metadata says of a chunk. */
export interface KnownChunk {
  readonly id: ChunkId;
  readonly lengthBytes: number;
  /** Undefined for a chunk whose content is kept with the metadata: it needs no pieces. */
  readonly scheme: Scheme | undefined;
  /** Nothing refers to it any more: it is to be forgotten, and not worth a repair. */
  readonly isDoomed: boolean;
}

/** A piece that a disk's index lists. */
export interface FoundPiece {
  readonly diskId: DiskId;
  readonly chunkId: ChunkId;
  readonly scheme: Scheme;
  readonly pieceIndex: number;
  readonly bucket: number;
  readonly bytes: number;
  readonly bad: boolean;
}

/** A chunk: what is known of it, undefined for one nobody knows, and the pieces on the disks. */
export interface ChunkAudit {
  readonly id: ChunkId;
  readonly known: KnownChunk | undefined;
  readonly pieces: readonly FoundPiece[];
}

/**
 * Items in the order of their chunk ids, behind `after`, about `limit` of them; all items of one
 * chunk are in one answer, and an empty answer is the end.
 */
export type Pages<T> = (after: ChunkId | undefined, limit: number) => Promise<readonly T[]>;

/** Where an audit reads. */
export interface AuditSources {
  readonly known: Pages<KnownChunk>;
  readonly disks: ReadonlyMap<DiskId, Pages<Omit<FoundPiece, 'diskId'>>>;
}

/**
 * Walks over all chunks in the order of their ids, behind `after`, and says of each what is where:
 * a merge of the metadata with the list of every disk, a page of chunks at a time. The sources
 * change while it walks: whoever acts on what it says looks again before it does harm.
 */
export async function* audit(
  sources: AuditSources,
  after?: ChunkId,
  limit: number = PAGE_ITEMS,
): AsyncGenerator<ChunkAudit[]> {
  const known = new Feed(sources.known, (row) => row.id, after, limit);
  const disks = [...sources.disks].map(([diskId, pages]) => ({
    diskId,
    feed: new Feed(pages, (piece) => piece.chunkId, after, limit),
  }));
  const feeds = [known, ...disks.map(({ feed }) => feed)];
  for (;;) {
    await Promise.all(feeds.map((feed) => feed.fill()));
    // Up to the first end of a page, everything about a chunk is at hand.
    const bound = feeds.reduce<ChunkId | undefined>((first, { last }) => {
      if (last === undefined) return first;
      return first === undefined || last.compare(first) < 0 ? last : first;
    }, undefined);
    if (bound === undefined) return;
    const found = new Map<string, { id: ChunkId; known?: KnownChunk; pieces: FoundPiece[] }>();
    const entryOf = (id: ChunkId): { id: ChunkId; known?: KnownChunk; pieces: FoundPiece[] } => {
      const key = id.toString('latin1');
      const entry = found.get(key) ?? { id, pieces: [] };
      found.set(key, entry);
      return entry;
    };
    for (const row of known.take(bound)) entryOf(row.id).known = row;
    for (const { diskId, feed } of disks) {
      for (const piece of feed.take(bound)) {
        entryOf(piece.chunkId).pieces.push({ ...piece, diskId });
      }
    }
    const entries = [...found.values()].sort((a, b) => a.id.compare(b.id));
    yield entries.map(({ id, known: row, pieces }) => ({ id, known: row, pieces }));
  }
}

/** One source, of which the next page is on its way while this one is looked at. */
class Feed<T> {
  readonly #pages: Pages<T>;
  readonly #idOf: (item: T) => ChunkId;
  readonly #limit: number;
  #items: readonly T[] = [];
  #at = 0;
  #after: ChunkId | undefined;
  #next: Promise<readonly T[]> | undefined;
  #isAtEnd = false;

  constructor(
    pages: Pages<T>,
    idOf: (item: T) => ChunkId,
    after: ChunkId | undefined,
    limit: number,
  ) {
    this.#pages = pages;
    this.#idOf = idOf;
    this.#after = after;
    this.#limit = limit;
  }

  /** The id of the last item at hand; undefined when the source has ended. */
  get last(): ChunkId | undefined {
    const item = this.#items.at(-1);
    return this.#at >= this.#items.length || item === undefined ? undefined : this.#idOf(item);
  }

  /** Has a page at hand, or the end. */
  async fill(): Promise<void> {
    if (this.#isAtEnd || this.#at < this.#items.length) return;
    this.#items = await (this.#next ?? this.#ask());
    this.#at = 0;
    const { last } = this;
    this.#isAtEnd = last === undefined;
    if (last === undefined) return;
    this.#after = last;
    this.#next = this.#ask();
    // Whoever fills next hears of a failure; nobody may, when the walk ends before.
    this.#next.catch(() => undefined);
  }

  /** The items up to `bound`, which is one of a page that is at hand everywhere. */
  take(bound: ChunkId): readonly T[] {
    const start = this.#at;
    for (; this.#at < this.#items.length; this.#at++) {
      const item = this.#items[this.#at] as T;
      if (this.#idOf(item).compare(bound) > 0) break;
    }
    return this.#items.slice(start, this.#at);
  }

  #ask(): Promise<readonly T[]> {
    return this.#pages(this.#after, this.#limit);
  }
}
