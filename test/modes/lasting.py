"""Does one thing that must last to a file, and says what the receipt of it is right afterwards.

lasting.py HOW PATH: prints a line, the receipt (user.dfs.commit) of what was made at PATH.
lasting.py threads FOLDER THREADS TIMES: each thread writes and syncs a file of its own so often.
"""

import fcntl
import mmap
import os
import struct
import sys
import threading

IOC_COMMIT = 0x8008DF01  # _IOR(0xDF, 1, __u64)
BLOCK = 4096


def opened(path, flags=0):
    return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o644)


def fsync(path):
    file = opened(path)
    os.write(file, b"fsync")
    os.fsync(file)


def fdatasync(path):
    file = opened(path)
    os.write(file, b"fdatasync")
    os.fdatasync(file)


def o_sync(path):
    os.write(opened(path, os.O_SYNC), b"o_sync")


def o_dsync(path):
    os.write(opened(path, os.O_DSYNC), b"o_dsync")


def direct(path):
    block = mmap.mmap(-1, BLOCK)
    block.write(b"direct")
    os.write(opened(path, os.O_DSYNC | os.O_DIRECT), block)


def rwf_dsync(path):
    os.pwritev(opened(path), [b"rwf_dsync"], 0, os.RWF_DSYNC)


def msync(path):
    file = opened(path)
    os.truncate(file, 5)
    pages = mmap.mmap(file, 5)
    pages[:] = b"msync"
    pages.flush()


def mapped(path):
    """Changes a mapping, says so, and neither syncs nor ends before it is told to."""
    file = opened(path)
    os.truncate(file, 6)
    pages = mmap.mmap(file, 6)
    pages[:] = b"mapped"
    print("mapped", flush=True)
    sys.stdin.read()


def close(path):
    file = opened(path)
    os.write(file, b"close")
    os.close(file)


def folder(path):
    os.mkdir(path)
    os.fsync(os.open(os.path.dirname(path), os.O_RDONLY))


def rename(path):
    file = opened(path + ".new")
    os.write(file, b"rename")
    os.rename(path + ".new", path)
    os.fsync(os.open(os.path.dirname(path), os.O_RDONLY))


def ioctl(path):
    file = opened(path)
    os.write(file, b"ioctl")
    os.fsync(file)
    answer = fcntl.ioctl(file, IOC_COMMIT, bytes(8))
    (epoch,) = struct.unpack("<Q", answer)
    assert os.getxattr(path, "user.dfs.commit") == b"committed@%d" % epoch, epoch


def ioctl_folder(path):
    os.mkdir(path)
    fcntl.ioctl(os.open(path, os.O_RDONLY), IOC_COMMIT, bytes(8))


def xattr(path):
    os.write(opened(path), b"xattr")
    os.setxattr(path, "user.dfs.commit", b"")


def nothing(path):
    file = opened(path)
    os.write(file, b"nothing")
    os.close(file)


def threads(path, count, times):
    def run(index):
        file = opened(os.path.join(path, str(index)))
        for number in range(times):
            os.pwrite(file, b"%8d" % number, 0)
            os.fsync(file)

    running = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def main():
    how, path, *numbers = sys.argv[1:]
    globals()[how](path, *map(int, numbers))
    print(os.getxattr(path, "user.dfs.commit").decode())


main()
