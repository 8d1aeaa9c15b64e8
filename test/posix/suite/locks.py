"""fcntl(2), open-file-description and flock(2) locks between processes."""
import errno
import fcntl
import os
import signal
import struct
import threading

from .harness import OTHER, Channel, Process, blocked, case, write_file
from .libc import F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW

RW, RO = os.O_RDWR, os.O_RDONLY
READ, WRITE, NONE = fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK
SETLK, SETLKW, GETLK = fcntl.F_SETLK, fcntl.F_SETLKW, fcntl.F_GETLK
WAITS = {"x86_64": (72, 73), "aarch64": (25, 32)}[os.uname().machine]  # fcntl, flock
BUSY = (errno.EAGAIN, errno.EACCES)


def lock(fd, kind, start=0, length=0, command=SETLK):
    fcntl.fcntl(fd, command, struct.pack("hhqqi4x", kind, 0, start, length, 0))


def holder(fd, kind, start=0, length=0, command=GETLK):
    """(type, start, length, pid) of a lock in the way."""
    answer = fcntl.fcntl(fd, command, struct.pack("hhqqi4x", kind, 0, start, length, 0))
    found, _, first, size, pid = struct.unpack("hhqqi4x", answer)
    return None if found == NONE else (found, first, size, pid)


def elsewhere(call, *arguments, **options):
    """What another process gets: the result, or the errno."""

    def attempt():
        try:
            return call(os.open("f", RW), *arguments, **options)
        except OSError as error:
            return error.errno

    return Process(attempt).result()


@case
def ranges_are_locked_between_processes(t):
    write_file("f", bytes(100))
    fd = os.open("f", RW)
    lock(fd, WRITE, 10, 10)
    t.expect("the same range", elsewhere(lock, WRITE, 10, 10) in BUSY)
    t.expect("one byte of it", elsewhere(lock, READ, 19, 1) in BUSY)
    t.equal("in front", elsewhere(lock, WRITE, 0, 10), None)
    t.equal("behind", elsewhere(lock, WRITE, 20), None)
    seen = elsewhere(holder, WRITE, 0, 0)
    t.equal("who", seen, (WRITE, 10, 10, os.getpid()))
    lock(fd, READ, 10, 10)
    t.equal("shared", elsewhere(lock, READ, 0, 50), None)
    t.expect("not exclusive", elsewhere(lock, WRITE, 0, 50) in BUSY)
    lock(fd, NONE, 12, 3)
    t.equal("a hole in it", elsewhere(lock, WRITE, 12, 3), None)
    t.equal("the rest", elsewhere(holder, WRITE, 13, 0)[:3], (READ, 15, 5))
    lock(fd, NONE)
    t.equal("none left", elsewhere(holder, WRITE), None)


@case
def a_lock_asks_for_the_right_to_read_or_write(t):
    write_file("f")
    t.fails(errno.EBADF, lock, os.open("f", RO), WRITE)
    t.fails(errno.EBADF, lock, os.open("f", os.O_WRONLY), READ)
    t.works(lock, os.open("f", RO), READ)
    t.works(fcntl.flock, os.open("f", RO), fcntl.LOCK_EX)
    t.fails(errno.EINVAL, lock, os.open("f", RW), WRITE, -5, 3)
    t.works(lock, os.open("f", RW), WRITE, 2**62, 100)


@case
def waiting_ends_with_the_lock(t):
    write_file("f")
    fd = os.open("f", RW)
    lock(fd, WRITE)
    waiter = Process(lambda: lock(os.open("f", RW), WRITE, command=SETLKW))
    t.expect("waits", blocked(waiter.pid, WAITS[0]))
    lock(fd, NONE)
    t.equal("got it", waiter.result(), None)


@case
def locks_go_with_any_close_and_with_exit(t):
    write_file("f")
    fd = os.open("f", RW)
    lock(fd, WRITE)
    os.close(os.open("f", RO))
    t.equal("closing another descriptor", elsewhere(lock, WRITE), None)
    locked, leave = Channel(), Channel()

    def hold():
        lock(os.open("f", RW), WRITE)
        locked.say()
        leave.wait()

    for by_kill in (False, True):
        child = Process(hold)
        locked.wait()
        t.fails(BUSY, lock, fd, WRITE)
        if by_kill:
            child.kill()
        else:
            leave.say()
            child.result()
        t.works(lock, fd, WRITE)
        lock(fd, NONE)


@case
def children_do_not_inherit_record_locks(t):
    write_file("f")
    fd = os.open("f", RW)
    lock(fd, WRITE)
    t.equal("a child is another process", Process(lambda: holder(fd, WRITE)).result()[3],
            os.getpid())
    t.equal("relock", t.works(lock, fd, READ), None)


@case
def a_deadlock_is_found(t):
    write_file("f", bytes(10))
    fd = os.open("f", RW)
    ready = Channel()
    lock(fd, WRITE, 0, 1)

    def child():
        own = os.open("f", RW)
        lock(own, WRITE, 1, 1)
        ready.say()
        lock(own, WRITE, 0, 1, SETLKW)

    other = Process(child)
    ready.wait()
    t.expect("the other waits", blocked(other.pid, WAITS[0]))
    t.fails(errno.EDEADLK, lock, fd, WRITE, 1, 1, SETLKW)
    lock(fd, NONE)
    t.works(other.result)


@case
def a_signal_ends_waiting(t):
    write_file("f")
    fd = os.open("f", RW)
    lock(fd, WRITE)

    def child():
        def interrupted(_signal, _frame):
            raise InterruptedError(errno.EINTR, "woken")

        signal.signal(signal.SIGUSR1, interrupted)
        lock(os.open("f", RW), WRITE, command=SETLKW)

    for number, outcome in ((signal.SIGUSR1, errno.EINTR), (signal.SIGKILL, None)):
        waiter = Process(child)
        t.expect("waits", blocked(waiter.pid, WAITS[0]))
        os.kill(waiter.pid, number)
        try:
            waiter.result()
        except OSError as error:
            t.equal("woken", error.errno, outcome)
        except RuntimeError:
            t.equal("killed", number, signal.SIGKILL)
    lock(fd, NONE)
    t.equal("nothing left behind", elsewhere(lock, WRITE), None)


@case
def open_file_descriptions_own_locks(t):
    write_file("f", bytes(10))
    one, two = os.open("f", RW), os.open("f", RW)
    lock(one, WRITE, 0, 5, F_OFD_SETLK)
    t.fails(BUSY, lock, two, WRITE, 0, 1, F_OFD_SETLK)
    t.works(lock, two, WRITE, 5, 5, F_OFD_SETLK)
    t.equal("who", holder(two, READ, 0, 5, F_OFD_GETLK), (WRITE, 0, 5, -1))
    os.close(os.open("f", RW))
    t.fails(BUSY, lock, two, WRITE, 0, 1, F_OFD_SETLK)
    t.fails(BUSY, lock, two, WRITE, 0, 1)  # against a lock of this process, too
    copy = os.dup(one)
    os.close(one)
    t.fails(BUSY, lock, two, WRITE, 0, 1, F_OFD_SETLK)
    os.close(copy)
    t.works(lock, two, WRITE, 0, 1, F_OFD_SETLK)


@case
def threads_wait_for_each_others_descriptions(t):
    write_file("f")
    one, two = os.open("f", RW), os.open("f", RW)
    lock(one, WRITE, command=F_OFD_SETLK)
    got = []

    def wait():
        lock(two, WRITE, command=F_OFD_SETLKW)
        got.append(True)

    waiter = threading.Thread(target=wait)
    waiter.start()
    t.equal("not yet", got, [])
    lock(one, NONE, command=F_OFD_SETLK)
    waiter.join(20)
    t.equal("then", got, [True])


@case
def flock_is_shared_or_exclusive(t):
    write_file("f")
    one, two, three = (os.open("f", RO) for _ in range(3))
    now = fcntl.LOCK_NB
    fcntl.flock(one, fcntl.LOCK_SH)
    t.works(fcntl.flock, two, fcntl.LOCK_SH | now)
    t.fails(errno.EAGAIN, fcntl.flock, three, fcntl.LOCK_EX | now)
    fcntl.flock(one, fcntl.LOCK_UN)
    t.works(fcntl.flock, two, fcntl.LOCK_EX | now)
    t.fails(errno.EAGAIN, fcntl.flock, one, fcntl.LOCK_SH | now)
    t.equal("in a child", elsewhere(fcntl.flock, fcntl.LOCK_SH | now), errno.EAGAIN)
    shared = Process(lambda: fcntl.flock(two, fcntl.LOCK_EX | now))
    t.equal("inherited", shared.result(), None)
    copy = os.dup(two)
    os.close(two)
    t.fails(errno.EAGAIN, fcntl.flock, one, fcntl.LOCK_SH | now)
    os.close(copy)
    t.works(fcntl.flock, one, fcntl.LOCK_EX | now)


@case
def flock_waits_and_goes_with_exit(t):
    write_file("f")
    fd = os.open("f", RO)
    held, leave = Channel(), Channel()

    def hold():
        fcntl.flock(os.open("f", RO), fcntl.LOCK_EX)
        held.say()
        leave.wait()

    first = Process(hold)
    held.wait()
    t.fails(errno.EAGAIN, fcntl.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    waiter = Process(lambda: fcntl.flock(os.open("f", RO), fcntl.LOCK_EX))
    t.expect("waits", blocked(waiter.pid, WAITS[1]))
    first.kill()
    t.equal("got it", waiter.result(), None)
    t.works(fcntl.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


@case
def kinds_of_locks_do_not_meet(t):
    write_file("f")
    fd = os.open("f", RW)
    fcntl.flock(fd, fcntl.LOCK_EX)
    t.equal("fcntl beside flock", elsewhere(lock, WRITE), None)
    lock(fd, WRITE)
    t.equal("reading is not stopped", elsewhere(os.read, 1), b"")
    t.equal("nor writing", elsewhere(os.write, b"x"), 1)


@case
def locks_stay_with_the_inode(t):
    write_file("f", bytes(10))
    os.link("f", "g")
    fd = os.open("g", RW)
    lock(fd, WRITE)
    t.expect("by another name", elsewhere(lock, WRITE) in BUSY)
    os.rename("f", "h")
    os.rename("h", "f")
    t.expect("renamed", elsewhere(lock, WRITE) in BUSY)
    t.equal("other users, too", Process(lambda: (OTHER.become(), elsewhere(holder, WRITE))[1]
                                        if os.chmod("f", 0o666) is None else None).result()[3],
            os.getpid())


@case
def a_thousand_turns_are_exclusive(t):
    write_file("f", b"0".ljust(20))

    def count():
        fd = os.open("f", RW)
        for _ in range(150):
            lock(fd, WRITE, command=SETLKW)
            value = int(os.pread(fd, 20, 0))
            os.pwrite(fd, str(value + 1).encode().ljust(20), 0)
            lock(fd, NONE)

    workers = [Process(count) for _ in range(4)]
    for worker in workers:
        worker.result()
    with open("f") as file:
        t.equal("count", int(file.read()), 600)
