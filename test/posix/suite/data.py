"""Reading, writing, appending, O_DIRECT, truncation and syncing of file content."""
import errno
import mmap
import os
import random

from .harness import Process, case, opened, read_file, write_file
from .libc import LIBC, checked

RW, CREAT = os.O_RDWR, os.O_CREAT
LAST = 16 * 2**40 - 4096  # what ext4 with blocks of 4 KiB takes


@case
def reads_end_at_the_end(t):
    write_file("f", b"0123456789")
    fd = os.open("f", os.O_RDONLY)
    t.equal("more than there is", os.read(fd, 100), b"0123456789")
    t.equal("at the end", os.read(fd, 100), b"")
    t.equal("across it", os.pread(fd, 100, 7), b"789")
    t.equal("behind it", os.pread(fd, 100, 11), b"")
    t.equal("nothing", os.pread(fd, 0, 0), b"")
    t.fails(errno.EINVAL, os.pread, fd, 1, -1)


@case
def holes_read_as_zeros(t):
    fd = os.open("f", RW | CREAT)
    os.pwrite(fd, b"end", 100_000)
    t.equal("size", os.fstat(fd).st_size, 100_003)
    t.equal("content", read_file("f"), bytes(100_000) + b"end")
    os.pwrite(fd, b"mid", 5_000)
    t.equal("around", os.pread(fd, 9, 4_997), bytes(3) + b"mid" + bytes(3))


@case
def random_writes_leave_what_they_should(t):
    seed = int.from_bytes(os.urandom(4), "little")
    rng = random.Random(seed)
    fd, model = os.open("f", RW | CREAT), bytearray()
    for step in range(400):
        offset, length = rng.randrange(300_000), rng.choice((1, 7, 4095, 4096, 4097, 70_000))
        action = rng.random()
        if action < 0.6:
            data = rng.randbytes(length)
            t.equal("written", os.pwrite(fd, data, offset), length)
            if len(model) < offset:
                model.extend(bytes(offset - len(model)))
            model[offset:offset + length] = data
        elif action < 0.75:
            os.ftruncate(fd, offset)
            del model[offset:]
            model.extend(bytes(offset - len(model)))
        elif os.pread(fd, length, offset) != model[offset:offset + length]:
            t.expect(f"read {step} of seed {seed}", False, (offset, length))
    t.expect(f"whole file of seed {seed}", read_file("f") == model)
    t.equal("size", os.fstat(fd).st_size, len(model))


@case
def vectors_are_read_and_written(t):
    fd = os.open("f", RW | CREAT)
    pieces = [b"a" * 10, b"", b"b" * 5000, b"c"]
    t.equal("pwritev", os.pwritev(fd, pieces, 100), 5011)
    parts = [bytearray(105), bytearray(10), bytearray(9000)]
    t.equal("preadv", os.preadv(fd, parts, 0), 5111)
    t.equal("content", b"".join(parts)[:5111], bytes(100) + b"".join(pieces))
    t.equal("position", os.lseek(fd, 0, os.SEEK_CUR), 0)
    many = [b"%04d" % index for index in range(1024)]
    t.equal("1024 pieces", os.writev(fd, many), 4096)
    t.fails(errno.EINVAL, os.writev, fd, many + [b"x"])
    t.works(os.preadv, fd, [bytearray(8)], 0, os.RWF_HIPRI)
    other = os.open("g", RW | CREAT)
    t.equal("RWF_APPEND", os.pwritev(other, [b"one"], 0, os.RWF_APPEND), 3)
    os.pwritev(other, [b"two"], 0, os.RWF_APPEND)
    t.equal("appended", read_file("g"), b"onetwo")
    t.equal("RWF_DSYNC", os.pwritev(other, [b"1"], 0, os.RWF_DSYNC), 1)


@case
def appends_of_several_processes_stay_whole(t):
    write_file("log")
    record = 512

    def append(letter):
        fd = os.open("log", os.O_WRONLY | os.O_APPEND)
        for index in range(200):
            line = b"%c%06d" % (letter, index)
            assert os.write(fd, line.ljust(record - 1, b"%c" % letter) + b"\n") == record

    writers = [Process(lambda letter=letter: append(letter)) for letter in b"abcd"]
    for writer in writers:
        writer.result()
    lines = read_file("log").split(b"\n")[:-1]
    t.equal("lines", len(lines), 800)
    for letter in b"abcd":
        own = [line for line in lines if line[0] == letter]
        expected = [(b"%c%06d" % (letter, i)).ljust(record - 1, b"%c" % letter)
                    for i in range(200)]
        t.expect(f"lines of {chr(letter)} in order", own == expected)


@case
def what_one_writes_the_other_reads(t):
    write_file("f", bytes(100))
    writer, reader = os.open("f", RW), os.open("f", os.O_RDONLY)
    for index in range(300):
        data = b"%08d" % index
        os.pwrite(writer, data, index * 1000 % 90_000)
        t.equal("read", os.pread(reader, 8, index * 1000 % 90_000), data)

    def other():
        data = os.pread(os.open("f", os.O_RDONLY), 8, 29_000)
        os.pwrite(writer, b"from the child", 50)
        return data

    os.pwrite(writer, b"parents!", 29_000)
    t.equal("in another process", Process(other).result(), b"parents!")
    t.equal("and back", os.pread(reader, 14, 50), b"from the child")


@case
def truncation_up_and_down(t):
    write_file("f", b"x" * 10_000)
    fd = os.open("f", RW)
    os.ftruncate(fd, 5_000)
    t.equal("cut", read_file("f"), b"x" * 5_000)
    os.ftruncate(fd, 10_000)
    t.equal("grown", read_file("f"), b"x" * 5_000 + bytes(5_000))
    os.truncate("f", 1)
    os.pwrite(fd, b"y", 8_191)
    t.equal("zeros between", read_file("f"), b"x" + bytes(8_190) + b"y")
    os.truncate("f", 0)
    t.equal("empty", (os.stat("f").st_size, os.stat("f").st_blocks), (0, 0))
    t.fails(errno.EINVAL, os.truncate, "f", -1)
    t.fails(errno.EINVAL, os.ftruncate, fd, -1)
    t.fails((errno.EFBIG, errno.EINVAL), os.truncate, "f", 2**63 - 1)
    t.equal("size", os.stat("f").st_size, 0)


@case
def direct_io(t):
    fd = os.open("f", RW | CREAT | os.O_DIRECT)
    block = mmap.mmap(-1, 65536)
    block.write(bytes(range(256)) * 256)
    t.equal("written", os.pwritev(fd, [block], 0), 65536)
    into = mmap.mmap(-1, 65536)
    t.equal("read", os.preadv(fd, [into], 0), 65536)
    t.expect("the same", into[:] == block[:])
    t.expect("as through the page cache", read_file("f") == block[:])
    cached = os.open("f", RW)
    os.pwrite(cached, b"cached write", 4096)
    os.preadv(fd, [into], 0)
    t.equal("direct after cached", into[4096:4108], b"cached write")
    into[0:12] = b"direct write"
    os.pwritev(fd, [into], 0)
    t.equal("cached after direct", os.pread(cached, 12, 0), b"direct write")
    os.ftruncate(fd, 6000)
    t.equal("the end in a block", os.preadv(fd, [into], 4096), 1904)
    t.equal("behind the end", os.preadv(fd, [into], 8192), 0)


@case(lacks={"fuse": "takes any alignment: direct I/O goes to the daemon as it is"})
def direct_io_asks_for_alignment(t):
    write_file("f", bytes(8192))
    fd = os.open("f", RW | os.O_DIRECT)
    t.fails(errno.EINVAL, os.pread, fd, 100, 0)
    t.fails(errno.EINVAL, os.pwrite, fd, b"x" * 512, 100)


@case
def syncing_works_on_everything(t):
    write_file("f", b"data")
    fd, folder = os.open("f", RW), os.open(".", os.O_RDONLY)
    for call in (os.fsync, os.fdatasync):
        t.works(call, fd)
        t.works(call, folder)
        t.works(call, os.open("f", os.O_RDONLY))
    t.works(lambda: checked(LIBC.syncfs(fd)))
    t.works(lambda: checked(LIBC.sync_file_range(fd, 0, 0, 0, 0, 7)))
    for flag in (os.O_SYNC, os.O_DSYNC):
        synced = os.open("f", os.O_WRONLY | flag)
        t.equal("written", os.write(synced, b"synced"), 6)
    read_end, _ = os.pipe()
    t.fails(errno.EINVAL, os.fsync, read_end)
    for advice in (os.POSIX_FADV_DONTNEED, os.POSIX_FADV_WILLNEED, os.POSIX_FADV_RANDOM):
        t.works(os.posix_fadvise, fd, 0, 0, advice)


@case
def the_last_byte_of_the_largest_file(t):
    fd = os.open("f", RW | CREAT)
    t.equal("the last byte", os.pwrite(fd, b"x", LAST - 1), 1)
    t.equal("size", os.fstat(fd).st_size, LAST)
    t.equal("read", os.pread(fd, 10, LAST - 3), b"\0\0x")
    t.equal("holes", os.pread(fd, 10, 8 * 2**40), bytes(10))
    os.ftruncate(fd, 0)
    os.ftruncate(fd, LAST)
    t.equal("size again", os.fstat(fd).st_size, LAST)
    os.unlink("f")


@case(lacks={"tmpfs": "its largest file is 2^63 - 1", "xfs": "its largest file is 2^63 - 1",
             "btrfs": "its largest file is 2^63 - 1", "overlay": "as the file system below"})
def behind_the_largest_file_is_efbig(t):
    fd = os.open("f", RW | CREAT)
    os.ftruncate(fd, LAST - 10)
    t.fails(errno.EFBIG, os.pwrite, fd, b"x", LAST)
    t.fails(errno.EFBIG, os.pwrite, fd, b"x", 2**62)
    t.fails(errno.EFBIG, os.ftruncate, fd, LAST + 1)
    t.fails(errno.EFBIG, os.truncate, "f", 2**60)
    t.equal("what fits is written", os.pwrite(fd, b"x" * 100, LAST - 40), 40)
    t.equal("size", os.fstat(fd).st_size, LAST)
