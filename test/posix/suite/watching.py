"""What else a kernel tells of files: inotify, leases."""
import ctypes
import errno
import fcntl
import os
import signal
import struct

from .harness import Process, case, make_folder, opened, write_file
from .libc import LIBC, checked

IN_NONBLOCK = 0o4000
NAMES = {2: "modify", 4: "attrib", 8: "close_write", 0x40: "from", 0x80: "to", 0x100: "create"}
NAMES.update({0x200: "delete", 0x400: "delete_self", 0x800: "move_self"})
ALL = sum(NAMES)


class Watch:
    def __init__(self, path):
        self.fd = checked(LIBC.inotify_init1(IN_NONBLOCK))
        checked(LIBC.inotify_add_watch(self.fd, os.fsencode(path), ctypes.c_uint32(ALL)))

    def events(self):
        """[(what, name)] since the last time."""
        found, at = [], 0
        try:
            data = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return []
        while at < len(data):
            _, mask, _, length = struct.unpack_from("iIII", data, at)
            name = data[at + 16:at + 16 + length].rstrip(b"\0").decode()
            found += [(NAMES[bit], name) for bit in NAMES if mask & bit]
            at += 16 + length
        return found


@case
def watchers_hear_of_changes(t):
    make_folder("d")
    watch = Watch("d")
    write_file("outside")
    t.equal("nothing", watch.events(), [])

    def changes():
        fd = os.open("d/f", os.O_WRONLY | os.O_CREAT)
        os.write(fd, b"data")
        os.close(fd)
        os.chmod("d/f", 0o600)
        os.rename("d/f", "d/g")
        os.rename("d/g", "out")
        os.rename("out", "d/g")
        os.link("d/g", "d/h")
        os.truncate("d/h", 1)
        os.unlink("d/g")
        os.mkdir("d/sub")
        os.rmdir("d/sub")

    Process(changes).result()
    wanted = [("create", "f"), ("modify", "f"), ("close_write", "f"), ("attrib", "f"),
              ("from", "f"), ("to", "g"), ("from", "g"), ("to", "g"), ("create", "h"),
              ("modify", "h"), ("delete", "g"), ("create", "sub"), ("delete", "sub")]
    t.equal("events", watch.events(), wanted)
    os.rename("d", "e")
    os.unlink("e/h")
    os.rmdir("e")
    t.equal("of itself", watch.events(), [("move_self", ""), ("delete", "h"), ("delete_self", "")])


@case
def a_lease_is_broken_by_an_open(t):
    write_file("f", b"data")
    fd = os.open("f", os.O_RDONLY)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
    t.works(fcntl.fcntl, fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    t.equal("held", fcntl.fcntl(fd, fcntl.F_GETLEASE), fcntl.F_RDLCK)
    opened("f")
    t.equal("reading breaks nothing", signal.sigtimedwait([signal.SIGIO], 0), None)
    writer = Process(lambda: opened("f", os.O_WRONLY))
    t.expect("told", signal.sigtimedwait([signal.SIGIO], 30) is not None)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    t.works(writer.result)
    t.fails((errno.EAGAIN, errno.EBUSY), lease_while_open)


def lease_while_open():
    writer = os.open("f", os.O_WRONLY)
    try:
        fcntl.fcntl(os.open("f", os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_RDLCK)
    finally:
        os.close(writer)
