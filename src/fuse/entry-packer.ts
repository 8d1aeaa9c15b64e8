import type { Ino } from '../base/ids.ts';
import type { Attr, EntryPlusSink, EntrySink } from '../vfs/mod.ts';
import { DIRENT_BYTES, ENTRY_BYTES } from './protocol.ts';
import type { CacheSeconds, Dirent } from './wire.ts';
import { direntBytes, getU64, putDirent, putEntry } from './wire.ts';

/** Packs directory entries into a reply as long as they fit. */
export class EntryPacker {
  readonly #cache: CacheSeconds;
  readonly #entry: Dirent = { ino: 0, type: 0, cookie: 0, name: Buffer.alloc(0) };
  #buffer: Buffer;
  #start: number;
  #at: number;
  #end: number;

  /** Packs into `buffer` from `start` on, `bytes` at most. */
  constructor(target: { buffer: Buffer; start: number; bytes: number; cache: CacheSeconds }) {
    this.#buffer = target.buffer;
    this.#start = target.start;
    this.#at = target.start;
    this.#end = target.start + target.bytes;
    this.#cache = target.cache;
  }

  /** Bytes packed. */
  get length(): number {
    return this.#at - this.#start;
  }

  /** What was packed, a view. */
  packed(): Buffer {
    return this.#buffer.subarray(this.#start, this.#at);
  }

  /**
   * Goes on in a buffer of its own, because the one given is about to be used for another request.
   */
  detach(): void {
    const own = Buffer.alloc(this.#end - this.#start);
    this.#buffer.copy(own, 0, this.#start, this.#at);
    this.#at -= this.#start;
    this.#end -= this.#start;
    this.#start = 0;
    this.#buffer = own;
  }

  readonly sink: EntrySink = (name, ino, type, cookie) => {
    if (this.#at + direntBytes(name.length) > this.#end) return false;
    this.#putDirent(name, ino, type, cookie);
    return true;
  };

  readonly sinkPlus: EntryPlusSink = (name, ino, type, cookie, attr: Attr | undefined) => {
    if (this.#at + ENTRY_BYTES + direntBytes(name.length) > this.#end) return false;
    // Without an inode number in the entry the kernel takes the name and counts no lookup.
    if (attr === undefined) this.#buffer.fill(0, this.#at, this.#at + ENTRY_BYTES);
    else putEntry(this.#buffer, this.#at, attr, this.#cache);
    this.#at += ENTRY_BYTES;
    this.#putDirent(name, ino, type, cookie);
    return true;
  };

  #putDirent(name: Buffer, ino: Ino, type: number, cookie: number): void {
    const entry = this.#entry;
    entry.name = name;
    entry.ino = ino;
    entry.type = type;
    entry.cookie = cookie;
    this.#at += putDirent(this.#buffer, this.#at, entry);
  }
}

/**
 * Calls `each` for every inode of which a packed READDIRPLUS reply makes the kernel count a lookup.
 */
export function forEachLookup(packed: Buffer, each: (ino: Ino) => void): void {
  for (let at = 0; at + ENTRY_BYTES + DIRENT_BYTES <= packed.length; ) {
    const ino = getU64(packed, at) as Ino;
    if (ino !== 0) each(ino);
    at += ENTRY_BYTES + direntBytes(packed.readUInt32LE(at + ENTRY_BYTES + 16));
  }
}
