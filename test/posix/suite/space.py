"""statfs(2), what df says, and the last byte of a small file system."""
import errno
import os
import random
import subprocess

from .harness import OTHER, case, make_folder, read_file, write_file
from .libc import Statx

MIB = 2**20
SMALL = 512 * MIB
PIECE = 256 * 1024


@case
def statfs_makes_sense(t):
    all_ = os.statvfs(".")
    t.expect("block size", all_.f_bsize >= 512 and all_.f_bsize & (all_.f_bsize - 1) == 0, all_)
    t.expect("blocks", 0 < all_.f_bavail <= all_.f_bfree <= all_.f_blocks, all_)
    t.expect("files", all_.f_favail <= all_.f_ffree <= all_.f_files or all_.f_files == 0, all_)
    t.equal("names", all_.f_namemax, 255)
    write_file("f")
    t.equal("from a file", os.statvfs("f").f_blocks, all_.f_blocks)
    fd = os.open("f", os.O_RDONLY)
    t.equal("from a descriptor", os.fstatvfs(fd).f_frsize, all_.f_frsize)
    t.equal("by any user", t.run(OTHER, os.statvfs, ".").f_blocks, all_.f_blocks)
    t.equal("pathconf", os.pathconf(".", "PC_NAME_MAX"), 255)


@case
def df_understands_it(t):
    shown = subprocess.run(["df", "-B1", "--output=size,used,avail,target", "."],
                           check=True, capture_output=True, text=True).stdout.splitlines()
    size, used, available = (int(word) for word in shown[1].split()[:3])
    t.expect("sums", used + available <= size * 1.001, shown)
    inodes = subprocess.run(["df", "-i", "."], capture_output=True, text=True)
    t.equal("df -i", inodes.returncode, 0)
    listed = subprocess.run(["stat", "-f", "-c", "%l", "."], capture_output=True, text=True)
    t.equal("stat -f", listed.stdout.strip(), "255")


@case
def du_and_stat_agree_with_what_is_stored(t):
    make_folder("d")
    write_file("d/f", os.urandom(4 * MIB))
    os.sync()
    shown = subprocess.run(["du", "-s", "-B1", "d"], capture_output=True, text=True).stdout
    used = int(shown.split()[0])
    t.expect("4 MiB", 4 * MIB <= used <= 5 * MIB, used)
    status = os.stat("d/f")
    t.expect("st_blksize", 512 <= status.st_blksize <= 4 * MIB, status.st_blksize)
    t.equal("statx", Statx("d/f").blocks, status.st_blocks)


def piece(index):
    """Bytes that no other piece shares: what is stored once only takes space once."""
    return random.Random(index).randbytes(PIECE)


@case(seconds=300)
def a_full_file_system_fails_the_write_that_does_not_fit(t):
    free = os.statvfs(".")
    if free.f_bavail * free.f_frsize > SMALL:
        return  # filling a large one takes too long: a small one is mounted for this
    fd, written, failure = os.open("f", os.O_RDWR | os.O_CREAT), 0, None
    while written < 2 * SMALL and failure is None:
        rest = piece(written // PIECE)[written % PIECE:]
        try:
            written += os.pwrite(fd, rest, written)
        except OSError as error:
            failure = error.errno
    t.equal("the write that does not fit", failure, errno.ENOSPC)
    t.expect("most of it was used", written > 0.8 * free.f_bavail * free.f_frsize, written)
    t.equal("size", os.fstat(fd).st_size, written)
    whole = written // PIECE
    wrong = [i for i in range(whole) if os.pread(fd, PIECE, i * PIECE) != piece(i)]
    t.equal("pieces that changed", wrong, [])
    if t.kind not in ("fuse", "btrfs"):  # what writes elsewhere needs space to overwrite, too
        t.works(os.pwrite, fd, b"overwritten", 0)
    now = os.statvfs(".")
    t.expect("statfs says so", now.f_bavail * now.f_frsize < free.f_bavail * free.f_frsize / 4)
    t.works(os.ftruncate, fd, 0)
    os.close(fd)
    os.unlink("f")
    t.works(write_file, "small", b"fits")
    t.equal("content", read_file("small"), b"fits")
