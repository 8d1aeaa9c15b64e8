"""mmap(2): shared and private, while others write, over the end, and when files are cut."""
import errno
import mmap
import os
import signal

from .harness import Channel, Process, case, opened, read_file, write_file
from .libc import FALLOC_KEEP, FALLOC_PUNCH, fallocate

RW, CREAT = os.O_RDWR, os.O_CREAT
PAGE = 4096
SHARED, PRIVATE = mmap.MAP_SHARED, mmap.MAP_PRIVATE
READ, WRITE = mmap.PROT_READ, mmap.PROT_WRITE


def mapped(path, length, kind=SHARED, protection=READ | WRITE, flags=RW):
    fd = os.open(path, flags)
    try:
        return mmap.mmap(fd, length, kind, protection)
    finally:
        os.close(fd)


@case
def a_shared_mapping_is_the_file(t):
    write_file("f", b"x" * 10_000)
    view = mapped("f", 10_000)
    t.equal("reads it", view[9_990:], b"x" * 10)
    view[5_000:5_005] = b"HELLO"
    t.equal("read(2) sees it", read_file("f")[4_999:5_006], b"xHELLOx")
    fd = os.open("f", RW)
    os.pwrite(fd, b"world", 5_005)
    t.equal("it sees write(2)", view[5_000:5_010], b"HELLOworld")
    second = mapped("f", 10_000)
    second[0:3] = b"two"
    t.equal("another mapping", view[0:3], b"two")
    view.flush()
    view.close()
    second.close()
    t.equal("after all", read_file("f")[5_000:5_010], b"HELLOworld")


@case
def a_private_mapping_keeps_its_changes(t):
    write_file("f", b"x" * 10_000)
    view = mapped("f", 10_000, PRIVATE, READ | WRITE, os.O_RDONLY)
    view[0:4] = b"mine"
    t.equal("the mapping", view[0:5], b"minex")
    t.equal("the file", read_file("f"), b"x" * 10_000)
    fd = os.open("f", RW)
    os.pwrite(fd, b"new", 8_000)
    t.equal("untouched pages follow the file", view[8_000:8_003], b"new")


@case
def processes_share_a_mapping(t):
    write_file("f", bytes(PAGE * 4))
    ask, answer = Channel(), Channel()

    def child():
        view = mapped("f", PAGE * 4)
        for index in range(100):
            ask.wait()
            view[PAGE + index] = view[index] + 1
            answer.say()

    view = mapped("f", PAGE * 4)
    process = Process(child)
    for index in range(100):
        view[index] = index
        ask.say()
        answer.wait()
        t.equal("answer", view[PAGE + index], index + 1)
    process.result()
    t.equal("file", read_file("f")[PAGE:PAGE + 100], bytes(range(1, 101)))


@case
def mapping_while_others_write(t):
    """One writes through a mapping, one by write(2), each its own half of every page."""
    pages = 64
    write_file("f", bytes(PAGE * pages))

    def by_write():
        fd = os.open("f", RW)
        for turn in range(1, 31):
            for page in range(pages):
                os.pwrite(fd, bytes([turn]) * 2048, page * PAGE)

    child = Process(by_write)
    view = mapped("f", PAGE * pages)
    for turn in range(1, 31):
        for page in range(pages):
            view[page * PAGE + 2048:(page + 1) * PAGE] = bytes([turn + 100]) * 2048
    child.result()
    view.flush()
    expected = (bytes([30]) * 2048 + bytes([130]) * 2048) * pages
    t.expect("through the mapping", view[:] == expected)
    view.close()
    t.expect("by read(2)", read_file("f") == expected)
    fd = os.open("f", RW | os.O_DIRECT)
    direct = mmap.mmap(-1, PAGE * pages)
    os.preadv(fd, [direct], 0)
    t.expect("by direct I/O", direct[:] == expected)


def signal_of(action):
    """The signal that ends a child that does `action`; 0 for none."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGBUS, signal.SIG_DFL)
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            action()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


@case
def behind_the_end_is_sigbus(t):
    write_file("f", b"x" * 100)
    os.truncate("f", 3 * PAGE)
    view = mapped("f", 3 * PAGE)
    t.equal("within", signal_of(lambda: view[2 * PAGE]), 0)
    os.truncate("f", 100)
    t.equal("read behind the last page", signal_of(lambda: view[PAGE]), signal.SIGBUS)
    t.equal("write behind it", signal_of(lambda: view.__setitem__(PAGE, 1)), signal.SIGBUS)
    t.equal("the rest of the last page", view[100:PAGE], bytes(PAGE - 100))
    os.truncate("f", 3 * PAGE)
    t.equal("grown again", view[2 * PAGE], 0)


@case
def the_rest_of_the_last_page_is_not_kept(t):
    write_file("f", b"x" * 100)
    fd = os.open("f", RW)
    os.ftruncate(fd, PAGE)
    view = mapped("f", PAGE)
    os.ftruncate(fd, 100)
    view[200:204] = b"lost"
    t.equal("size", os.fstat(fd).st_size, 100)
    view.flush()
    os.ftruncate(fd, PAGE)
    t.equal("zeros after growing", os.pread(fd, 10, 200), bytes(10))
    t.equal("in the mapping", view[200:204], bytes(4))


@case
def a_cut_zeroes_the_rest_of_its_page(t):
    write_file("f", b"x" * (3 * PAGE))
    view = mapped("f", 3 * PAGE)
    t.equal("before", view[PAGE + 10:PAGE + 12], b"xx")
    os.truncate("f", PAGE + 11)
    t.equal("after the cut", view[PAGE + 10:PAGE + 13], b"x\0\0")
    os.truncate("f", 3 * PAGE)
    t.equal("after growing", view[PAGE + 10:PAGE + 13], b"x\0\0")
    t.expect("all zeros", view[PAGE + 11:] == bytes(2 * PAGE - 11))
    os.truncate("f", 0)
    os.truncate("f", 3 * PAGE)
    t.expect("all new", view[:] == bytes(3 * PAGE))


@case(lacks={"overlay": "as the file system below"})
def a_punched_hole_shows_in_mappings(t):
    write_file("f", b"x" * (4 * PAGE))
    view = mapped("f", 4 * PAGE)
    t.equal("before", view[PAGE], ord("x"))
    view[2 * PAGE] = ord("y")
    fd = os.open("f", RW)
    fallocate(fd, FALLOC_PUNCH | FALLOC_KEEP, PAGE - 5, 2 * PAGE + 10)
    t.expect("after", view[:] == b"x" * (PAGE - 5) + bytes(2 * PAGE + 10) + b"x" * (PAGE - 5))


@case
def mappings_outlive_descriptors_and_names(t):
    write_file("f", b"x" * PAGE)
    view = mapped("f", PAGE)
    os.rename("f", "g")
    view[0:5] = b"moved"
    t.equal("renamed", read_file("g")[:5], b"moved")
    os.unlink("g")
    view[0:5] = b"gone!"
    view.flush()
    t.equal("unlinked", view[0:6], b"gone!x")
    fd = os.open("h", RW | CREAT)
    os.ftruncate(fd, PAGE)
    view = mmap.mmap(fd, PAGE)
    os.unlink("h")
    view[0:3] = b"yes"
    t.equal("read by the descriptor", os.pread(fd, 3, 0), b"yes")


@case
def the_descriptor_decides_what_a_mapping_may(t):
    write_file("f", b"x" * PAGE)

    def shared(flags, protection):
        mapped("f", PAGE, SHARED, protection, flags).close()

    t.fails(errno.EACCES, shared, os.O_RDONLY, READ | WRITE)
    t.fails(errno.EACCES, shared, os.O_WRONLY, READ)
    t.works(shared, os.O_RDONLY, READ)
    view = mapped("f", PAGE, SHARED, READ, os.O_RDONLY)
    t.equal("reads", view[0], ord("x"))


@case
def memory_is_written_by_read_and_write_of_itself(t):
    """The buffer of a write(2) may be a mapping of the same file."""
    write_file("f", bytes(range(256)) * 64)
    view = mapped("f", 16384)
    fd = os.open("f", RW)
    t.equal("written", os.pwrite(fd, memoryview(view)[0:8192], 8192), 8192)
    t.expect("copied", read_file("f") == bytes(range(256)) * 64)
    t.equal("read into itself", os.preadv(fd, [memoryview(view)[4096:8192]], 0), 4096)


@case
def mtime_follows_a_write_through_a_mapping(t):
    write_file("f", bytes(PAGE))
    os.utime("f", ns=(10**18, 10**18))
    view = mapped("f", PAGE)
    view[0] = 1
    view.flush()
    view.close()
    t.expect("mtime", os.stat("f").st_mtime_ns > 10**18, os.stat("f").st_mtime_ns)


@case
def a_time_that_is_set_after_unmapping_stays(t):
    write_file("f", bytes(3 * PAGE))
    view = mapped("f", 3 * PAGE)
    view[PAGE] = 1
    view.close()
    os.utime("f", ns=(10**18, 10**18))
    os.fsync(os.open("f", RW))
    t.equal("mtime", os.stat("f").st_mtime_ns, 10**18)
    t.equal("content", read_file("f")[PAGE], 1)


@case
def a_large_mapping_is_written_back(t):
    size = 16 * 2**20
    fd = os.open("f", RW | CREAT)
    os.ftruncate(fd, size)
    view = mmap.mmap(fd, size)
    for page in range(0, size, PAGE):
        view[page:page + 8] = page.to_bytes(8, "little")
    os.fsync(fd)
    view.close()
    opened("f")
    data = read_file("f")
    wrong = [p for p in range(0, size, PAGE) if data[p:p + 8] != p.to_bytes(8, "little")]
    t.equal("wrong pages", wrong, [])
