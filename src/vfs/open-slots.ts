import { closeSync, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { blake3 } from '@napi-rs/blake-hash';
import { DfsError } from '../base/errors.ts';
import type { Ino } from '../base/ids.ts';
import { readFully } from '../base/read-fully.ts';

/**
 * The file of passed opens: what a process that takes over a mount must know of them. Written
 * without a sync, because it need not outlive the machine.
 *
 *     OFFSET SIZE FIELD
 *     0      8    magic "DFSOPEN" and version 1
 *     8      24   zero
 *     then slots of 32 bytes, all zero when free:
 *     0      8    inode
 *     8      8    number of the last request counted, plus 1 if it was a RELEASE
 *     16     4    the kernel's number of the cache file; stays when the last open has ended
 *     20     4    opens that read the cache file
 *     24     4    opens beside them, which may write
 *     28     4    first bytes of the BLAKE3 of the 28 before
 */
const MAGIC = Buffer.from('DFSOPEN\x01', 'latin1');
const HEADER_BYTES = 32;
const SLOT_BYTES = 32;
const CHECKED_BYTES = 28;

/** One slot. */
export interface OpenSlot {
  ino: Ino;
  lastRequest: number;
  id: number;
  readers: number;
  direct: number;
}

/** Writes a slot into the start of `into`. */
export function putSlot(into: Buffer, slot: OpenSlot): void {
  into.writeBigUInt64LE(BigInt(slot.ino), 0);
  into.writeBigUInt64LE(BigInt(slot.lastRequest), 8);
  into.writeUInt32LE(slot.id, 16);
  into.writeUInt32LE(slot.readers, 20);
  into.writeUInt32LE(slot.direct, 24);
  blake3(into.subarray(0, CHECKED_BYTES)).copy(into, CHECKED_BYTES, 0, SLOT_BYTES - CHECKED_BYTES);
}

/** The slot at the start of `from`; undefined when it is free. Throws CORRUPT. */
export function getSlot(from: Buffer): OpenSlot | undefined {
  if (from.length !== SLOT_BYTES) throw corrupt(`a slot has ${from.length} bytes`);
  if (from.every((byte) => byte === 0)) return undefined;
  const check = blake3(from.subarray(0, CHECKED_BYTES)).subarray(0, SLOT_BYTES - CHECKED_BYTES);
  if (!check.equals(from.subarray(CHECKED_BYTES))) throw corrupt('a slot has a wrong checksum');
  return {
    ino: Number(from.readBigUInt64LE(0)) as Ino,
    lastRequest: Number(from.readBigUInt64LE(8)),
    id: from.readUInt32LE(16),
    readers: from.readUInt32LE(20),
    direct: from.readUInt32LE(24),
  };
}

function corrupt(state: string): DfsError {
  return new DfsError('CORRUPT', `Cannot read the file of passed opens: ${state}`);
}

/** Keeps slots in their file, each inode in one of its own. */
export class OpenSlots {
  readonly #fd: number;
  readonly #at = new Map<Ino, number>();
  readonly #free: number[] = [];
  readonly #buffer: Buffer = Buffer.alloc(SLOT_BYTES);
  #end = HEADER_BYTES;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Opens the file at `path`, which is made when missing, and reads what it has. */
  static open(path: string): { slots: OpenSlots; found: OpenSlot[] } {
    const fd = openSync(path, 'a+', 0o600);
    closeSync(fd);
    const slots = new OpenSlots(openSync(path, 'r+'));
    return { slots, found: slots.#load(path) };
  }

  #load(path: string): OpenSlot[] {
    const { size } = fstatSync(this.#fd);
    // A process that died while it made the file had answered no open yet.
    if (size < HEADER_BYTES) {
      this.clear();
      return [];
    }
    const content = Buffer.alloc(size);
    readFully(this.#fd, content, 0, path);
    const zero = content.subarray(MAGIC.length, HEADER_BYTES).every((byte) => byte === 0);
    if (!content.subarray(0, MAGIC.length - 1).equals(MAGIC.subarray(0, -1)) || !zero) {
      throw corrupt('it does not begin as one');
    }
    if (content[MAGIC.length - 1] !== MAGIC.at(-1)) {
      throw new DfsError('NEWER_FORMAT', 'Cannot read the file of passed opens: it is newer');
    }
    const found: OpenSlot[] = [];
    for (; this.#end + SLOT_BYTES <= size; this.#end += SLOT_BYTES) {
      const slot = getSlot(content.subarray(this.#end, this.#end + SLOT_BYTES));
      if (slot === undefined) this.#free.push(this.#end);
      else {
        found.push(slot);
        this.#at.set(slot.ino, this.#end);
      }
    }
    return found;
  }

  /** Writes down the opens of one inode. */
  put(slot: OpenSlot): void {
    let at = this.#at.get(slot.ino);
    if (at === undefined) {
      at = this.#free.pop() ?? this.#end;
      if (at === this.#end) this.#end += SLOT_BYTES;
      this.#at.set(slot.ino, at);
    }
    putSlot(this.#buffer, slot);
    writeSync(this.#fd, this.#buffer, 0, SLOT_BYTES, at);
  }

  /** The slot of `ino`, which says that nothing is open, can be used for another one. */
  free(ino: Ino): void {
    const at = this.#at.get(ino);
    if (at === undefined) return;
    this.#at.delete(ino);
    this.#free.push(at);
  }

  /** Forgets all: a new mount. */
  clear(): void {
    this.#at.clear();
    this.#free.length = 0;
    this.#end = HEADER_BYTES;
    ftruncateSync(this.#fd, 0);
    const header = Buffer.alloc(HEADER_BYTES);
    MAGIC.copy(header);
    writeSync(this.#fd, header, 0, HEADER_BYTES, 0);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
