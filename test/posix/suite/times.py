"""Timestamps: what updates which, to the nanosecond, and who may set them."""
import errno
import os
import time

from .harness import MEMBER, OTHER, OWNER, case, make_folder, opened, read_file, write_file
from .libc import AT_SYMLINK_NOFOLLOW, FALLOC_KEEP, FALLOC_PUNCH, RENAME_EXCHANGE, Statx
from .libc import STATX_BASIC, STATX_BTIME, UTIME_NOW, UTIME_OMIT, fallocate, renameat2, utimensat

OLD = 10**18  # 2001-09-09, as atime and mtime


def look(*paths):
    """(atime, mtime, ctime) of each path; time has passed since what came before."""
    pause()
    return [(s.atime, s.mtime, s.ctime) for s in map(Statx, paths)]


def pause():
    """Waits until the clock of the file system, which is coarse, has gone on."""
    start = time.clock_gettime_ns(6)  # CLOCK_MONOTONIC_COARSE
    while time.clock_gettime_ns(6) < start + 5_000_000:
        time.sleep(0.002)


def changed(before, after):
    """Which of a, m and c went on."""
    return "".join(name for name, old, new in zip("amc", before, after) if new > old)


def updates(t, what, paths, expected, change):
    """`change` updates exactly the times named for each path, as "m c" or "mc"."""
    before = look(*paths)
    change()
    after = look(*paths)
    for path, old, new, want in zip(paths, before, after, expected):
        t.equal(f"{what}: {path}", changed(old, new), want)
    t.expect(f"{what}: nothing went back", all(n >= o for old, new in zip(before, after)
                                               for o, n in zip(old, new)))


@case
def new_files_have_the_time_of_their_making(t):
    makers = {
        "f": lambda: write_file("f", b""),
        "d": lambda: os.mkdir("d"),
        "p": lambda: os.mkfifo("p"),
        "s": lambda: os.symlink("x", "s"),
    }
    for name, make in makers.items():
        before = time.time_ns() - 20_000_000  # the file system's clock is coarse
        updates(t, f"make {name}", ["."], ["mc"], make)
        status = Statx(name)
        times = {status.atime, status.mtime, status.btime}
        t.equal(f"all the same for {name}", len(times), 1)
        inside = before <= status.mtime <= status.ctime <= time.time_ns()
        t.expect(f"now for {name}", inside, (before, status.mtime, status.ctime))


@case
def names_change_their_folder_and_ctime(t):
    make_folder("d")
    write_file("f")
    updates(t, "link", ["f", "d", "."], ["c", "mc", ""], lambda: os.link("f", "d/g"))
    updates(t, "unlink", ["f", "d"], ["c", "mc"], lambda: os.unlink("d/g"))
    os.link("f", "alias")
    updates(t, "rename away", ["alias", ".", "d"], ["c", "mc", "mc"],
            lambda: os.rename("f", "d/f"))
    fd = os.open("d/f", os.O_RDONLY)
    updates(t, "rename within", ["d"], ["mc"], lambda: os.rename("d/f", "d/g"))
    before = os.fstat(fd).st_ctime_ns
    write_file("over")
    pause()
    os.rename("over", "d/g")
    t.expect("the replaced file's ctime", os.fstat(fd).st_ctime_ns > before)
    make_folder("d/sub")
    updates(t, "rmdir", ["d"], ["mc"], lambda: os.rmdir("d/sub"))
    make_folder("moved")
    updates(t, "a folder moves", [".", "d"], ["mc", "mc"], lambda: os.rename("moved", "d/m"))
    write_file("x")
    write_file("d/y")
    before = look("x", "d/y")
    updates(t, "exchange", [".", "d"], ["mc", "mc"],
            lambda: renameat2("x", "d/y", RENAME_EXCHANGE))
    after = look("d/y", "x")
    t.equal("exchanged", [changed(*pair) for pair in zip(before, after)], ["c", "c"])


@case
def writing_changes_mtime_and_ctime(t):
    write_file("f", b"data")
    fd = os.open("f", os.O_RDWR)
    updates(t, "write", ["f", "."], ["mc", ""], lambda: os.write(fd, b"x"))
    updates(t, "pwrite behind the end", ["f"], ["mc"], lambda: os.pwrite(fd, b"x", 9999))
    updates(t, "writing nothing", ["f"], [""], lambda: os.write(fd, b""))
    updates(t, "truncate", ["f"], ["mc"], lambda: os.truncate("f", 5))
    updates(t, "ftruncate to the same", ["f"], ["mc"], lambda: os.ftruncate(fd, 5))
    updates(t, "O_TRUNC", ["f"], ["mc"], lambda: opened("f", os.O_WRONLY | os.O_TRUNC))
    updates(t, "open to write", ["f"], [""], lambda: opened("f", os.O_WRONLY | os.O_CREAT))
    updates(t, "close", ["f"], [""], lambda: os.close(fd))
    updates(t, "fsync", ["f"], [""], lambda: os.fsync(os.open("f", os.O_WRONLY)))


@case
def truncating_to_the_same_length_by_path_changes_ctime_alone_or_both(t):
    write_file("f", b"data")
    before = look("f")[0]
    os.truncate("f", 4)
    t.expect("c or mc", changed(before, look("f")[0]) in ("c", "mc", ""))


@case
def allocation_changes_mtime_and_ctime(t):
    write_file("f", bytes(20_000))
    fd = os.open("f", os.O_RDWR)
    updates(t, "fallocate", ["f"], ["mc"], lambda: fallocate(fd, 0, 0, 50_000))
    updates(t, "punch", ["f"], ["mc"],
            lambda: fallocate(fd, FALLOC_PUNCH | FALLOC_KEEP, 4096, 4096))


@case
def attributes_change_ctime(t):
    write_file("f", b"data")
    os.symlink("f", "s")
    updates(t, "chmod", ["f", "."], ["c", ""], lambda: os.chmod("f", 0o600))
    updates(t, "chmod to the same", ["f"], ["c"], lambda: os.chmod("f", 0o600))
    updates(t, "chown", ["f"], ["c"], lambda: os.chown("f", 5, 5))
    updates(t, "chown to the same", ["f"], ["c"], lambda: os.chown("f", 5, 5))
    updates(t, "lchown", ["s", "f"], ["c", ""], lambda: os.lchown("s", 5, 5))
    updates(t, "setxattr", ["f"], ["c"], lambda: os.setxattr("f", "trusted.x", b"1"))
    updates(t, "getxattr", ["f"], [""], lambda: os.getxattr("f", "trusted.x"))
    updates(t, "removexattr", ["f"], ["c"], lambda: os.removexattr("f", "trusted.x"))


@case
def looking_changes_nothing(t):
    write_file("f", b"data")
    os.symlink("f", "s")
    make_folder("d")
    for what, call in (("stat", os.stat), ("access", lambda p: os.access(p, os.R_OK))):
        updates(t, what, ["f", "d", "."], ["", "", ""], lambda: [call("f"), call("d")])
    updates(t, "open", ["f", "."], ["", ""], lambda: opened("f"))
    updates(t, "lseek", ["f"], [""], lambda: os.lseek(os.open("f", 0), 0, os.SEEK_DATA))


def age(path, atime, mtime):
    os.utime(path, ns=(atime, mtime), follow_symlinks=False)


@case
def reading_updates_an_atime_that_is_not_newer(t):
    """relatime: once after each change, and once a day."""
    options = os.statvfs(".").f_flag
    write_file("f", b"data")
    make_folder("d")
    write_file("d/x")
    os.symlink("f", "s")
    want = "" if options & os.ST_NOATIME else "a"
    for name, read in (("f", read_file), ("d", os.listdir), ("s", os.readlink)):
        age(name, OLD, OLD)
        updates(t, "atime as old as mtime", [name], [want], lambda: read(name))
        if options & os.ST_RELATIME:
            updates(t, "read again", [name], [""], lambda: read(name))
        age(name, time.time_ns() - 2 * 86400 * 10**9, OLD)
        updates(t, "atime two days old", [name], [want], lambda: read(name))
    time_ = Statx("f").atime
    if want:
        t.expect("it is now", abs(time.time_ns() - time_) < 60 * 10**9, time_)


@case
def o_noatime_and_reading_nothing(t):
    write_file("f", b"data", 0o644, OWNER)
    age("f", OLD, OLD)
    updates(t, "O_NOATIME", ["f"], [""],
            lambda: os.read(os.open("f", os.O_RDONLY | os.O_NOATIME), 9))
    t.fails(errno.EPERM, opened, "f", os.O_RDONLY | os.O_NOATIME, by=OTHER)
    t.works(opened, "f", os.O_RDONLY | os.O_NOATIME, by=OWNER)


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
def the_time_of_birth_never_changes(t):
    write_file("f", b"data")
    status = Statx("f", mask=STATX_BTIME)
    t.expect("statx knows it", status.mask & STATX_BTIME)
    pause()
    os.utime("f", ns=(5, 6))
    os.chmod("f", 0o600)
    write_file("f", b"more")
    os.link("f", "g")
    os.rename("f", "h")
    t.equal("birth", Statx("h").btime, status.btime)
    t.equal("not asked for", Statx("h", mask=STATX_BASIC).mask & STATX_BASIC, STATX_BASIC)
    write_file("new")
    t.expect("a later one", Statx("new").btime > status.btime)


def distinguishes(kind):
    """Whether the kernel gives a native file system times that tell all changes apart."""
    version = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    return kind == "fuse" or version >= (6, 13)


@case
def a_change_after_a_look_has_another_time(t):
    """Even within the same tick of the clock: Linux has it so since 6.13."""
    if not distinguishes(t.kind):
        return
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    missed = {"write": 0, "chmod": 0, "name": 0}
    for index in range(300):
        before = os.fstat(fd).st_mtime_ns
        os.pwrite(fd, b"x", 0)
        missed["write"] += os.fstat(fd).st_mtime_ns <= before
        before = os.fstat(fd).st_ctime_ns
        os.fchmod(fd, 0o600 + index % 2)
        missed["chmod"] += os.fstat(fd).st_ctime_ns <= before
        before = os.stat(".").st_mtime_ns
        os.mkdir(f"d{index}")
        missed["name"] += os.stat(".").st_mtime_ns <= before
    t.equal("changes that cannot be seen", missed, {"write": 0, "chmod": 0, "name": 0})


@case
def what_fails_updates_nothing(t):
    make_folder("d", 0o755, OWNER)
    write_file("d/f", b"data", 0o644, OWNER)
    write_file("d/full", b"data")
    make_folder("d/sub")
    write_file("d/sub/x")
    paths = ["d", "d/f", "d/sub", "d/full", "."]

    def failures():
        t.fails(errno.EEXIST, os.mkdir, "d/sub")
        t.fails(errno.EEXIST, os.link, "d/f", "d/full")
        t.fails(errno.ENOTEMPTY, os.rmdir, "d/sub")
        t.fails(errno.ENOENT, os.unlink, "d/none")
        t.fails(errno.ENOTDIR, os.rename, "d/sub", "d/f")
        t.fails(errno.EINVAL, os.rename, "d", "d/sub/d")
        t.fails(errno.EINVAL, os.truncate, "d/f", -1)
        t.fails(errno.EACCES, os.truncate, "d/f", 0, by=OTHER)
        t.fails(errno.EACCES, os.unlink, "d/f", by=OTHER)
        t.fails(errno.EPERM, os.chmod, "d/f", 0o777, by=OTHER)
        t.fails(errno.EPERM, os.chown, "d/f", 1, 1, by=OTHER)
        t.fails(errno.ENODATA, os.removexattr, "d/f", "user.none")
        t.fails(errno.EEXIST, opened, "d/f", os.O_CREAT | os.O_EXCL | os.O_TRUNC | os.O_WRONLY)
        t.fails(errno.EISDIR, os.unlink, "d/sub")

    updates(t, "failures", paths, [""] * 5, failures)
    t.equal("content", read_file("d/f"), b"data")
