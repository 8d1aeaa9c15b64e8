"""Large and odd ways of moving bytes: one call of many MiB, sendfile, splice, signals meanwhile."""
import ctypes
import errno
import mmap
import os
import random
import signal
import socket

from .harness import Process, case, read_file, write_file
from .libc import LIBC, checked, copy_file_range

RW, CREAT = os.O_RDWR, os.O_CREAT
MIB = 2**20


@case
def one_call_moves_many_mebibytes(t):
    data = random.Random(1).randbytes(24 * MIB + 123)
    fd = os.open("f", RW | CREAT)
    t.equal("written at once", os.pwrite(fd, data, 77), len(data))
    t.expect("read at once", os.pread(fd, len(data) + 1000, 77) == data)
    t.equal("zeros in front", os.pread(fd, 77, 0), bytes(77))
    direct = os.open("f", os.O_RDONLY | os.O_DIRECT)
    into = mmap.mmap(-1, 16 * MIB)
    t.equal("directly", os.preadv(direct, [into], 4096), 16 * MIB)
    t.expect("the same", into[:] == data[4096 - 77:][: 16 * MIB])


@case
def writing_nothing_changes_nothing(t):
    fd = os.open("f", RW | CREAT)
    t.equal("at the start", os.write(fd, b""), 0)
    t.equal("behind the end", os.pwrite(fd, b"", 5000), 0)
    t.equal("size", os.fstat(fd).st_size, 0)
    t.fails(errno.EFAULT, lambda: checked(LIBC.pwrite(fd, ctypes.c_void_p(8), 10, 0)))
    os.pwrite(fd, b"data", 0)
    t.fails(errno.EFAULT, lambda: checked(LIBC.pread(fd, ctypes.c_void_p(8), 10, 0)))
    t.equal("content", read_file("f"), b"data")


@case
def sendfile_sends(t):
    data = random.Random(2).randbytes(3 * MIB + 7)
    write_file("a", data)
    source, target = os.open("a", os.O_RDONLY), os.open("b", RW | CREAT)
    done = 0
    while done < len(data):
        step = os.sendfile(target, source, done, len(data))
        if step == 0:
            break
        done += step
    t.expect("to a file", read_file("b") == data)
    near, far = socket.socketpair()

    def send():
        sent = 0
        while sent < len(data):
            sent += os.sendfile(near.fileno(), source, sent, len(data) - sent)

    child = Process(send)
    near.close()
    received = bytearray()
    while part := far.recv(MIB):
        received += part
    child.result()
    t.expect("to a socket", received == data)


@case
def splice_goes_through_pipes(t):
    data = random.Random(3).randbytes(50_000)
    write_file("a", data)
    read_end, write_end = os.pipe()
    source, target = os.open("a", os.O_RDONLY), os.open("b", RW | CREAT)

    def splice(one, two, size):
        return checked(LIBC.splice(one, None, two, None, ctypes.c_size_t(size), 0))

    moved = 0
    while moved < len(data):
        size = splice(source, write_end, 30_000)
        while size > 0:
            step = splice(read_end, target, size)
            size, moved = size - step, moved + step
    t.expect("content", read_file("b") == data)
    t.fails(errno.EINVAL, splice, source, target, 10)


@case
def copies_between_file_systems_are_exdev(t):
    write_file("a", b"data")
    where = "/dev/shm" if os.stat("/dev/shm").st_dev != os.stat(".").st_dev else "/tmp"
    path = f"{where}/posix-suite-{os.getpid()}"
    target = os.open(path, RW | CREAT)
    os.unlink(path)
    source = os.open("a", RW)
    t.fails(errno.EXDEV, copy_file_range, source, 0, target, 0, 4)
    t.fails(errno.EXDEV, copy_file_range, target, 0, source, 0, 4)


@case
def signals_do_not_cut_reads_and_writes_short(t):
    """A file on a disk never answers EINTR, and never less than was asked for."""
    size = 4 * MIB
    buffer = ctypes.create_string_buffer(random.Random(4).randbytes(size), size)
    into = ctypes.create_string_buffer(size)
    fd = os.open("f", RW | CREAT)
    seen = []
    signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    short = []
    for _ in range(15):
        for call, memory in ((LIBC.pwrite, buffer), (LIBC.pread, into)):
            count = call(fd, memory, ctypes.c_size_t(size), ctypes.c_long(0))
            if count != size:
                short.append((count, ctypes.get_errno()))
        if LIBC.fsync(fd) != 0:
            short.append(("fsync", ctypes.get_errno()))
    signal.setitimer(signal.ITIMER_REAL, 0)
    t.equal("short counts", short, [])
    t.expect("signals came", len(seen) > 0)
    t.expect("content", into.raw == buffer.raw)


@case
def direct_appends_of_several_processes_stay_whole(t):
    write_file("log")

    def append(letter):
        fd = os.open("log", os.O_WRONLY | os.O_APPEND | os.O_DIRECT)
        block = mmap.mmap(-1, 4096)
        block.write(letter * 4096)
        for _ in range(50):
            assert os.writev(fd, [block]) == 4096

    for child in [Process(lambda letter=letter: append(letter)) for letter in (b"a", b"b", b"c")]:
        child.result()
    data = read_file("log")
    blocks = [data[at:at + 4096] for at in range(0, len(data), 4096)]
    t.equal("blocks", len(blocks), 150)
    t.equal("of one letter each", sum(len(set(block)) != 1 for block in blocks), 0)
    t.equal("of each", sorted(block[:1] for block in blocks).count(b"b"), 50)


@case(lacks={"fuse": "the kernel refuses RWF_NOWAIT for FUSE with EOPNOTSUPP, as it may"})
def reads_that_must_not_wait(t):
    write_file("f", b"data")
    fd, into = os.open("f", os.O_RDONLY), bytearray(4)
    os.pread(fd, 4, 0)
    t.equal("read", os.preadv(fd, [into], 0, os.RWF_NOWAIT), 4)
