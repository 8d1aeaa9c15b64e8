/** Numbers of the Linux system call interface that Node's constants lack (asm-generic). */
export const POLLIN = 0x1;
export const POLLPRI = 0x2;
export const POLLERR = 0x8;

export const F_GETFL = 3;
export const F_SETFL = 4;
export const F_SETOWN = 8;
export const F_SETSIG = 10;
export const F_SETLEASE = 1024;
export const F_RDLCK = 0;
export const F_WRLCK = 1;
export const F_UNLCK = 2;
export const SIGURG = 23;
export const O_ACCMODE = 0o3;
export const O_NONBLOCK = 0o4000;
export const O_ASYNC = 0o20000;
export const O_TRUNC = 0o1000;
export const O_PATH = 0o10000000;

export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_REMOUNT = 32;
export const MS_NOATIME = 1024;
export const MNT_DETACH = 2;

export const FALLOC_FL_KEEP_SIZE = 1;
export const FALLOC_FL_PUNCH_HOLE = 2;

export const RWF_NOWAIT = 8;

export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;

export const LOCK_EX = 2;
export const LOCK_NB = 4;

export const POSIX_FADV_DONTNEED = 4;
