/**
 * Numbers of the kernel's FUSE protocol 7.x (linux/fuse.h). Byte positions of requests count from
 * the start of the request, so they include its 40-byte header; those of replies count from the end
 * of the reply's 16-byte header.
 */
export const PROTOCOL_MAJOR = 7;
/** What this driver knows of; the kernel takes the smaller of its own and ours. */
export const PROTOCOL_MINOR = 40;
/**
 * Linux 3.15. Node 20 itself needs a kernel that speaks at least 7.27, so nothing older is worth
 * code.
 */
export const PROTOCOL_MINOR_MIN = 23;

export const REQUEST_HEADER_BYTES = 40;
export const REPLY_HEADER_BYTES = 16;
/** Header and fixed part of WRITE, the longest fixed part there is. */
export const WRITE_HEADER_BYTES = 80;
/** Where READ and READDIR have the flags of open(2). */
export const READ_FLAGS_AT = 72;
export const O_NOATIME = 0o1000000;
export const O_DSYNC = 0o10000;
export const ATTR_BYTES = 88;
export const ENTRY_BYTES = 128;
export const DIRENT_BYTES = 24;
export const PAGE_BYTES = 4096;
export const MAX_PAGES = 256;
/** What kernels without FUSE_MAX_PAGES take at once. */
export const MAX_PAGES_OLD = 32;

/** Every opcode with the name that statistics and logs use. */
export const OPCODES = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  BMAP: 37,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SETUPMAPPING: 48,
  REMOVEMAPPING: 49,
  SYNCFS: 50,
  TMPFILE: 51,
  STATX: 52,
  COPY_FILE_RANGE_64: 53,
} as const;

/** One above the highest opcode with a name. */
export const OPCODE_COUNT = 54;

/** INIT flags, bits 0 to 31. */
export const INIT_ASYNC_READ: number = 2 ** 0;
export const INIT_BIG_WRITES: number = 2 ** 5;
export const INIT_DO_READDIRPLUS: number = 2 ** 13;
export const INIT_READDIRPLUS_AUTO: number = 2 ** 14;
export const INIT_ASYNC_DIO: number = 2 ** 15;
export const INIT_DONT_MASK: number = 2 ** 6;
export const INIT_POSIX_ACL: number = 2 ** 20;
export const INIT_SETXATTR_EXT: number = 2 ** 29;
export const INIT_PARALLEL_DIROPS: number = 2 ** 18;
export const INIT_ABORT_ERROR: number = 2 ** 21;
export const INIT_MAX_PAGES: number = 2 ** 22;
export const INIT_CACHE_SYMLINKS: number = 2 ** 23;
export const INIT_NO_OPENDIR_SUPPORT: number = 2 ** 24;
export const INIT_EXPLICIT_INVAL_DATA: number = 2 ** 25;
export const INIT_HANDLE_KILLPRIV_V2: number = 2 ** 28;
export const INIT_EXT: number = 2 ** 30;
/** INIT flags, bits 32 to 63, shifted down into the second word. */
export const INIT2_DIRECT_IO_ALLOW_MMAP: number = 2 ** 4;
export const INIT2_PASSTHROUGH: number = 2 ** 5;
export const INIT2_HAS_RESEND: number = 2 ** 7;

/** SETATTR's mask of what to set. */
export const FATTR_MODE = 0x1;
export const FATTR_UID = 0x2;
export const FATTR_GID = 0x4;
export const FATTR_SIZE = 0x8;
export const FATTR_ATIME = 0x10;
export const FATTR_MTIME = 0x20;
export const FATTR_ATIME_NOW = 0x80;
export const FATTR_MTIME_NOW = 0x100;
export const FATTR_KILL_SUIDGID = 0x800;

export const FOPEN_DIRECT_IO = 0x1;
export const FOPEN_KEEP_CACHE = 0x2;
export const FOPEN_NOFLUSH = 0x20;
export const FOPEN_PASSTHROUGH = 0x80;
/** The kernel writes pages it has: of a mapping, by the handle of any open. */
export const WRITE_CACHE = 0x1;
export const WRITE_KILL_SUIDGID = 0x4;
/** With an access ACL from a caller who may not keep setgid. */
export const SETXATTR_ACL_KILL_SGID = 0x1;
export const FSYNC_DATA_ONLY = 0x1;

/**
 * fcommit, _IOR(0xDF, 1, __u64): waits until the open file, or all below the open folder, is
 * committed, and gives the newest epoch.
 */
export const IOC_COMMIT = 0x8008df01;

/** Set in the upper word of a request's unique when the kernel sends it again. */
export const UNIQUE_RESENT_HIGH = 0x8000_0000;

/** Codes of messages that we start; they stand in the error field, with unique 0. */
export const NOTIFY_INVAL_INODE = 2;
export const NOTIFY_INVAL_ENTRY = 3;
export const NOTIFY_DELETE = 6;
export const NOTIFY_RESEND = 7;
