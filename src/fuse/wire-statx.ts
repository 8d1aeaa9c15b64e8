import type { Attr } from '../vfs/mod.ts';
import { PAGE_BYTES } from './protocol.ts';
import type { CacheSeconds } from './wire.ts';
import { putU64 } from './wire.ts';

const STATX_OUT_BYTES = 288;
/** Where struct fuse_statx starts in struct fuse_statx_out. */
const STAT_AT = 32;
/** STATX_BASIC_STATS and STATX_BTIME: the fields that are filled in. */
const STATX_FIELDS = 0xfff;

/**
 * Writes struct fuse_statx_out: the attributes with the time of birth, which GETATTR has no place
 * for. Returns its length.
 */
export function putStatx(into: Buffer, at: number, attr: Attr, cache: CacheSeconds): number {
  into.fill(0, at, at + STATX_OUT_BYTES);
  putU64(into, at, cache.attr);
  const stat = at + STAT_AT;
  into.writeUInt32LE(STATX_FIELDS, stat);
  into.writeUInt32LE(PAGE_BYTES, stat + 4);
  into.writeUInt32LE(attr.nlink, stat + 16);
  into.writeUInt32LE(attr.uid, stat + 20);
  into.writeUInt32LE(attr.gid, stat + 24);
  into.writeUInt16LE(attr.mode, stat + 28);
  putU64(into, stat + 32, attr.ino);
  putU64(into, stat + 40, attr.sizeBytes);
  putU64(into, stat + 48, attr.blocks);
  putTime(into, stat + 64, attr.atimeSec, attr.atimeNsec);
  putTime(into, stat + 80, attr.btimeSec, attr.btimeNsec);
  putTime(into, stat + 96, attr.ctimeSec, attr.ctimeNsec);
  putTime(into, stat + 112, attr.mtimeSec, attr.mtimeNsec);
  // The kernel's encoding of a device: minor 0-7, major 8-19, the rest of the minor above.
  into.writeUInt32LE((attr.rdev >>> 8) & 0xfff, stat + 128);
  into.writeUInt32LE((attr.rdev & 0xff) | ((attr.rdev >>> 12) & 0xf_ff00), stat + 132);
  return STATX_OUT_BYTES;
}

function putTime(into: Buffer, at: number, seconds: number, nanoseconds: number): void {
  putU64(into, at, seconds);
  into.writeUInt32LE(nanoseconds, at + 8);
}
