"""Setting timestamps: utimensat(2), and who may do it."""
import errno
import os
import time

from .harness import MEMBER, OTHER, OWNER, case, write_file
from .libc import AT_SYMLINK_NOFOLLOW, Statx, UTIME_NOW, UTIME_OMIT, utimensat
from .times import changed, look, updates


@case
def utimensat_sets_nanoseconds(t):
    write_file("f")
    for seconds, nanoseconds in ((0, 0), (1, 1), (1234567890, 123456789), (2**31 - 1, 999_999_999),
                                 (2**31, 5), (2**32 + 7, 1), (-1, 500_000_000), (-(2**31), 0)):
        utimensat("f", (seconds, nanoseconds), (seconds, nanoseconds // 2))
        status = Statx("f")
        t.equal("atime", status.atime, seconds * 10**9 + nanoseconds)
        t.equal("mtime", status.mtime, seconds * 10**9 + nanoseconds // 2)
    before = look("f")[0]
    utimensat("f", (5, 5), (6, 6))
    t.equal("ctime is now", changed(before, look("f")[0])[-1], "c")
    for bad in ((0, 10**9), (0, -1)):
        t.fails(errno.EINVAL, utimensat, "f", bad, (0, 0))
        t.fails(errno.EINVAL, utimensat, "f", (0, 0), bad)


@case
def now_and_omit(t):
    write_file("f")
    now, omit = (0, UTIME_NOW), (0, UTIME_OMIT)
    utimensat("f", (5, 5), (6, 6))
    before = look("f")[0]
    utimensat("f", omit, (7, 7))
    after = look("f")[0]
    t.equal("atime omitted", (after[0], after[1]), (before[0], 7 * 10**9 + 7))
    t.expect("ctime", after[2] > before[2])
    utimensat("f", (8, 8), omit)
    t.equal("mtime omitted", look("f")[0][:2], (8 * 10**9 + 8, 7 * 10**9 + 7))
    updates(t, "both omitted", ["f"], [""], lambda: utimensat("f", omit, omit))
    utimensat("f", now, omit)
    t.expect("atime now", abs(Statx("f").atime - time.time_ns()) < 60 * 10**9)
    t.equal("mtime stays", Statx("f").mtime, 7 * 10**9 + 7)
    utimensat("f", None, None)
    status = Statx("f")
    t.equal("a null pointer: both the same", status.atime, status.mtime)
    os.symlink("f", "s")
    utimensat("s", (1, 1), (2, 2), AT_SYMLINK_NOFOLLOW)
    t.equal("link", Statx("s").mtime, 2 * 10**9 + 2)
    t.equal("file", Statx("f").mtime, status.mtime)


@case
def who_may_set_times(t):
    write_file("f", b"", 0o664, OWNER)
    now, omit = (0, UTIME_NOW), (0, UTIME_OMIT)
    t.works(utimensat, "f", (1, 1), (2, 2), by=OWNER)
    t.works(utimensat, "f", None, None, by=OWNER)
    t.fails(errno.EPERM, utimensat, "f", (1, 1), (2, 2), by=MEMBER)
    t.works(utimensat, "f", None, None, by=MEMBER)  # may write
    t.works(utimensat, "f", now, now, by=MEMBER)
    t.fails(errno.EPERM, utimensat, "f", now, omit, by=MEMBER)
    t.fails(errno.EPERM, utimensat, "f", omit, now, by=MEMBER)
    t.works(utimensat, "f", omit, omit, by=OTHER)
    t.fails(errno.EACCES, utimensat, "f", None, None, by=OTHER)
    t.fails(errno.EACCES, utimensat, "f", now, now, by=OTHER)
    t.fails(errno.EPERM, utimensat, "f", (1, 1), (1, 1), by=OTHER)
    os.chmod("f", 0o444)
    t.works(utimensat, "f", now, now, by=OWNER)
    t.works(utimensat, "f", (1, 1), (1, 1), by=OWNER)


@case
def times_are_set_on_everything(t):
    write_file("f")
    os.mkdir("d")
    os.mkfifo("p")
    os.symlink("nowhere", "s")
    for name in "fdps":
        utimensat(name, (11, 12), (13, 14), AT_SYMLINK_NOFOLLOW)
        status = Statx(name)
        times = status.atime, status.mtime
        t.equal(name, times, (11 * 10**9 + 12, 13 * 10**9 + 14))
    os.mkdir("d/sub")
    t.expect("and change again", Statx("d").mtime > 10**18)
    fd = os.open("f", os.O_RDONLY)
    utimensat(None, (1, 2), (3, 4), fd=fd)
    t.equal("by descriptor", Statx("f").mtime, 3 * 10**9 + 4)
    os.write(os.open("f", os.O_WRONLY), b"x")
    t.expect("a write sets it anew", Statx("f").mtime > 10**18)
    os.utime("f", ns=(10**18, 10**18))
    os.fsync(fd)
    os.close(fd)
    t.equal("fsync and close leave it", Statx("f").mtime, 10**18)
