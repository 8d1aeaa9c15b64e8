import { DfsError } from '../base/errors.ts';
import type { Ino } from '../base/ids.ts';
import type { AttrChange, RequestContext } from '../vfs/mod.ts';
import {
  FATTR_ATIME,
  FATTR_ATIME_NOW,
  FATTR_GID,
  FATTR_KILL_SUIDGID,
  FATTR_MODE,
  FATTR_MTIME,
  FATTR_MTIME_NOW,
  FATTR_SIZE,
  FATTR_UID,
  REQUEST_HEADER_BYTES,
  UNIQUE_RESENT_HIGH,
} from './protocol.ts';
import { getI64, getU64 } from './wire.ts';

const TWO_32 = 0x1_0000_0000;

/**
 * The request at hand, in one buffer that the next request overwrites. Positions passed in count
 * from the start of the request. Reading behind its end throws BAD_ARGUMENT: the kernel is trusted,
 * but a wrong constant of ours is not.
 */
export class RequestView {
  readonly buffer: Buffer;
  readonly context: RequestContext = {
    uid: 0,
    gid: 0,
    pid: 0,
    umask: 0,
    unique: 0,
    resent: false,
  };
  opcode = 0;
  ino: Ino = 0 as Ino;
  length = 0;
  /** The two words of the unique exactly as the kernel sent them; a reply must carry them. */
  uniqueLow = 0;
  uniqueHigh = 0;

  constructor(capacityBytes: number) {
    this.buffer = Buffer.alloc(capacityBytes);
  }

  /** Takes the header of the `length` bytes that were read into the buffer. */
  load(length: number): void {
    const { buffer, context } = this;
    if (length < REQUEST_HEADER_BYTES || buffer.readUInt32LE(0) !== length) {
      throw new DfsError('BAD_ARGUMENT', `Cannot take a request: it has ${length} bytes`);
    }
    this.length = length;
    this.opcode = buffer.readUInt32LE(4);
    this.uniqueLow = buffer.readUInt32LE(8);
    this.uniqueHigh = buffer.readUInt32LE(12);
    this.ino = getU64(buffer, 16) as Ino;
    context.unique = (this.uniqueHigh & 0x7fff_ffff) * TWO_32 + this.uniqueLow;
    context.resent = this.uniqueHigh >= UNIQUE_RESENT_HIGH;
    context.uid = buffer.readUInt32LE(24);
    context.gid = buffer.readUInt32LE(28);
    context.pid = buffer.readUInt32LE(32);
    context.umask = 0;
  }

  /** The context of a request that makes an inode, with the umask that stands at `at`. */
  masked(at: number): RequestContext {
    this.context.umask = this.u32(at) & 0o777;
    return this.context;
  }

  u32(at: number): number {
    if (at + 4 > this.length) throw this.#tooShort(at + 4);
    return this.buffer.readUInt32LE(at);
  }

  u64(at: number): number {
    if (at + 8 > this.length) throw this.#tooShort(at + 8);
    return getU64(this.buffer, at);
  }

  /** The bytes from `at` up to a NUL, a view. */
  name(at: number): Buffer {
    const end = this.buffer.indexOf(0, at);
    if (end < 0 || end >= this.length) throw this.#tooShort(at + 1);
    return this.buffer.subarray(at, end);
  }

  /** `bytes` bytes from `at` on, a view. */
  bytes(at: number, bytes: number): Buffer {
    if (at + bytes > this.length) throw this.#tooShort(at + bytes);
    return this.buffer.subarray(at, at + bytes);
  }

  /** What a SETATTR asks for. */
  attrChange(): AttrChange {
    const { buffer } = this;
    const valid = this.u32(40);
    if (this.length < 128) throw this.#tooShort(128);
    const change: AttrChange = {};
    if ((valid & FATTR_MODE) !== 0) change.mode = buffer.readUInt32LE(108);
    if ((valid & FATTR_UID) !== 0) change.uid = buffer.readUInt32LE(116);
    if ((valid & FATTR_GID) !== 0) change.gid = buffer.readUInt32LE(120);
    if ((valid & FATTR_SIZE) !== 0) change.sizeBytes = getU64(buffer, 56);
    if ((valid & FATTR_ATIME_NOW) !== 0) change.atime = 'now';
    else if ((valid & FATTR_ATIME) !== 0) change.atime = this.#time(72, 96);
    if ((valid & FATTR_MTIME_NOW) !== 0) change.mtime = 'now';
    else if ((valid & FATTR_MTIME) !== 0) change.mtime = this.#time(80, 100);
    if ((valid & FATTR_KILL_SUIDGID) !== 0) change.killSuidGid = true;
    return change;
  }

  #time(secondsAt: number, nanosecondsAt: number): { sec: number; nsec: number } {
    return { sec: getI64(this.buffer, secondsAt), nsec: this.buffer.readUInt32LE(nanosecondsAt) };
  }

  #tooShort(needed: number): DfsError {
    const { opcode, length } = this;
    const state = `it has ${length} bytes, at least ${needed} are needed`;
    return new DfsError('BAD_ARGUMENT', `Cannot take a request with opcode ${opcode}: ${state}`);
  }
}
