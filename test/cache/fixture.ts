import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from '../../src/base/errors.ts';
import { type ChunkId, chunkKey, type Epoch, type Ino, ROOT_INO } from '../../src/base/ids.ts';
import { type Timed, untimed } from '../../src/base/pauses.ts';
import { type FetchRequest, FileCache } from '../../src/cache/mod.ts';
import type { Resident } from '../../src/cache/reader.ts';
import { hashChunk } from '../../src/chunk/mod.ts';
import { CaptureReader } from '../../src/commit/capture-reader.ts';
import type { FrozenFile } from '../../src/commit/mod.ts';
import { batchesOf, type Segment, segmentsOf } from '../../src/commit/segments.ts';
import {
  type Erased,
  type ExtentRange,
  type FileExtents,
  type Inode,
  LiveMeta,
} from '../../src/meta/mod.ts';

export const BLOCK = 4096;
const TIME = { sec: 1_000_000, nsec: 5_000_000 };

/** A promise and the means to settle it. */
export interface Gate {
  opened: Promise<void>;
  open(): void;
  fail(error: Error): void;
}

export function gate(): Gate {
  let pass = (): void => undefined;
  let fail = (_error: Error): void => undefined;
  const opened = new Promise<void>((resolve, reject) => {
    pass = resolve;
    fail = reject;
  });
  opened.catch(() => undefined);
  return { opened, open: () => pass(), fail: (error) => fail(error) };
}

/** All files of a cut that were not asked for yet. */
function* frozenFiles(cache: FileCache): Generator<FrozenFile> {
  for (let some = cache.frozen(1); some.length > 0; some = cache.frozen(1)) yield* some;
}

/** A cut that is being committed by hand; who asks for its files freezes those that are left. */
export interface OpenCut {
  epoch: Epoch;
  seq: number;
  readonly frozen: FrozenFile[];
  erased: Erased;
}

/** A cache on real files and real metadata; its chunks are kept in memory. */
export class CacheRig {
  readonly folder: string;
  readonly chunks: Map<string, Buffer> = new Map();
  readonly requests: FetchRequest[] = [];
  meta: LiveMeta;
  cache: FileCache;
  /** What a fetch waits for before it reads. */
  beforeFetch: Promise<void> = Promise.resolve();
  /** What the cache is given when it is full. */
  relieve: () => Promise<void> = () => Promise.resolve();
  /** What tells the cache which bytes are in memory; for the next cache. */
  resident: Resident | undefined;
  /** What the cache times. */
  timed: Timed = untimed;
  epoch = 1 as Epoch;
  readonly #limitBytes: number;
  readonly #reader: CaptureReader;
  #nextName = 0;

  constructor(options: { limitBytes?: number } = {}) {
    this.folder = mkdtempSync(join(tmpdir(), 'dfs-cache-'));
    this.#limitBytes = options.limitBytes ?? 1 << 30;
    mkdirSync(this.cacheFolder);
    this.meta = new LiveMeta(join(this.folder, 'meta.sqlite'));
    this.meta.state.format({ uid: 0, gid: 0, time: TIME });
    this.cache = this.#openCache(true);
    this.#reader = new CaptureReader((ranges) =>
      Promise.resolve(ranges.map(({ ino, start, end }) => this.cache.capture(ino, start, end))),
    );
  }

  get cacheFolder(): string {
    return join(this.folder, 'cache');
  }

  #openCache(keepClean: boolean): FileCache {
    const cache = new FileCache({
      folder: this.cacheFolder,
      meta: this.meta,
      limitBytes: this.#limitBytes,
      fetch: (request) => this.#fetch(request),
      relieve: () => this.relieve(),
      timed: (cause, body) => this.timed(cause, body),
      resident: this.resident,
    });
    cache.open(this.epoch, { keepClean });
    return cache;
  }

  async #fetch(request: FetchRequest): Promise<void> {
    this.requests.push(request);
    await this.beforeFetch;
    const content = this.chunks.get(chunkKey(request.chunk));
    assert(content !== undefined, 'a fetch of a chunk that was never stored');
    const file = await open(request.path, 'r+');
    try {
      for (const { offset, chunkOffset, lengthBytes } of request.parts) {
        await file.write(content, chunkOffset, lengthBytes, offset);
      }
    } finally {
      await file.close();
    }
  }

  /** A new empty file in the root. */
  file(): Inode {
    const ino = this.meta.allocateIno();
    this.meta.run([
      {
        kind: 'create',
        parent: ROOT_INO,
        name: Buffer.from(`file-${this.#nextName++}`),
        ino,
        mode: 0o100644,
        uid: 0,
        gid: 0,
        rdev: 0,
        target: Buffer.alloc(0),
        time: TIME,
      },
    ]);
    return this.inode(ino);
  }

  inode(ino: Ino): Inode {
    const inode = this.meta.inode(ino);
    assert(inode !== undefined, `inode ${ino} is there`);
    return inode;
  }

  async write(ino: Ino, offset: number, data: Buffer): Promise<number> {
    return this.cache.write(this.inode(ino), offset, data);
  }

  async read(ino: Ino, offset: number, length: number): Promise<Buffer> {
    const into = Buffer.alloc(length, 0xee);
    const result = await this.cache.read(this.inode(ino), offset, length, into, 0);
    if (typeof result === 'number') return into.subarray(0, result);
    return result;
  }

  /** The whole content of a file. */
  content(ino: Ino): Promise<Buffer> {
    return this.read(ino, 0, this.inode(ino).sizeBytes);
  }

  async truncate(ino: Ino, sizeBytes: number): Promise<void> {
    for (;;) {
      const waiting = this.cache.resize(this.inode(ino), sizeBytes);
      if (waiting === undefined) break;
      await waiting;
    }
    this.meta.run([{ kind: 'truncate', ino, sizeBytes, time: TIME }]);
  }

  /** Removes the inode for good, as an unlink that nobody has open does. */
  drop(ino: Ino): void {
    this.cache.drop(ino);
    this.meta.run([{ kind: 'reap', ino }]);
  }

  cut(): OpenCut {
    const epoch = this.epoch;
    const { seq, erased } = this.meta.cut(this.cache.grown(Number.POSITIVE_INFINITY));
    this.cache.freeze(epoch);
    this.epoch = (epoch + 1) as Epoch;
    const { cache } = this;
    let frozen: FrozenFile[] | undefined;
    return {
      epoch,
      seq,
      erased,
      get frozen() {
        frozen ??= [...frozenFiles(cache)];
        return frozen;
      },
    };
  }

  /** The cut failed. */
  abandon(): void {
    for (const _ of frozenFiles(this.cache));
    while (this.cache.abandoned(1));
  }

  /** Reads segments of the cut and keeps them as chunks. */
  async store(segments: Segment[]): Promise<FileExtents[]> {
    return this.#reader.read(segments, (contents) =>
      Promise.resolve(
        segments.map(({ ino, offset, lengthBytes }, index) => {
          const chunk = this.keep(contents[index]);
          return { ino, ranges: [{ offset, lengthBytes, chunk, chunkOffset: 0 }] };
        }),
      ),
    );
  }

  /** Keeps content as a chunk. */
  /** Keeps content as a chunk. */
  keep(content: Buffer | undefined): ChunkId {
    assert(content !== undefined, 'a content for each segment');
    const chunk = hashChunk(content);
    this.chunks.set(chunkKey(chunk), Buffer.from(content));
    return chunk;
  }

  /** Ends a commit: the live metadata has the extents, what was frozen is clean. */
  publish(cut: OpenCut, files: FileExtents[]): void {
    this.meta.publishes.extents(files, cut.erased);
    this.meta.publishes.done(cut.epoch, cut.seq);
    while (this.meta.publishes.trim(100));
    while (this.cache.published(1));
  }

  /** A whole commit. */
  async commit(): Promise<void> {
    const cut = this.cut();
    const files: FileExtents[] = [];
    for (const batch of batchesOf(segmentsOf(cut.frozen))) files.push(...(await this.store(batch)));
    this.publish(cut, files);
  }

  /** What the cut has of a file, put together from its extents. */
  contentOf(files: FileExtents[], ino: Ino, sizeBytes: number): Buffer {
    const whole = Buffer.alloc(sizeBytes);
    const ranges: ExtentRange[] = files.filter((file) => file.ino === ino).flatMap((f) => f.ranges);
    for (const { chunk, offset, lengthBytes, chunkOffset } of ranges) {
      if (chunk === undefined) continue;
      const content = this.chunks.get(chunkKey(chunk));
      content?.copy(whole, offset, chunkOffset, chunkOffset + lengthBytes);
    }
    return whole;
  }

  /** A new process over the same files; the old one did not end in order. */
  async crash(options: { keepClean: boolean } = { keepClean: true }): Promise<void> {
    this.cache.close();
    await this.meta.close({ dying: true });
    this.meta = new LiveMeta(join(this.folder, 'meta.sqlite'));
    this.cache = this.#openCache(options.keepClean);
  }

  async close(): Promise<void> {
    this.cache.close();
    await this.meta.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Bytes that differ in every block and follow from `seed`. */
export function bytesOf(seed: number, lengthBytes: number): Buffer {
  const bytes = Buffer.alloc(lengthBytes);
  for (let at = 0; at < lengthBytes; at++)
    bytes[at] = (seed * 131 + at * 7 + (at >> 12) * 29) & 0xff;
  return bytes;
}
