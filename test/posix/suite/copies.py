"""copy_file_range(2) and FICLONE."""
import errno
import fcntl
import os
import random
import struct
import subprocess

from .harness import OTHER, OWNER, case, make_folder, read_file, write_file
from .libc import FICLONE, FICLONERANGE, copy_file_range

RO, RW, CREAT = os.O_RDONLY, os.O_RDWR, os.O_CREAT
NO_CLONE = {kind: "has no shared extents (EOPNOTSUPP)" for kind in ("ext4", "tmpfs", "overlay")}
NO_CLONE["fuse"] = "the kernel passes no clone ioctl to FUSE; copy_file_range(2) clones"


def copied(source, target, offset_in, offset_out, length):
    """Copies until the end as callers must, and says how much."""
    done = 0
    while done < length:
        step = copy_file_range(source, offset_in + done, target, offset_out + done, length - done)
        if step == 0:
            break
        done += step
    return done


@case
def a_whole_file_is_copied(t):
    for size in (0, 1, 4096, 100_000, 9 * 2**20 + 17):
        data = random.Random(size).randbytes(size)
        write_file("a", data)
        source, target = os.open("a", RO), os.open("b", RW | CREAT | os.O_TRUNC)
        t.equal("copied", copied(source, target, 0, 0, size + 5), size)
        t.expect(f"content of {size}", read_file("b") == data)
        os.pwrite(target, b"changed", 0)
        t.expect("the source stays", read_file("a") == data)
        os.pwrite(os.open("a", RW), b"other", size // 2)
        t.expect("the copy stays", read_file("b")[7:] == data[7:])


@case
def ranges_of_any_alignment_are_copied(t):
    seed = int.from_bytes(os.urandom(4), "little")
    rng = random.Random(seed)
    data, model = rng.randbytes(300_000), bytearray(rng.randbytes(200_000))
    write_file("a", data)
    write_file("b", bytes(model))
    source, target = os.open("a", RO), os.open("b", RW)
    for _ in range(100):
        length = rng.choice((1, 100, 4096, 8192, 30_000))
        start, at = rng.randrange(270_000), rng.randrange(250_000)
        if rng.random() < 0.5:
            start, at = start & ~4095, at & ~4095
        t.equal("copied", copied(source, target, start, at, length), length)
        model.extend(bytes(max(0, at - len(model))))
        model[at:at + length] = data[start:start + length]
        if rng.random() < 0.2:
            os.ftruncate(target, len(model) - 10)
            del model[-10:]
    t.expect(f"content of seed {seed}", read_file("b") == model)


@case
def positions_move_when_no_offsets_are_given(t):
    write_file("a", b"0123456789")
    source, target = os.open("a", RO), os.open("b", RW | CREAT)
    os.lseek(source, 2, os.SEEK_SET)
    t.equal("copied", copy_file_range(source, None, target, None, 5), 5)
    ends = os.lseek(source, 0, os.SEEK_CUR), os.lseek(target, 0, os.SEEK_CUR)
    t.equal("positions", ends, (7, 5))
    t.equal("one offset", copy_file_range(source, 0, target, None, 2), 2)
    t.equal("the source's position", os.lseek(source, 0, os.SEEK_CUR), 7)
    t.equal("content", read_file("b"), b"2345601")


@case
def copies_stop_at_the_end(t):
    write_file("a", b"0123456789")
    source, target = os.open("a", RO), os.open("b", RW | CREAT)
    t.equal("across the end", copy_file_range(source, 7, target, 0, 100), 3)
    t.equal("at the end", copy_file_range(source, 10, target, 50, 100), 0)
    t.equal("behind the end", copy_file_range(source, 1000, target, 50, 100), 0)
    t.equal("nothing", copy_file_range(source, 0, target, 50, 0), 0)
    t.equal("size", os.fstat(target).st_size, 3)
    t.equal("behind the target's end", copy_file_range(source, 0, target, 100, 4), 4)
    t.equal("content", read_file("b"), b"789" + bytes(97) + b"0123")


@case
def a_file_is_copied_onto_itself(t):
    write_file("a", b"0123456789" * 1000)
    fd = os.open("a", RW)
    t.fails(errno.EINVAL, copy_file_range, fd, 0, fd, 5000, 6000)
    t.fails(errno.EINVAL, copy_file_range, fd, 4000, fd, 0, 5000)
    t.fails(errno.EINVAL, copy_file_range, fd, 0, fd, 0, 100)
    t.equal("side by side", copied(fd, fd, 0, 5000, 5000), 5000)
    t.equal("behind the end", copied(fd, fd, 0, 10_000, 100), 100)
    t.equal("content", read_file("a"), b"0123456789" * 1010)


@case
def what_cannot_be_copied(t):
    write_file("a", b"data")
    write_file("b", b"data")
    make_folder("d")
    source, target = os.open("a", RO), os.open("b", RW)
    t.fails(errno.EBADF, copy_file_range, target, 0, source, 0, 4)
    t.fails(errno.EBADF, copy_file_range, os.open("a", os.O_WRONLY), 0, target, 0, 4)
    t.fails(errno.EBADF, copy_file_range, source, 0, os.open("b", RW | os.O_APPEND), 0, 4)
    t.fails(errno.EISDIR, copy_file_range, os.open("d", RO), 0, target, 0, 4)
    t.fails(errno.EINVAL, copy_file_range, source, 0, target, 0, 4, 1)
    t.fails(errno.EINVAL, copy_file_range, source, 0, os.pipe()[1], None, 4)
    t.fails((errno.EFBIG, errno.EOVERFLOW), copy_file_range, source, 0, target, 2**63 - 2, 4)
    t.equal("unharmed", read_file("b"), b"data")


@case
def holes_are_copied_as_zeros(t):
    fd = os.open("a", RW | CREAT)
    os.pwrite(fd, b"begin", 0)
    os.pwrite(fd, b"end", 5_000_000)
    target = os.open("b", RW | CREAT)
    os.write(target, b"z" * 6_000_000)
    t.equal("copied", copied(fd, target, 0, 0, 5_000_003), 5_000_003)
    expected = b"begin" + bytes(4_999_995) + b"end" + b"z" * 999_997
    t.expect("content", read_file("b") == expected)


@case
def copies_see_what_was_just_written(t):
    fd, target = os.open("a", RW | CREAT), os.open("b", RW | CREAT)
    for index in range(50):
        os.pwrite(fd, b"%06d" % index * 1000, 0)
        copied(fd, target, 0, 0, 6000)
        t.expect(f"turn {index}", os.pread(target, 6000, 0) == b"%06d" % index * 1000)
    os.unlink("a")
    os.pwrite(fd, b"gone", 0)
    t.equal("an unlinked source", copied(fd, target, 0, 0, 4), 4)
    t.equal("content", os.pread(target, 4, 0), b"gone")


@case
def cp_makes_the_same_file(t):
    data = random.Random(5).randbytes(3 * 2**20 + 5)
    write_file("a", data, 0o640, OWNER)
    os.setxattr("a", "user.note", b"kept")
    os.utime("a", ns=(10**18 + 1, 10**18 + 2))
    subprocess.run(["cp", "-a", "a", "b"], check=True)
    subprocess.run(["cp", "--reflink=auto", "--sparse=never", "a", "c"], check=True)
    t.expect("content", read_file("b") == data and read_file("c") == data)
    one, two = os.stat("a"), os.stat("b")
    kept = [(s.st_mode, s.st_uid, s.st_gid, s.st_mtime_ns) for s in (one, two)]
    t.equal("attributes", kept[1], kept[0])
    t.equal("xattr", os.getxattr("b", "user.note"), b"kept")


@case(lacks=NO_CLONE)
def clones_share_until_written(t):
    data = random.Random(6).randbytes(2**20)
    write_file("a", data)
    source, target = os.open("a", RO), os.open("b", RW | CREAT)
    fcntl.ioctl(target, FICLONE, source)
    t.expect("content", read_file("b") == data)
    part = struct.pack("qQQQ", source, 4096, 8192, 0)
    t.works(fcntl.ioctl, target, FICLONERANGE, part)
    t.expect("a range", read_file("b")[:8192] == data[4096:12288])
    t.fails(errno.EBADF, fcntl.ioctl, os.open("b", RO), FICLONE, source)


@case
def rights_of_descriptors_are_enough(t):
    write_file("a", b"data", 0o600, OWNER)
    write_file("b", b"", 0o600, OWNER)
    source, target = os.open("a", RO), os.open("b", RW)
    t.equal("by other", t.works(copied, source, target, 0, 0, 4, by=OTHER), 4)
    t.equal("content", read_file("b"), b"data")
