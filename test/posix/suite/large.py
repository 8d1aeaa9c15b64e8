"""Files of some MiB that are open for reading: the kernel may read them by itself.

A file system that hands large files to the kernel (as FUSE passthrough does) must take them back
unseen when somebody writes, maps, cuts or punches them.
"""
import errno
import mmap
import os
import random
import shutil
import signal
import stat

from .harness import OTHER, OWNER, Process, case, mode_of, opened, read_file, write_file
from .libc import FALLOC_KEEP, FALLOC_PUNCH, copy_file_range, fallocate
from .mapping import mapped, signal_of
from .sparse import islands

RO, RW, CREAT = os.O_RDONLY, os.O_RDWR, os.O_CREAT
MIB, PAGE = 2**20, 4096
SIZE = 3 * MIB + 100
READ = mmap.PROT_READ


def old_file(name="f", size=SIZE):
    """A file as it lies about: its bytes, and a descriptor that has read it."""
    data = random.Random(size).randbytes(size)
    write_file(name, data)
    fd = os.open(name, RO)
    os.fsync(fd)
    os.close(fd)
    fd = os.open(name, RO)
    assert os.pread(fd, size, 0) == data
    return fd, bytearray(data)


@case
def readers_see_what_writers_do(t):
    reader, model = old_file()
    writer = os.open("f", RW)
    for offset in (0, PAGE - 3, MIB, SIZE - 5, SIZE + 50_000):
        os.pwrite(writer, b"changed", offset)
        t.equal(f"at {offset}", os.pread(reader, 7, offset), b"changed")
        t.equal("size", os.fstat(reader).st_size, max(SIZE, os.fstat(writer).st_size))
    os.ftruncate(writer, MIB + 7)
    t.equal("cut", (os.fstat(reader).st_size, os.pread(reader, 100, MIB + 7)), (MIB + 7, b""))
    os.ftruncate(writer, 2 * MIB)
    t.expect("grown", os.pread(reader, MIB, MIB + 7) == bytes(MIB - 7))
    third = os.open("f", RO)
    os.close(writer)
    t.equal("after its end", os.pread(third, 7, 0), b"changed")
    t.expect("the rest", read_file("f")[PAGE + 4:MIB] == model[PAGE + 4:MIB])


@case
def mappings_of_readers_see_it_too(t):
    reader, model = old_file()
    view = mmap.mmap(reader, SIZE, mmap.MAP_SHARED, READ)
    private = mmap.mmap(reader, SIZE, mmap.MAP_PRIVATE, READ)
    os.close(reader)
    t.expect("mapped", view[:] == model and private[MIB:] == model[MIB:])
    writer = os.open("f", RW)
    os.pwrite(writer, b"one", MIB)
    t.equal("write", (view[MIB:MIB + 3], private[MIB:MIB + 3]), (b"one", b"one"))
    with mapped("f", SIZE) as other:
        other[5:8] = b"two"
    t.equal("another mapping", view[5:8], b"two")
    t.equal("read(2)", os.pread(writer, 3, 5), b"two")
    fallocate(writer, FALLOC_PUNCH | FALLOC_KEEP, 2 * MIB, 10_000)
    t.expect("a hole", view[2 * MIB:2 * MIB + 10_000] == bytes(10_000))
    os.ftruncate(writer, MIB)
    t.equal("behind the end", signal_of(lambda: view[MIB + PAGE]), signal.SIGBUS)
    os.ftruncate(writer, SIZE)
    t.expect("zeros then", view[MIB:] == bytes(SIZE - MIB))


@case
def writable_mappings_beside_readers(t):
    reader, model = old_file()
    lent = mmap.mmap(reader, SIZE, mmap.MAP_SHARED, READ)
    view = mapped("f", SIZE)
    rng = random.Random(1)
    for _ in range(200):
        at = rng.randrange(SIZE - 8)
        view[at:at + 8] = model[at:at + 8] = rng.randbytes(8)
    t.expect("read(2)", os.pread(reader, SIZE, 0) == model)
    t.expect("the other mapping", lent[:] == model)
    view.flush()
    view.close()
    lent.close()
    os.close(reader)
    t.expect("opened anew", read_file("f") == model)
    into = mmap.mmap(-1, 4 * MIB)
    count = os.preadv(os.open("f", RO | os.O_DIRECT), [into], 0)
    t.expect("directly", into[:count] == model)


@case
def random_changes_by_every_way_in(t):
    seed = int.from_bytes(os.urandom(4), "little")
    rng = random.Random(seed)
    reader, model = old_file()
    ways = [os.open("f", RW), os.open("f", RW | os.O_SYNC)]
    view = mapped("f", SIZE)
    for step in range(250):
        at = rng.randrange(SIZE - 70_000)
        data = rng.randbytes(rng.choice((1, 100, PAGE, 66_000)))
        action = rng.randrange(6)
        if action < 2:
            os.pwrite(ways[action], data, at)
        elif action == 2:
            view[at:at + len(data)] = data
        elif action == 3:
            fallocate(ways[0], FALLOC_PUNCH | FALLOC_KEEP, at, len(data))
            data = bytes(len(data))
        elif action == 4:
            os.ftruncate(ways[0], at + 100)
            os.ftruncate(ways[0], SIZE)
            data = bytes(SIZE - at - 100)
            at += 100
        else:
            os.close(reader)
            reader = os.open("f", RO)
            data = model[at:at + len(data)]
        model[at:at + len(data)] = data
        where = rng.randrange(SIZE - 5000)
        seen = os.pread(reader, 5000, where), view[where:where + 5000]
        wanted = bytes(model[where:where + 5000])
        if seen != (wanted, wanted):
            t.expect(f"step {step} of seed {seed} ({action})", False, where)
            break
    view.close()
    t.expect(f"the end of seed {seed}", read_file("f") == model)


@case
def emptied_replaced_and_unlinked_while_read(t):
    reader, model = old_file()
    opened("f", os.O_WRONLY | os.O_TRUNC)
    t.equal("emptied", (os.pread(reader, 10, 0), os.fstat(reader).st_size), (b"", 0))
    with open("f", "wb") as file:
        file.write(b"new" * MIB)
    t.equal("filled anew", os.pread(reader, 6, 0), b"newnew")
    write_file("g", b"other" * MIB)
    os.rename("g", "f")
    t.equal("replaced", (os.pread(reader, 6, 0), read_file("f")[:5]), (b"newnew", b"other"))
    t.equal("names", os.fstat(reader).st_nlink, 0)
    second, model = old_file("h")
    view = mmap.mmap(second, SIZE, mmap.MAP_SHARED, READ)
    os.unlink("h")
    os.close(second)
    write_file("h", b"again")
    t.expect("unlinked and mapped", view[:] == model)


@case
def copies_from_and_into_files_that_are_read(t):
    reader, model = old_file()
    target, _ = old_file("g", 2 * MIB)
    writer = os.open("g", RW)
    done = 0
    while done < SIZE:
        done += copy_file_range(reader, done, writer, done, SIZE - done)
    t.expect("into", os.pread(target, SIZE, 0) == model)
    os.pwrite(writer, b"apart", 0)
    t.expect("the source", os.pread(reader, SIZE, 0) == model)
    t.equal("the copy", os.pread(target, 5, 0), b"apart")


@case
def holes_of_large_files(t):
    fd = os.open("f", RW | CREAT)
    os.ftruncate(fd, 8 * MIB)
    os.pwrite(fd, b"x" * MIB, 2 * MIB)
    os.fsync(fd)
    reader = os.open("f", RO)
    t.equal("data", islands(reader), [(2 * MIB, 3 * MIB)])
    t.equal("read a hole", os.pread(reader, 10, 5 * MIB), bytes(10))
    view = mapped("f", 8 * MIB)
    view[6 * MIB] = 1
    view.flush()
    found = islands(reader)
    t.expect("with what was mapped", any(a <= 6 * MIB < b for a, b in found), found)
    t.expect("and the old", any(a <= 2 * MIB and 3 * MIB <= b for a, b in found), found)
    used = os.fstat(fd).st_blocks * 512
    t.expect("space", MIB < used <= 5 * MIB, used)
    view.close()


@case
def appends_beside_readers(t):
    reader, model = old_file()

    def append(letter):
        fd = os.open("f", os.O_WRONLY | os.O_APPEND)
        for _ in range(100):
            assert os.write(fd, letter * 1000) == 1000

    for child in [Process(lambda letter=letter: append(letter)) for letter in (b"a", b"b", b"c")]:
        child.result()
    data = os.pread(reader, SIZE + 400_000, 0)
    t.equal("size", len(data), SIZE + 300_000)
    t.expect("what was there", data[:SIZE] == model)
    parts = [data[at:at + 1000] for at in range(SIZE, len(data), 1000)]
    t.equal("whole", sum(len(set(part)) != 1 for part in parts), 0)


@case
def attributes_of_files_that_are_read(t):
    reader, _ = old_file()
    os.chown("f", OWNER.uid, OWNER.gid)
    os.chmod("f", 0o6777)
    before = os.fstat(reader)

    def change():
        os.pwrite(os.open("f", RW), b"x", 0)

    t.works(change, by=OTHER)
    t.equal("mode", mode_of("f"), 0o777)
    after = os.fstat(reader)
    t.expect("mtime", after.st_mtime_ns > before.st_mtime_ns)
    t.expect("ctime", after.st_ctime_ns > before.st_ctime_ns)
    os.utime("f", ns=(10**18, 10**18))
    os.close(reader)
    t.equal("set", os.stat("f").st_mtime_ns, 10**18)
    os.pread(os.open("f", RO | os.O_NOATIME), 10, 0)
    t.equal("atime by O_NOATIME", os.stat("f").st_atime_ns, 10**18)
    os.chmod("f", 0o600)
    t.fails(errno.EACCES, opened, "f", RO, by=OTHER)


@case
def large_programs_run_and_change(t):
    shutil.copyfile("/bin/bash", "run")
    os.chmod("run", 0o755)
    t.expect("it is large", os.stat("run").st_size > MIB)

    def status(code):
        pid = os.posix_spawn("./run", ["run", "-c", code], {})
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    t.equal("runs", status("exit 5"), 5)
    pid = os.posix_spawn("./run", ["run", "-c", "read -t 60"], {},
                         file_actions=[(os.POSIX_SPAWN_DUP2, os.pipe()[0], 0)])
    t.fails(errno.ETXTBSY, opened, "run", os.O_WRONLY)
    shutil.copyfile("/bin/bash", "new")
    os.chmod("new", 0o755)
    os.rename("new", "run")
    t.equal("the new one", status("exit 6"), 6)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    t.works(opened, "run", os.O_WRONLY)
    write_file("run", b"#!/bin/sh\nexit 7\n", 0o755)
    t.equal("rewritten", status(""), 7)
    t.expect("a file", stat.S_ISREG(os.stat("run").st_mode))
