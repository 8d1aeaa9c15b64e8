"""Carries out operations on a mount, one line of JSON each, and says what came of them.

An inode is given by the path it has, or, where it has none, by its number: what is to stay open is
kept by number. The bytes of a write say whose they are, as tools/torture/stamps.ts has it.
"""

import ctypes
import json
import os
import struct
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
AT_SYMLINK_FOLLOW = 0x400
RENAME_EXCHANGE = 2
MODES = {"punch": 1 | 2, "zero": 16, "grow": 0}
MAGIC = 0x53544D50
kept = {}


def checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def stamped(file, number, offset, length):
    first, before = divmod(offset, 16)
    count = (before + length + 15) // 16
    stamps = b"".join(struct.pack("<4I", MAGIC, file, number, first + at) for at in range(count))
    return stamps[before : before + length]


class Opened:
    """A descriptor of an inode: one that is kept, or one for this operation."""

    def __init__(self, ino, flags=os.O_RDWR):
        self.mine = ino["id"] not in kept
        self.fd = os.open(ino["path"], flags) if self.mine else kept[ino["id"]]

    def __enter__(self):
        return self.fd

    def __exit__(self, *_):
        if self.mine:
            os.close(self.fd)


def place(ino):
    return kept[ino["id"]] if ino["id"] in kept else ino["path"]


def make(op):
    kind, path, mode = op["kind"], op.get("path"), op["mode"]
    if kind == "create":
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode))
    elif kind == "mkdir":
        os.mkdir(path, mode)
    elif kind == "fifo":
        os.mkfifo(path, mode)
    elif kind == "symlink":
        os.symlink(op["target"], path)
    else:
        kept[op["id"]] = os.open(op["folder"], os.O_TMPFILE | os.O_RDWR, mode)


def change_names(op):
    kind, path = op["kind"], op["path"]
    doomed = op.get("keep")
    if doomed is not None and doomed["id"] not in kept:
        kept[doomed["id"]] = os.open(doomed["path"], os.O_RDWR)
    if kind == "unlink":
        os.unlink(path)
    elif kind == "rmdir":
        os.rmdir(path)
    elif kind == "link":
        ino = op["ino"]
        source = f"/proc/self/fd/{kept[ino['id']]}" if ino["path"] is None else ino["path"]
        old, new = os.fsencode(source), os.fsencode(path)
        checked(LIBC.linkat(AT_FDCWD, old, AT_FDCWD, new, AT_SYMLINK_FOLLOW))
    else:
        flags = RENAME_EXCHANGE if op["exchange"] else 0
        old, new = os.fsencode(path), os.fsencode(op["newPath"])
        checked(LIBC.renameat2(AT_FDCWD, old, AT_FDCWD, new, flags))


def change_bytes(op):
    kind = op["kind"]
    with Opened(op["ino"]) as fd:
        if kind == "truncate":
            os.ftruncate(fd, op["sizeBytes"])
            return None
        offset, length = op["offset"], op["lengthBytes"]
        if kind == "write":
            data = stamped(op["id"], op["number"], offset, length)
            while data:
                count = os.pwrite(fd, data, offset)
                data, offset = data[count:], offset + count
            return None
        if kind != "clone":
            mode, at, size = MODES[kind], ctypes.c_long(offset), ctypes.c_long(length)
            checked(LIBC.fallocate(fd, mode, at, size))
            return None
        with Opened(op["from"], os.O_RDONLY) as source:
            done = 0
            while done < length:
                at = op["sourceOffset"] + done
                count = os.copy_file_range(source, fd, length - done, at, offset + done)
                if count == 0:
                    break
                done += count
            return done


def change_attributes(op):
    kind, where = op["kind"], place(op["ino"])
    if kind == "setxattr":
        os.setxattr(where, op["name"], bytes.fromhex(op["value"]))
    elif kind == "removexattr":
        os.removexattr(where, op["name"])
    elif kind == "chmod":
        os.chmod(where, op["mode"])
    elif kind == "chown":
        os.chown(where, op["uid"], op["gid"])
    else:
        mtime = op["sec"] * 10**9 + op["nsec"]
        os.utime(where, ns=(mtime, mtime))


def sync(op):
    flags = os.O_RDONLY if op["isFolder"] else os.O_RDWR
    with Opened(op["ino"], flags) as fd:
        if op["how"] == "flush":
            os.close(os.dup(fd))
        elif op["how"] == "fdatasync":
            os.fdatasync(fd)
        else:
            os.fsync(fd)


def times_of(ino):
    found = os.fstat(kept[ino["id"]]) if ino["id"] in kept else os.lstat(ino["path"])
    text = [f"{ns // 10**9}.{ns % 10**9:09d}" for ns in (found.st_mtime_ns, found.st_ctime_ns)]
    return [ino["id"], {"mtime": text[0], "ctime": text[1]}]


def carry_out(op):
    kind = op["kind"]
    if kind in ("create", "mkdir", "fifo", "symlink", "tmpfile"):
        return make(op)
    if kind in ("rename", "link", "unlink", "rmdir"):
        return change_names(op)
    if kind in ("write", "truncate", "punch", "zero", "grow", "clone"):
        return change_bytes(op)
    if kind == "close":
        return os.close(kept.pop(op["id"]))
    if kind == "sync":
        return sync(op)
    if kind in ("setxattr", "removexattr", "chmod", "chown", "utimes"):
        return change_attributes(op)
    return None


def main():
    os.umask(0)
    # Whoever stands in a mount is still there when it is gone, and not in the folder below.
    os.chdir(sys.argv[1])
    if not os.path.ismount("."):
        print(json.dumps({"failed": "there is no mount"}), flush=True)
        return
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        op = json.loads(line)
        try:
            copied = carry_out(op)
            times = [times_of(ino) for ino in op["touched"]]
            answer = {"times": times, **({} if copied is None else {"lengthBytes": copied})}
        except OSError as error:
            answer = {"failed": f"{op['kind']}: {error}"}
        print(json.dumps(answer), flush=True)


main()
