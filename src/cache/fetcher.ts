import { blockCeil } from '../base/blocks.ts';
import type { ChunkId } from '../base/ids.ts';
import type { Extent, LiveMeta } from '../meta/mod.ts';
import type { CacheFiles } from './cache-files.ts';
import type { CachedFile } from './cached-file.ts';

/** Parts of one chunk to be written into a cache file. */
export interface FetchRequest {
  path: string;
  chunk: ChunkId;
  parts: { offset: number; chunkOffset: number; lengthBytes: number }[];
}

/** Reads a chunk, verifies it and writes the parts into the file at `path`; off the event loop. */
export type Fetch = (request: FetchRequest) => Promise<void>;

/** Extents that are fetched ahead at once: where a file has many, they are small. */
const AHEAD_EXTENTS_MAX = 4;

/** Brings blocks that are absent into the cache (invariant 6 of file-cache.ts). */
export class Fetcher {
  readonly #files: CacheFiles;
  readonly #meta: LiveMeta;
  readonly #fetch: Fetch;
  fetches = 0;
  fetchedBytes = 0;

  constructor(files: CacheFiles, meta: LiveMeta, fetch: Fetch) {
    this.#files = files;
    this.#meta = meta;
    this.#fetch = fetch;
  }

  /**
   * Makes blocks [start, end) present: undefined when they are, else a promise after which to ask
   * again.
   */
  ensure(file: CachedFile, start: number, end: number): Promise<void> | undefined {
    if (file.present.covers(start, end)) return undefined;
    const running = file.fillTouching(start, end);
    if (running !== undefined) return running.done;
    const fetches: Promise<void>[] = [];
    for (const gap of file.present.gaps(start, end)) {
      for (const extent of this.#meta.state.extents.overlapping(file.ino, gap.start, gap.end)) {
        fetches.push(this.#fetchExtent(file, extent));
      }
      if (fetches.length === 0) file.present.add(gap.start, gap.end);
    }
    if (fetches.length === 0) return undefined;
    return Promise.all(fetches).then(() => undefined);
  }

  /**
   * Begins to fetch what is absent of [start, end), some extents of it: up to where it is `asked`
   * for now.
   */
  fetchAhead(
    file: CachedFile,
    start: number,
    end: number,
  ): { asked: number; started: Promise<void>[] } {
    const started: Promise<void>[] = [];
    if (file.present.covers(start, end)) return { asked: end, started };
    for (const extent of this.#meta.state.extents.overlapping(file.ino, start, end)) {
      const extentEnd = blockCeil(extent.offset + extent.lengthBytes);
      if (file.present.covers(extent.offset, extentEnd)) continue;
      if (started.length === AHEAD_EXTENTS_MAX) return { asked: extent.offset, started };
      if (file.fillTouching(extent.offset, extentEnd) !== undefined) continue;
      started.push(this.#fetchExtent(file, extent));
    }
    return { asked: end, started };
  }

  /**
   * Fetches the absent blocks of a whole extent, since its chunk must be read and verified whole.
   */
  #fetchExtent(file: CachedFile, extent: Extent): Promise<void> {
    const extentEnd = extent.offset + extent.lengthBytes;
    const end = blockCeil(extentEnd);
    const busy = file.fillTouching(extent.offset, end);
    if (busy !== undefined) return busy.done;
    const gaps = file.present.gaps(extent.offset, end);
    this.#files.created(file);
    const parts = gaps.map((gap) => ({
      offset: gap.start,
      chunkOffset: extent.chunkOffset + (gap.start - extent.offset),
      lengthBytes: Math.min(gap.end, extentEnd) - gap.start,
    }));
    const fill = { start: extent.offset, end, done: Promise.resolve() };
    const request = { path: this.#files.path(file), chunk: extent.chunk, parts };
    const { evictor } = this.#files;
    const bytes = parts.reduce((sum, part) => sum + part.lengthBytes, 0);
    const room = evictor.expect(bytes);
    const fetched =
      room === undefined ? this.#fetch(request) : room.then(() => this.#fetch(request));
    fill.done = fetched.then(
      () => {
        evictor.landed(bytes);
        file.fills.splice(file.fills.indexOf(fill), 1);
        if (file.deleted) return;
        for (const gap of gaps) this.#files.addPresent(file, gap.start, gap.end);
        if (file.isBusy) this.#files.restoreMtime(file);
        this.fetches++;
        this.fetchedBytes += extent.lengthBytes;
      },
      (error: unknown) => {
        evictor.landed(bytes);
        file.fills.splice(file.fills.indexOf(fill), 1);
        throw error;
      },
    );
    file.fills.push(fill);
    return fill.done;
  }
}
