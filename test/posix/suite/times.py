"""Timestamps: what updates which, to the nanosecond, and who may set them."""
import errno
import os
import time

from .harness import OTHER, OWNER, case, make_folder, opened, read_file, write_file
from .libc import FALLOC_KEEP, FALLOC_PUNCH, RENAME_EXCHANGE, STATX_BASIC, STATX_BTIME, Statx
from .libc import fallocate, renameat2

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
