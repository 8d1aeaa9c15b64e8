"""Sparse files: where data is and where holes are, and fallocate(2) in all its modes."""
import errno
import os
import random

from .harness import OTHER, case, make_folder, read_file, write_file
from .libc import FALLOC_COLLAPSE, FALLOC_INSERT, FALLOC_KEEP, FALLOC_PUNCH, FALLOC_ZERO, fallocate

RW, CREAT = os.O_RDWR, os.O_CREAT
MIB = 2**20
BLOCK = 4096
LAST = 16 * 2**40 - BLOCK
PUNCH = FALLOC_PUNCH | FALLOC_KEEP
NO_FALLOCATE = {"btrfs": "zero range of odd blocks differs", "overlay": "as the one below"}


def islands(fd):
    """[(start, end)] of the data in a file, by lseek(2)."""
    found, at = [], 0
    while True:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return found
            raise
        at = os.lseek(fd, start, os.SEEK_HOLE)
        found.append((start, at))


def blocks(fd):
    return os.fstat(fd).st_blocks * 512


def covers(found, start, end):
    return any(first <= start and end <= last for first, last in found)


@case
def islands_are_found_exactly(t):
    fd = os.open("f", RW | CREAT)
    wanted = [(0, MIB), (5 * MIB, 6 * MIB), (2**32, 2**32 + MIB), (2**40, 2**40 + MIB)]
    for start, end in wanted:
        os.pwrite(fd, b"x" * (end - start), start)
    t.equal("data", islands(fd), wanted)
    os.fsync(fd)
    t.equal("data when synced", islands(fd), wanted)
    used = blocks(fd)
    t.expect("space for the data alone", 4 * MIB <= used <= 5 * MIB, used)
    t.equal("from within data", os.lseek(fd, 5 * MIB + 77, os.SEEK_DATA), 5 * MIB + 77)
    t.equal("from within a hole", os.lseek(fd, 2 * MIB + 77, os.SEEK_HOLE), 2 * MIB + 77)
    t.equal("to the next hole", os.lseek(fd, 77, os.SEEK_HOLE), MIB)
    os.ftruncate(fd, 2**41)
    t.equal("with a hole at the end", islands(fd), wanted)
    t.equal("the hole at the end", os.lseek(fd, 2**40 + 5, os.SEEK_HOLE), 2**40 + MIB)
    t.equal("size", os.fstat(fd).st_size, 2**41)


@case
def seeking_at_the_ends(t):
    fd = os.open("f", RW | CREAT)
    t.fails(errno.ENXIO, os.lseek, fd, 0, os.SEEK_DATA)
    t.fails(errno.ENXIO, os.lseek, fd, 0, os.SEEK_HOLE)
    os.write(fd, b"0123456789")
    t.equal("data at 0", os.lseek(fd, 0, os.SEEK_DATA), 0)
    t.equal("data at 9", os.lseek(fd, 9, os.SEEK_DATA), 9)
    t.equal("the hole behind the end", os.lseek(fd, 3, os.SEEK_HOLE), 10)
    for whence in (os.SEEK_DATA, os.SEEK_HOLE):
        t.fails(errno.ENXIO, os.lseek, fd, 10, whence)
        t.fails(errno.ENXIO, os.lseek, fd, 2**40, whence)
        t.fails((errno.ENXIO, errno.EINVAL), os.lseek, fd, -1, whence)
    os.ftruncate(fd, MIB)
    t.fails(errno.ENXIO, os.lseek, fd, MIB // 2, os.SEEK_DATA)
    t.equal("a hole to the end", os.lseek(fd, MIB // 2, os.SEEK_HOLE), MIB // 2)


@case
def a_file_of_holes_takes_no_space(t):
    fd = os.open("f", RW | CREAT)
    os.ftruncate(fd, 2**40)
    t.equal("data", islands(fd), [])
    t.expect("space", blocks(fd) <= 64 * 1024, blocks(fd))
    os.pwrite(fd, b"x", 2**39)
    found = islands(fd)
    t.equal("islands", len(found), 1)
    t.expect("around the byte", covers(found, 2**39, 2**39 + 1), found)
    t.expect("small", found[0][1] - found[0][0] <= 64 * 1024, found)
    t.expect("space then", 0 < blocks(fd) <= 128 * 1024, blocks(fd))


@case
def space_grows_and_goes_with_data(t):
    fd = os.open("f", RW | CREAT)
    os.write(fd, b"x" * (8 * MIB))
    os.fsync(fd)
    t.expect("8 MiB", 8 * MIB <= blocks(fd) <= 9 * MIB, blocks(fd))
    os.ftruncate(fd, MIB)
    os.fsync(fd)
    t.expect("1 MiB left", MIB <= blocks(fd) <= 1.2 * MIB, blocks(fd))
    os.ftruncate(fd, 8 * MIB)
    t.expect("the rest is a hole", blocks(fd) <= 1.2 * MIB, blocks(fd))
    t.equal("data", islands(fd), [(0, MIB)])
    t.equal("read", os.pread(fd, 10, MIB - 5), b"x" * 5 + bytes(5))


@case(lacks=NO_FALLOCATE | {"fuse": "reserves nothing: docs/posix.md says why"})
def fallocate_takes_space(t):
    fd = os.open("f", RW | CREAT)
    os.write(fd, b"data")
    fallocate(fd, 0, 0, 2 * MIB)
    t.expect("space", blocks(fd) >= 2 * MIB, blocks(fd))
    fallocate(fd, FALLOC_KEEP, 4 * MIB, MIB)
    t.expect("space behind the end", blocks(fd) >= 3 * MIB, blocks(fd))


@case(lacks=NO_FALLOCATE)
def fallocate_grows(t):
    fd = os.open("f", RW | CREAT)
    os.write(fd, b"data")
    fallocate(fd, 0, 0, 2 * MIB)
    t.equal("size", os.fstat(fd).st_size, 2 * MIB)
    t.expect("content", read_file("f") == b"data" + bytes(2 * MIB - 4))
    fallocate(fd, 0, MIB, 10)
    t.equal("size stays", os.fstat(fd).st_size, 2 * MIB)
    fallocate(fd, FALLOC_KEEP, 4 * MIB, MIB)
    t.equal("keep size", os.fstat(fd).st_size, 2 * MIB)
    t.works(os.posix_fallocate, fd, 3 * MIB, 100)
    t.equal("posix_fallocate", os.fstat(fd).st_size, 3 * MIB + 100)


@case(lacks=NO_FALLOCATE)
def punched_holes_are_zeros_without_space(t):
    fd = os.open("f", RW | CREAT)
    os.write(fd, b"x" * (4 * MIB))
    os.fsync(fd)
    fallocate(fd, PUNCH, MIB, 2 * MIB)
    t.equal("data", islands(fd), [(0, MIB), (3 * MIB, 4 * MIB)])
    t.expect("space", blocks(fd) <= 2.2 * MIB, blocks(fd))
    expected = b"x" * MIB + bytes(2 * MIB) + b"x" * MIB
    t.expect("content", read_file("f") == expected)
    fallocate(fd, PUNCH, 100, 10)
    t.equal("within a block", os.pread(fd, 14, 98), b"xx" + bytes(10) + b"xx")
    fallocate(fd, PUNCH, 5000, 10_000)
    around = os.pread(fd, 10_002, 4999)
    t.expect("across blocks", around == b"x" + bytes(10_000) + b"x")
    fallocate(fd, PUNCH, 4 * MIB - 10, MIB)
    t.equal("across the end", os.pread(fd, 20, 4 * MIB - 12), b"xx" + bytes(10))
    t.equal("size", os.fstat(fd).st_size, 4 * MIB)
    fallocate(fd, PUNCH, 10 * MIB, MIB)
    t.equal("size still", os.fstat(fd).st_size, 4 * MIB)
    fallocate(fd, PUNCH, 0, 4 * MIB)
    t.equal("nothing left", islands(fd), [])


@case(lacks=NO_FALLOCATE)
def zeroed_ranges(t):
    if "tmpfs" in t.kind:
        return
    fd = os.open("f", RW | CREAT)
    os.write(fd, b"x" * MIB)
    fallocate(fd, FALLOC_ZERO, 1000, 10_000)
    t.expect("content", os.pread(fd, 10_002, 999) == b"x" + bytes(10_000) + b"x")
    t.equal("size", os.fstat(fd).st_size, MIB)
    fallocate(fd, FALLOC_ZERO, MIB - 10, 20)
    t.equal("grown", os.fstat(fd).st_size, MIB + 10)
    t.equal("the end", os.pread(fd, 100, MIB - 12), b"xx" + bytes(20))
    fallocate(fd, FALLOC_ZERO | FALLOC_KEEP, MIB, MIB)
    t.equal("keep size", os.fstat(fd).st_size, MIB + 10)
    os.ftruncate(fd, 2 * MIB)
    t.expect("zeros behind", os.pread(fd, MIB, MIB) == bytes(MIB))


@case(lacks=NO_FALLOCATE)
def fallocate_refuses_what_makes_no_sense(t):
    fd = os.open("f", RW | CREAT)
    os.write(fd, b"data")
    t.fails(errno.EINVAL, fallocate, fd, 0, 0, 0)
    t.fails(errno.EINVAL, fallocate, fd, 0, 0, -1)
    t.fails(errno.EINVAL, fallocate, fd, 0, -1, 10)
    t.fails(errno.EOPNOTSUPP, fallocate, fd, FALLOC_PUNCH, 0, 10)
    t.fails((errno.EOPNOTSUPP, errno.EINVAL), fallocate, fd, PUNCH | FALLOC_ZERO, 0, 10)
    t.fails(errno.EOPNOTSUPP, fallocate, fd, 1 << 20, 0, 10)
    t.fails((errno.EOPNOTSUPP, errno.EINVAL), fallocate, fd, FALLOC_COLLAPSE, 0, 100)
    t.fails((errno.EOPNOTSUPP, errno.EINVAL), fallocate, fd, FALLOC_INSERT, 0, 100)
    t.fails(errno.EFBIG, fallocate, fd, 0, 2**62, 2**62)
    t.fails(errno.EBADF, fallocate, os.open("f", os.O_RDONLY), 0, 0, 10)
    make_folder("d")
    t.fails((errno.EBADF, errno.EISDIR), fallocate, os.open("d", os.O_RDONLY), 0, 0, 10)
    read_end, write_end = os.pipe()
    t.fails(errno.ESPIPE, fallocate, write_end, 0, 0, 10)
    t.equal("unharmed", read_file("f"), b"data")


@case(lacks=NO_FALLOCATE)
def random_holes_leave_what_they_should(t):
    seed = int.from_bytes(os.urandom(4), "little")
    rng, size = random.Random(seed), 400_000
    fd, model = os.open("f", RW | CREAT), bytearray(size)
    os.ftruncate(fd, size)
    modes = [PUNCH] if "tmpfs" in t.kind else [PUNCH, FALLOC_ZERO | FALLOC_KEEP, FALLOC_KEEP]
    for step in range(300):
        offset = rng.randrange(size)
        length = min(rng.choice((1, 4095, 4096, 12_288, 50_000)), size - offset)
        if rng.random() < 0.5:
            data = rng.randbytes(length)
            os.pwrite(fd, data, offset)
            model[offset:offset + length] = data
        else:
            mode = rng.choice(modes)
            fallocate(fd, mode, offset, length)
            if mode != FALLOC_KEEP:
                model[offset:offset + length] = bytes(length)
        if step % 10 == 0:
            t.expect(f"content at {step} of seed {seed}", os.pread(fd, size, 0) == model)
    found = islands(fd)
    outside = bytearray(model)
    for start, end in found:
        outside[start:end] = bytes(min(end, size) - start)
    t.expect(f"holes are zeros, seed {seed}", not any(outside))


@case
def a_hole_needs_no_rights_but_writing(t):
    write_file("f", b"x" * 8192, 0o644)

    def punch():
        fallocate(os.open("f", os.O_RDONLY), PUNCH, 0, 4096)

    t.fails(errno.EBADF, punch, by=OTHER)
    t.equal("content", read_file("f"), b"x" * 8192)


@case
def data_at_both_ends_of_the_largest_file(t):
    fd = os.open("f", RW | CREAT)
    os.pwrite(fd, b"x" * BLOCK, 0)
    os.pwrite(fd, b"y" * BLOCK, LAST - BLOCK)
    t.equal("data", islands(fd), [(0, BLOCK), (LAST - BLOCK, LAST)])
    t.expect("space", 2 * BLOCK <= blocks(fd) <= 256 * 1024, blocks(fd))
    os.ftruncate(fd, LAST - BLOCK)
    t.equal("cut", islands(fd), [(0, BLOCK)])
