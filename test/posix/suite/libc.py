"""System calls that the os module lacks, by ctypes; all raise OSError with the errno."""
import ctypes
import os
import struct

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, AT_SYMLINK_NOFOLLOW, AT_SYMLINK_FOLLOW, AT_EMPTY_PATH = -100, 0x100, 0x400, 0x1000
AT_EACCESS = 0x200
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
FALLOC_KEEP, FALLOC_PUNCH, FALLOC_COLLAPSE, FALLOC_ZERO, FALLOC_INSERT = 1, 2, 8, 16, 32
XATTR_CREATE, XATTR_REPLACE = 1, 2
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
FICLONE, FICLONERANGE = 0x40049409, 0x4020940D
O_TMPFILE = 0o20000000 | os.O_DIRECTORY
F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW = 36, 37, 38
STATX_BASIC, STATX_BTIME, STATX_ALL = 0x7FF, 0x800, 0xFFF
SYS_STATX, SYS_RENAMEAT2, SYS_GETDENTS64, SYS_FACCESSAT2, SYS_UTIMENSAT = 332, 316, 217, 439, 280
I64, VOID = ctypes.c_int64, ctypes.c_void_p
_MACHINES = {"aarch64": (291, 276, 61, 439, 88)}
if os.uname().machine in _MACHINES:
    numbers = _MACHINES[os.uname().machine]
    SYS_STATX, SYS_RENAMEAT2, SYS_GETDENTS64, SYS_FACCESSAT2, SYS_UTIMENSAT = numbers

LIBC.syscall.restype = ctypes.c_long
for name in ("copy_file_range", "telldir", "opendir", "mmap", "pread", "pwrite"):
    getattr(LIBC, name).restype = ctypes.c_int64
LIBC.opendir.restype = LIBC.readdir.restype = LIBC.mmap.restype = VOID


def path_bytes(path):
    return path if isinstance(path, bytes) else os.fsencode(path)


def checked(result, *what):
    """The result of a call of libc; what failed raises."""
    if result is None or result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), *what)
    return result


def syscall(number, *arguments):
    return checked(LIBC.syscall(ctypes.c_long(number), *arguments))


def renameat2(old, new, flags):
    old_path, new_path = path_bytes(old), path_bytes(new)
    syscall(SYS_RENAMEAT2, AT_FDCWD, old_path, AT_FDCWD, new_path, ctypes.c_uint(flags))


def fallocate(fd, mode, offset, length):
    checked(LIBC.fallocate(fd, mode, I64(offset), I64(length)))


def copy_file_range(source, offset_in, target, offset_out, length, flags=0):
    """Offsets are None for the descriptors' own."""
    places = [None if at is None else ctypes.byref(I64(at)) for at in (offset_in, offset_out)]
    size, flags = ctypes.c_size_t(length), ctypes.c_uint(flags)
    return checked(LIBC.copy_file_range(source, places[0], target, places[1], size, flags))


def utimensat(path, atime, mtime, flags=0, fd=AT_FDCWD):
    """Times are (seconds, nanoseconds); both None for a null pointer."""
    times = None if atime is None else struct.pack("4q", *atime, *mtime)
    syscall(SYS_UTIMENSAT, fd, None if path is None else path_bytes(path), times, flags)


def faccessat2(path, mode, flags):
    syscall(SYS_FACCESSAT2, AT_FDCWD, path_bytes(path), mode, flags)


class Statx:
    """What statx(2) says: mask, attributes and all fields with times in nanoseconds."""

    def __init__(self, path, flags=AT_SYMLINK_NOFOLLOW, mask=STATX_ALL, fd=AT_FDCWD):
        buffer = ctypes.create_string_buffer(256)
        where = b"" if path is None else path_bytes(path)
        flags |= AT_EMPTY_PATH if path is None else 0
        syscall(SYS_STATX, fd, where, flags, ctypes.c_uint(mask), buffer)
        head = struct.unpack_from("IIQIIIHxxQQQQ", buffer.raw)
        self.mask, self.blksize, self.attributes, self.nlink, self.uid, self.gid = head[:6]
        self.mode, self.ino, self.size, self.blocks = head[6:10]
        times = [struct.unpack_from("qI", buffer.raw, 64 + 16 * index) for index in range(4)]
        self.atime, self.btime, self.ctime, self.mtime = (s * 10**9 + n for s, n in times)
        self.rdev = struct.unpack_from("II", buffer.raw, 128)
        self.dev = struct.unpack_from("II", buffer.raw, 136)


class Dir:
    """opendir(3) and its family; names are bytes."""

    def __init__(self, path):
        self.dir = VOID(checked(LIBC.opendir(path_bytes(path)), path))

    def read(self):
        """The next name, or None at the end."""
        ctypes.set_errno(0)
        entry = LIBC.readdir(self.dir)
        if entry is None:
            if ctypes.get_errno() != 0:
                raise OSError(ctypes.get_errno(), "readdir")
            return None
        return ctypes.string_at(entry + 19)

    def rest(self):
        return list(iter(self.read, None))

    def tell(self):
        return LIBC.telldir(self.dir)

    def seek(self, place):
        LIBC.seekdir(self.dir, ctypes.c_long(place))

    def rewind(self):
        LIBC.rewinddir(self.dir)

    def close(self):
        LIBC.closedir(self.dir)


def getdents(fd, size):
    """Entries of an open folder by getdents64(2): [(ino, offset, type, name)]."""
    buffer = ctypes.create_string_buffer(size)
    length, found, at = syscall(SYS_GETDENTS64, fd, buffer, size), [], 0
    while at < length:
        ino, offset, bytes_, kind = struct.unpack_from("QqHB", buffer.raw, at)
        found.append((ino, offset, kind, ctypes.string_at(ctypes.addressof(buffer) + at + 19)))
        at += bytes_
    return found
