import { blockCeil, blockFloor } from '../base/blocks.ts';
import {
  EFBIG,
  EINVAL,
  EISDIR,
  ENODEV,
  ENOENT,
  ENOSPC,
  ENXIO,
  EOPNOTSUPP,
  EROFS,
  type NegativeErrno,
} from '../base/errno.ts';
import type { Ino } from '../base/ids.ts';
import { BLOCK_BYTES, CHUNK_BYTES_MAX, FILE_BYTES_MAX, MIB } from '../base/limits.ts';
import type { FileCache } from '../cache/mod.ts';
import { type Inode, isFolder, isRegular, type LiveMeta, type MetaOp } from '../meta/mod.ts';
import type { Changes } from './changes.ts';
import { now } from './clock.ts';
import type { CopyRange, RequestContext } from './vfs-interface.ts';
import { type BlockPart, Zeroing } from './zeroing.ts';

const SEEK_DATA = 3;
const KEEP_SIZE = 0x01;
const PUNCH_HOLE = 0x02;
const ZERO_RANGE = 0x10;
/** A clone in one request shares this many bytes at most: some hundred extents. */
const CLONE_BYTES_MAX: number = 256 * CHUNK_BYTES_MAX;

export interface ContentOptions {
  meta: LiveMeta;
  cache: FileCache;
  changes: Changes;
  capacity: () => { freeBytes: number };
  readOnly: boolean;
}

type Done = number | Promise<number>;

/** The bytes of files: reading, writing, holes, and copies that share what is stored. */
export class Content {
  readonly #meta: LiveMeta;
  readonly #cache: FileCache;
  readonly #changes: Changes;
  readonly #options: ContentOptions;
  readonly zeroing: Zeroing = new Zeroing();

  constructor(options: ContentOptions) {
    this.#options = options;
    this.#meta = options.meta;
    this.#cache = options.cache;
    this.#changes = options.changes;
  }

  read(
    ino: Ino,
    offset: number,
    length: number,
    into: Buffer,
    at: number,
  ): number | Promise<Buffer | NegativeErrno> {
    const inode = this.#meta.inode(ino);
    if (inode === undefined) return -ENOENT;
    const result = this.#cache.read(inode, offset, length, into, at);
    return typeof result === 'number'
      ? result
      : result.catch((error: unknown) => this.#changes.errno(error, 'read'));
  }

  write(ino: Ino, offset: number, data: Buffer, unique?: number): Done {
    const inode = this.#meta.inode(ino);
    if (inode === undefined) return -ENOENT;
    if (this.#options.readOnly) return -EROFS;
    if (offset + data.length > FILE_BYTES_MAX) return -EFBIG;
    this.zeroing.apply(ino, offset, data);
    return this.#guard('write', () => this.#cache.write(inode, offset, data, unique));
  }

  /** Runs what may throw or reject: the application sees an errno. */
  #guard(operation: string, action: () => Done): Done {
    try {
      const result = action();
      return typeof result === 'number'
        ? result
        : result.catch((error: unknown) => this.#changes.errno(error, operation));
    } catch (error) {
      return this.#changes.errno(error, operation);
    }
  }

  lseek(ino: Ino, offset: number, whence: number): number {
    const inode = this.#meta.inode(ino);
    if (inode === undefined) return -ENOENT;
    if (!isRegular(inode)) return -EINVAL;
    if (offset >= inode.sizeBytes) return -ENXIO;
    const { holes } = this.#cache;
    if (whence !== SEEK_DATA) return holes.nextHole(inode, offset);
    return holes.nextData(inode, offset) ?? -ENXIO;
  }

  /** fallocate(2): see {@link Vfs.fallocate}. */
  fallocate(
    context: RequestContext,
    ino: Ino,
    range: { offset: number; lengthBytes: number; mode: number },
  ): Done {
    const inode = this.#meta.inode(ino);
    if (inode === undefined) return -ENOENT;
    if (this.#options.readOnly) return -EROFS;
    if (isFolder(inode)) return -EISDIR;
    if (!isRegular(inode)) return -ENODEV;
    const { offset, lengthBytes, mode } = range;
    const end = offset + lengthBytes;
    if (end > FILE_BYTES_MAX) return -EFBIG;
    const grows = (mode & KEEP_SIZE) === 0 && end > inode.sizeBytes;
    const kept = { ...context };
    switch (mode & ~KEEP_SIZE) {
      case 0: {
        const added = end - Math.max(offset, inode.sizeBytes);
        if (added > this.#options.capacity().freeBytes) return -ENOSPC;
        return grows ? this.#guard('fallocate', () => this.#grow(kept, ino, end)) : 0;
      }
      case PUNCH_HOLE:
        if ((mode & KEEP_SIZE) === 0) return -EOPNOTSUPP;
        return this.#guard('fallocate', () => this.#zero(kept, ino, { offset, end, grows }));
      case ZERO_RANGE:
        return this.#guard('fallocate', () => this.#zero(kept, ino, { offset, end, grows }));
      default:
        return -EOPNOTSUPP;
    }
  }

  #grow(context: RequestContext, ino: Ino, sizeBytes: number): Done {
    const inode = this.#meta.inode(ino);
    if (inode === undefined || inode.sizeBytes >= sizeBytes) return 0;
    const waiting = this.#cache.resize(inode, sizeBytes);
    if (waiting !== undefined) return waiting.then(() => this.#grow(context, ino, sizeBytes));
    return this.#changes.run([{ kind: 'truncate', ino, sizeBytes, time: now() }], context, 0);
  }

  /** Blocks that are zeroed whole become a hole; parts of blocks at the edges are written. */
  #zero(
    context: RequestContext,
    ino: Ino,
    range: { offset: number; end: number; grows: boolean },
  ): Done {
    const { offset, end, grows } = range;
    const inode = this.#meta.inode(ino);
    if (inode === undefined) return 0;
    const from = blockCeil(offset);
    // What lies behind the end of the file reads as zeros already.
    const to = end >= inode.sizeBytes ? blockCeil(Math.max(end, inode.sizeBytes)) : blockFloor(end);
    const edges: BlockPart[] =
      from > to
        ? [{ start: offset, end }]
        : [
            { start: offset, end: from },
            { start: to, end },
          ];
    const parts = edges.flatMap((edge) => this.#withData(inode, edge));
    const erase = (): Done => this.#punch(context, ino, { from, to });
    const grow = (done: number): Done =>
      grows && done === 0 ? this.#grow(context, ino, end) : done;
    if (parts.length > 0) {
      return this.#zeroParts(ino, parts).then(async (bad) => bad ?? grow(await erase()));
    }
    const erased = erase();
    return typeof erased === 'number' ? grow(erased) : erased.then(grow);
  }

  /** The part of a block as far as it is in the file; none when it is a hole. */
  #withData(inode: Inode, part: BlockPart): BlockPart[] {
    const { start } = part;
    const end = Math.min(part.end, inode.sizeBytes);
    if (start >= end) return [];
    const data = this.#cache.holes.nextData(inode, blockFloor(start));
    return data === undefined || data >= end ? [] : [{ start, end }];
  }

  /** Writes zeros over parts of blocks: undefined, or why that failed. */
  #zeroParts(ino: Ino, parts: BlockPart[]): Promise<number | undefined> {
    return this.zeroing.during(ino, parts, async () => {
      for (const { start, end } of parts) {
        const inode = this.#meta.inode(ino);
        if (inode === undefined) return undefined;
        const done = await this.#cache.write(inode, start, Buffer.alloc(end - start));
        if (done < 0) return done;
      }
      return undefined;
    });
  }

  /** Carried out anew when the kernel sends it again: the cache may not have followed. */
  #punch(context: RequestContext, ino: Ino, range: { from: number; to: number }): Done {
    const { from, to } = range;
    const inode = this.#meta.inode(ino);
    if (inode === undefined || from >= to) return 0;
    const waiting = this.#cache.holes.prepare(inode, from, to);
    if (waiting !== undefined) return waiting.then(() => this.#punch(context, ino, range));
    const op: MetaOp = { kind: 'punch', ino, offset: from, lengthBytes: to - from, time: now() };
    const failed = this.#changes.run([op], context, 0);
    if (failed === 0) this.#cache.holes.erase(ino, from, to);
    return failed;
  }

  /**
   * copy_file_range(2): see {@link Vfs.copyRange}. Carried out anew when the kernel sends it again:
   * the cache of a process that died may not have followed, and taking up a cache file that was
   * still as short as before cuts off what the clone had added.
   */
  copyRange(context: RequestContext, copy: CopyRange): Done {
    if (this.#options.readOnly) return -EROFS;
    const source = this.#meta.inode(copy.from);
    const target = this.#meta.inode(copy.to);
    if (source === undefined || target === undefined) return -ENOENT;
    if (!isRegular(source) || !isRegular(target)) return -EINVAL;
    const { fromOffset, toOffset } = copy;
    if (fromOffset >= source.sizeBytes) return 0;
    if (this.#cache.lending.isWriting(copy.from)) return this.#copyBytes(source, copy);
    // Who reads the cache file itself would find holes where the clone is not fetched yet.
    if (this.#cache.lending.isLent(copy.to)) return -EOPNOTSUPP;
    const length = this.#sharable(source, target, copy, context.resent);
    if (length <= 0) return -EOPNOTSUPP;
    if (toOffset + length > FILE_BYTES_MAX) return -EFBIG;
    const kept = { ...context };
    return this.#guard('copy', () => {
      const waiting = this.#cache.holes.prepare(target, toOffset, blockCeil(toOffset + length));
      if (waiting !== undefined) return waiting.then(() => this.copyRange(kept, copy));
      const op: MetaOp = {
        kind: 'clone',
        ino: copy.to,
        offset: toOffset,
        source: copy.from,
        sourceOffset: fromOffset,
        lengthBytes: length,
        time: now(),
      };
      const failed = this.#changes.run([op], kept, length);
      if (failed !== 0) return failed;
      this.#cache.holes.erase(copy.to, toOffset, blockCeil(toOffset + length));
      return length;
    });
  }

  /**
   * Copies some bytes itself, from a file that mappings write to without us: the kernel would take
   * them from pages that do not follow.
   */
  #copyBytes(source: Inode, copy: CopyRange): Done {
    const { from, fromOffset, to, toOffset } = copy;
    const length = Math.min(copy.lengthBytes, MIB, source.sizeBytes - fromOffset);
    const data = Buffer.allocUnsafe(length);
    const result = this.read(from, fromOffset, length, data, 0);
    if (typeof result === 'number') {
      return result <= 0 ? result : this.write(to, toOffset, data.subarray(0, result));
    }
    return result.then((late) =>
      typeof late === 'number' ? late : this.write(to, toOffset, late),
    );
  }

  /**
   * How many bytes of the copy can be shared, from its start on: whole blocks that are clean. So in
   * the target, too: a power cut may keep that they are gone from the cache, but not the clone, and
   * an fsync may have promised them. Sent again, all that the cache has counts as dirty.
   */
  #sharable(source: Inode, target: Inode, copy: CopyRange, isResent: boolean): number {
    const { fromOffset, toOffset } = copy;
    if (fromOffset % BLOCK_BYTES !== 0 || toOffset % BLOCK_BYTES !== 0) return 0;
    const wanted = Math.min(copy.lengthBytes, CLONE_BYTES_MAX, source.sizeBytes - fromOffset);
    const { holes } = this.#cache;
    const shared = holes.cleanUpTo(source, fromOffset, fromOffset + wanted) - fromOffset;
    const end = blockCeil(toOffset + shared);
    const free = isResent ? shared : holes.cleanUpTo(target, toOffset, end) - toOffset;
    const clean = Math.min(shared, free);
    // A last part of a block fits where the source ends, and nothing of the target stands behind.
    const endsBoth =
      fromOffset + clean === source.sizeBytes && toOffset + clean >= target.sizeBytes;
    return endsBoth ? clean : blockFloor(clean);
  }
}
