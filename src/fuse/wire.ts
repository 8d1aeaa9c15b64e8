import type { Attr, OpenResult, StatFs } from '../vfs/mod.ts';
import {
  ATTR_BYTES,
  DIRENT_BYTES,
  ENTRY_BYTES,
  FOPEN_DIRECT_IO,
  FOPEN_KEEP_CACHE,
  FOPEN_NOFLUSH,
  FOPEN_PASSTHROUGH,
  PAGE_BYTES,
} from './protocol.ts';

const TWO_32 = 0x1_0000_0000;

/** How long the kernel may trust what it was told, in seconds. */
export interface CacheSeconds {
  entry: number;
  attr: number;
  /** For names that do not exist; 0 keeps the kernel from remembering them. */
  negative: number;
}

/** An unsigned 64-bit integer as a number: exact below 2^53. */
export function getU64(from: Buffer, at: number): number {
  return from.readUInt32LE(at + 4) * TWO_32 + from.readUInt32LE(at);
}

/** A signed 64-bit integer as a number: exact from -2^53 to 2^53. */
export function getI64(from: Buffer, at: number): number {
  return from.readInt32LE(at + 4) * TWO_32 + from.readUInt32LE(at);
}

/** Writes a safe integer of either sign as 64 bits, two's complement. */
export function putU64(into: Buffer, at: number, value: number): void {
  const high = Math.floor(value / TWO_32);
  into.writeUInt32LE(value - high * TWO_32, at);
  into.writeInt32LE(high | 0, at + 4);
}

/** Writes struct fuse_attr: ATTR_BYTES. */
export function putAttr(into: Buffer, at: number, attr: Attr): void {
  putU64(into, at, attr.ino);
  putU64(into, at + 8, attr.sizeBytes);
  putU64(into, at + 16, attr.blocks);
  putU64(into, at + 24, attr.atimeSec);
  putU64(into, at + 32, attr.mtimeSec);
  putU64(into, at + 40, attr.ctimeSec);
  into.writeUInt32LE(attr.atimeNsec, at + 48);
  into.writeUInt32LE(attr.mtimeNsec, at + 52);
  into.writeUInt32LE(attr.ctimeNsec, at + 56);
  into.writeUInt32LE(attr.mode, at + 60);
  into.writeUInt32LE(attr.nlink, at + 64);
  into.writeUInt32LE(attr.uid, at + 68);
  into.writeUInt32LE(attr.gid, at + 72);
  into.writeUInt32LE(attr.rdev, at + 76);
  // The block size that stat(2) recommends for I/O.
  into.writeUInt32LE(PAGE_BYTES, at + 80);
  into.writeUInt32LE(0, at + 84);
}

/** Writes struct fuse_attr_out: 16 bytes and the attributes. Returns its length. */
export function putAttrOut(into: Buffer, at: number, attr: Attr, cache: CacheSeconds): number {
  putU64(into, at, cache.attr);
  putU64(into, at + 8, 0);
  putAttr(into, at + 16, attr);
  return 16 + ATTR_BYTES;
}

/**
 * Writes struct fuse_entry_out. The generation is 0: an inode number is never used twice. Returns
 * its length.
 */
export function putEntry(into: Buffer, at: number, attr: Attr, cache: CacheSeconds): number {
  putU64(into, at, attr.ino);
  putU64(into, at + 8, 0);
  putU64(into, at + 16, cache.entry);
  putU64(into, at + 24, cache.attr);
  putU64(into, at + 32, 0);
  putAttr(into, at + 40, attr);
  return ENTRY_BYTES;
}

/**
 * Writes a struct fuse_entry_out without an inode: the name does not exist, for `seconds`. Returns
 * its length.
 */
export function putNoEntry(into: Buffer, at: number, seconds: number): number {
  into.fill(0, at, at + ENTRY_BYTES);
  putU64(into, at + 16, seconds);
  return ENTRY_BYTES;
}

/** Writes struct fuse_open_out. Returns its length. */
export function putOpen(into: Buffer, at: number, open: OpenResult): number {
  const { handle = 0, backing } = open;
  putU64(into, at, handle);
  into.writeUInt32LE(openFlags(open), at + 8);
  into.writeInt32LE(backing?.id ?? 0, at + 12);
  return 16;
}

/** The kernel refuses to keep pages of a file beside another one that backs it. */
function openFlags({ keepCache, noFlush, backing, isUncached }: OpenResult): number {
  const flags = (noFlush ? FOPEN_NOFLUSH : 0) | (isUncached === true ? FOPEN_DIRECT_IO : 0);
  if (backing === undefined) return flags | (keepCache ? FOPEN_KEEP_CACHE : 0);
  return flags | FOPEN_PASSTHROUGH | (backing.isDirect ? FOPEN_DIRECT_IO : 0);
}

/** Writes struct fuse_kstatfs. Returns its length. */
export function putStatFs(into: Buffer, at: number, stat: StatFs): number {
  putU64(into, at, stat.blocks);
  putU64(into, at + 8, stat.blocksFree);
  putU64(into, at + 16, stat.blocksAvailable);
  putU64(into, at + 24, stat.files);
  putU64(into, at + 32, stat.filesFree);
  into.writeUInt32LE(stat.blockBytes, at + 40);
  into.writeUInt32LE(stat.nameBytesMax, at + 44);
  into.writeUInt32LE(stat.blockBytes, at + 48);
  into.fill(0, at + 52, at + 80);
  return 80;
}

/** Bytes of a struct fuse_dirent with its name and the padding behind it. */
export function direntBytes(nameBytes: number): number {
  return (DIRENT_BYTES + nameBytes + 7) & ~7;
}

export interface Dirent {
  ino: number;
  /** mode >> 12. */
  type: number;
  cookie: number;
  name: Buffer;
}

/** Writes a struct fuse_dirent, its name and zeros up to a multiple of 8. Returns its length. */
export function putDirent(into: Buffer, at: number, entry: Dirent): number {
  const { name } = entry;
  const bytes = direntBytes(name.length);
  putU64(into, at, entry.ino);
  putU64(into, at + 8, entry.cookie);
  into.writeUInt32LE(name.length, at + 16);
  into.writeUInt32LE(entry.type, at + 20);
  into.set(name, at + DIRENT_BYTES);
  into.fill(0, at + DIRENT_BYTES + name.length, at + bytes);
  return bytes;
}
