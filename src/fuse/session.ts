import { MIB } from '../base/limits.ts';
import {
  INIT_ABORT_ERROR,
  INIT_ASYNC_DIO,
  INIT_ASYNC_READ,
  INIT_BIG_WRITES,
  INIT_CACHE_SYMLINKS,
  INIT_DO_READDIRPLUS,
  INIT_DONT_MASK,
  INIT_EXPLICIT_INVAL_DATA,
  INIT_EXT,
  INIT_HANDLE_KILLPRIV_V2,
  INIT_MAX_PAGES,
  INIT_NO_OPENDIR_SUPPORT,
  INIT_PARALLEL_DIROPS,
  INIT_POSIX_ACL,
  INIT_READDIRPLUS_AUTO,
  INIT_SETXATTR_EXT,
  INIT2_DIRECT_IO_ALLOW_MMAP,
  INIT2_HAS_RESEND,
  INIT2_PASSTHROUGH,
  MAX_PAGES,
  MAX_PAGES_OLD,
  PAGE_BYTES,
  PROTOCOL_MAJOR,
  PROTOCOL_MINOR,
  PROTOCOL_MINOR_MIN,
} from './protocol.ts';

/**
 * What INIT agreed on. The kernel asks once a mount: a process that takes over must know it. Plain
 * JSON.
 */
export interface NegotiatedInit {
  minor: number;
  /** INIT flags 0 to 31 that both sides have. */
  flags: number;
  /** INIT flags 32 to 63, shifted down. */
  flags2: number;
  maxWriteBytes: number;
  maxReadaheadBytes: number;
  maxBackground: number;
}

/** What the kernel offers in INIT. */
export interface InitOffer {
  major: number;
  minor: number;
  flags: number;
  flags2: number;
}

/**
 * READDIRPLUS with AUTO: the kernel asks for attributes with the first block of a listing and, as
 * long as somebody looks up names in that folder, with the following ones. A bare listing of a
 * large folder so makes no inodes in the kernel beyond its first block, and `ls -l` still needs no
 * lookups. HANDLE_KILLPRIV_V2: without it every write asks for security.capability.
 * EXPLICIT_INVAL_DATA: cached pages go when we say so, not because an mtime differs.
 * POSIX_ACL: the kernel asks for ACLs to check permissions; DONT_MASK: a default ACL takes the place
 * of the umask, so the file system applies it. SETXATTR_EXT: setgid goes with some ACLs.
 * NO_OPENDIR_SUPPORT: see the OPENDIR handler.
 * Left out: WRITEBACK_CACHE (fsync and the cut could not see what the kernel holds), POSIX_LOCKS
 * and FLOCK_LOCKS (the kernel's own locks are right on one node), ATOMIC_O_TRUNC (the
 * kernel sends SETATTR).
 */
const WANTED: number =
  INIT_ASYNC_READ |
  INIT_BIG_WRITES |
  INIT_DO_READDIRPLUS |
  INIT_READDIRPLUS_AUTO |
  INIT_ASYNC_DIO |
  INIT_PARALLEL_DIROPS |
  INIT_ABORT_ERROR |
  INIT_MAX_PAGES |
  INIT_CACHE_SYMLINKS |
  INIT_NO_OPENDIR_SUPPORT |
  INIT_POSIX_ACL |
  INIT_DONT_MASK |
  INIT_SETXATTR_EXT |
  INIT_EXPLICIT_INVAL_DATA |
  INIT_HANDLE_KILLPRIV_V2 |
  INIT_EXT;
const WANTED2: number = INIT2_HAS_RESEND | INIT2_DIRECT_IO_ALLOW_MMAP | INIT2_PASSTHROUGH;
/** Files may be passed through from file systems that stand on no other one. */
const STACK_DEPTH = 1;
const MAX_BACKGROUND = 64;
const INIT_OUT_BYTES = 64;

/** Reads INIT's fixed part; the second word of flags exists only where the first says so. */
export function readInitOffer(request: Buffer, length: number): InitOffer {
  const flags = request.readUInt32LE(52);
  const extended = (flags & INIT_EXT) !== 0 && length >= 60;
  return {
    major: request.readUInt32LE(40),
    minor: request.readUInt32LE(44),
    flags,
    flags2: extended ? request.readUInt32LE(56) : 0,
  };
}

/**
 * What we answer to an offer with our major version; undefined when the kernel's protocol is too
 * old.
 */
export function negotiate(offer: InitOffer): NegotiatedInit | undefined {
  if (offer.minor < PROTOCOL_MINOR_MIN) return undefined;
  const flags = (offer.flags & WANTED) >>> 0;
  const pages = (flags & INIT_MAX_PAGES) === 0 ? MAX_PAGES_OLD : MAX_PAGES;
  return {
    minor: Math.min(offer.minor, PROTOCOL_MINOR),
    flags,
    flags2: (flags & INIT_EXT) === 0 ? 0 : (offer.flags2 & WANTED2) >>> 0,
    maxWriteBytes: pages * PAGE_BYTES,
    // The kernel keeps the smaller of this and its own; setReadahead() of mount-device.ts raises
    // its own.
    maxReadaheadBytes: MIB,
    maxBackground: MAX_BACKGROUND,
  };
}

/** Whether opens may be answered with FOPEN_PASSTHROUGH (Linux 6.9). */
export function canPassThrough(init: NegotiatedInit): boolean {
  return (init.flags2 & INIT2_PASSTHROUGH) !== 0;
}

/** Whether files opened past the kernel's pages can be mapped all the same (Linux 6.6). */
export function mapsUncached(init: NegotiatedInit): boolean {
  return (init.flags2 & INIT2_DIRECT_IO_ALLOW_MMAP) !== 0;
}

/** Writes struct fuse_init_out. Returns its length. */
export function putInitOut(into: Buffer, at: number, init: NegotiatedInit): number {
  into.fill(0, at, at + INIT_OUT_BYTES);
  into.writeUInt32LE(PROTOCOL_MAJOR, at);
  into.writeUInt32LE(init.minor, at + 4);
  into.writeUInt32LE(init.maxReadaheadBytes, at + 8);
  into.writeUInt32LE(init.flags, at + 12);
  into.writeUInt16LE(init.maxBackground, at + 16);
  // Above this many requests in the background the kernel calls the device congested.
  into.writeUInt16LE(Math.floor((init.maxBackground * 3) / 4), at + 18);
  into.writeUInt32LE(init.maxWriteBytes, at + 20);
  into.writeUInt32LE(1, at + 24); // nanoseconds a timestamp can tell apart
  into.writeUInt16LE(init.maxWriteBytes / PAGE_BYTES, at + 28);
  into.writeUInt32LE(init.flags2, at + 32);
  if (canPassThrough(init)) into.writeUInt32LE(STACK_DEPTH, at + 36);
  return INIT_OUT_BYTES;
}
