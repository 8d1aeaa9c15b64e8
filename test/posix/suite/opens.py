"""open(2)'s flags, O_TMPFILE among them, and limits on what a process may open and write."""
import errno
import fcntl
import os
import resource
import signal
import stat

from .harness import OTHER, OWNER, case, make_folder, mode_of, opened, read_file, write_file
from .libc import AT_FDCWD, AT_SYMLINK_FOLLOW, LIBC, O_TMPFILE, checked, path_bytes

RO, WO, RW, CREAT = os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_CREAT


def link_in(fd, name):
    """Gives an unnamed file a name."""
    old = path_bytes(f"/proc/self/fd/{fd}")
    checked(LIBC.linkat(AT_FDCWD, old, AT_FDCWD, path_bytes(name), AT_SYMLINK_FOLLOW))


@case
def o_creat_and_o_excl(t):
    opened("f", WO | CREAT | os.O_EXCL)
    t.fails(errno.EEXIST, opened, "f", WO | CREAT | os.O_EXCL)
    t.works(opened, "f", WO | CREAT)
    t.works(opened, "f", WO | os.O_EXCL)
    os.symlink("none", "s")
    t.fails(errno.EEXIST, opened, "s", WO | CREAT | os.O_EXCL)
    t.fails(errno.EEXIST, opened, ".", RO | CREAT | os.O_EXCL)
    t.fails(errno.EISDIR, opened, ".", RO | CREAT)
    make_folder("closed", 0o555, OWNER)
    t.fails(errno.EACCES, opened, "closed/f", WO | CREAT, by=OWNER)
    write_file("closed/f", b"", 0o644, OWNER)
    t.works(opened, "closed/f", WO | CREAT, by=OWNER)


@case
def o_excl_has_one_winner(t):
    from .harness import Process

    def race():
        won = 0
        for index in range(100):
            try:
                opened(f"f{index}", WO | CREAT | os.O_EXCL)
                won += 1
            except FileExistsError:
                pass
        return won

    racers = [Process(race) for _ in range(4)]
    t.equal("files won", sum(racer.result() for racer in racers), 100)
    t.equal("files", len(os.listdir(".")), 100)


@case
def o_trunc_o_append_and_positions(t):
    write_file("f", b"0123456789")
    fd = os.open("f", RW | os.O_APPEND)
    t.equal("position at first", os.lseek(fd, 0, os.SEEK_CUR), 0)
    t.equal("read at first", os.read(fd, 3), b"012")
    os.write(fd, b"ab")
    t.equal("position after appending", os.lseek(fd, 0, os.SEEK_CUR), 12)
    os.lseek(fd, 2, os.SEEK_SET)
    os.write(fd, b"cd")
    t.equal("appended", read_file("f"), b"0123456789abcd")
    os.pwrite(fd, b"ef", 0)
    t.equal("pwrite appends, too (Linux)", read_file("f"), b"0123456789abcdef")
    os.truncate("f", 4)
    os.write(fd, b"gh")
    t.equal("behind a cut", read_file("f"), b"0123gh")
    fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    os.pwrite(fd, b"XY", 0)
    t.equal("without the flag", read_file("f"), b"XY23gh")
    t.equal("F_GETFL", fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE, RW)
    opened("f", WO | os.O_TRUNC)
    t.equal("cut", read_file("f"), b"")
    t.works(opened, "f", RO | os.O_TRUNC)


@case
def o_nofollow_o_directory_o_path(t):
    write_file("f", b"data")
    make_folder("d")
    os.symlink("f", "s")
    os.symlink("d", "sd")
    t.fails(errno.ELOOP, opened, "s", RO | os.O_NOFOLLOW)
    t.fails(errno.ELOOP, opened, "s", WO | CREAT | os.O_NOFOLLOW)
    t.fails(errno.ELOOP, opened, "sd", RO | os.O_NOFOLLOW)
    t.fails(errno.ENOTDIR, opened, "f", RO | os.O_DIRECTORY)
    t.works(opened, "sd", RO | os.O_DIRECTORY)
    t.fails(errno.EINVAL, opened, "new", RO | CREAT | os.O_DIRECTORY)
    fd = os.open("f", os.O_PATH)
    t.fails(errno.EBADF, os.read, fd, 1)
    t.fails(errno.EBADF, os.fchmod, fd, 0o600)
    t.equal("fstat", os.fstat(fd).st_size, 4)
    again = os.open(f"/proc/self/fd/{fd}", RO)
    t.equal("opened by it", os.read(again, 9), b"data")
    write_file("locked", b"data", 0o000, OWNER)
    t.works(opened, "locked", os.O_PATH, by=OTHER)


@case
def creating_asks_only_for_what_the_flags_say(t):
    make_folder("d", 0o777)
    fd = os.open("d/ro", RO | CREAT, 0o444)
    t.fails(errno.EBADF, os.write, fd, b"x")
    fd = os.open("d/wo", WO | CREAT, 0o444)
    t.equal("write a read-only file made so", os.write(fd, b"x"), 1)
    t.fails(errno.EBADF, os.read, fd, 1)


@case
def positions_belong_to_open_descriptions(t):
    write_file("f", b"0123456789")
    fd = os.open("f", RO)
    copy = os.dup(fd)
    other = os.open("f", RO)
    os.read(fd, 4)
    t.equal("dup", os.lseek(copy, 0, os.SEEK_CUR), 4)
    t.equal("another open", os.lseek(other, 0, os.SEEK_CUR), 0)
    t.equal("from the end", os.lseek(fd, -1, os.SEEK_END), 9)
    t.equal("behind the end", os.lseek(fd, 100, os.SEEK_END), 110)
    t.equal("read there", os.read(fd, 1), b"")
    t.fails(errno.EINVAL, os.lseek, fd, -1, os.SEEK_SET)
    t.fails(errno.EINVAL, os.lseek, fd, -11, os.SEEK_END)
    t.fails(errno.EINVAL, os.lseek, fd, 0, 99)
    t.equal("unmoved", os.lseek(fd, 0, os.SEEK_CUR), 110)


@case
def unnamed_files_can_get_a_name(t):
    fd = os.open(".", O_TMPFILE | RW, 0o640)
    os.write(fd, b"data")
    status = os.fstat(fd)
    t.equal("names", status.st_nlink, 0)
    t.equal("mode", stat.S_IMODE(status.st_mode), 0o640)
    t.expect("a regular file", stat.S_ISREG(status.st_mode))
    t.equal("listed", os.listdir("."), [])
    link_in(fd, "named")
    t.equal("names then", os.fstat(fd).st_nlink, 1)
    t.equal("inode", os.stat("named").st_ino, status.st_ino)
    t.equal("content", read_file("named"), b"data")
    os.write(fd, b" and more")
    link_in(fd, "second")
    t.equal("content then", read_file("second"), b"data and more")
    t.fails(errno.EEXIST, link_in, fd, "second")
    os.unlink("named")
    os.unlink("second")
    t.fails(errno.ENOENT, link_in, fd, "revived")
    t.equal("still usable", os.pread(fd, 4, 0), b"data")


@case
def unnamed_files_with_o_excl_stay_so(t):
    fd = os.open(".", O_TMPFILE | RW | os.O_EXCL, 0o600)
    os.write(fd, b"data" * 5000)
    t.equal("read", os.pread(fd, 4, 4), b"data")
    t.fails(errno.ENOENT, link_in, fd, "named")
    os.close(fd)
    t.equal("listed", os.listdir("."), [])


@case
def unnamed_files_follow_the_rules_of_new_ones(t):
    write_file("f")
    make_folder("d", 0o2777)
    os.chown("d", 0, OTHER.gid)
    os.chmod("d", 0o2777)
    make_folder("closed", 0o555)
    t.fails(errno.EINVAL, opened, ".", O_TMPFILE | RO)
    t.fails(errno.ENOTDIR, opened, "f", O_TMPFILE | RW)
    t.fails(errno.ENOENT, opened, "none", O_TMPFILE | RW)
    t.fails(errno.EACCES, opened, "closed", O_TMPFILE | RW, by=OWNER)

    def make():
        os.umask(0o027)
        fd = os.open("d", O_TMPFILE | WO, 0o666)
        link_in(fd, "d/made")

    t.works(make, by=OWNER)
    status = os.stat("d/made")
    t.equal("owner", (status.st_uid, status.st_gid), (OWNER.uid, OTHER.gid))
    t.equal("mode", mode_of("d/made"), 0o640)


@case
def many_files_open_at_once(t):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 3000), hard))
    count = min(hard, 3000) - 100
    fds = []
    for index in range(count):
        fds.append(os.open(f"f{index}", RW | CREAT))
        os.write(fds[-1], b"%d" % index)
    wrong = [index for index, fd in enumerate(fds) if os.pread(fd, 9, 0) != b"%d" % index]
    t.equal("wrong", wrong, [])


@case
def rlimit_fsize_stops_growth(t):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    write_file("f", bytes(5000))
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    fd = os.open("f", RW)
    t.equal("what fits is written", os.pwrite(fd, bytes(9000), 4000), 6000)
    t.equal("size", os.fstat(fd).st_size, 10_000)
    t.fails(errno.EFBIG, os.pwrite, fd, b"x", 10_000)
    t.fails(errno.EFBIG, os.ftruncate, fd, 10_001)
    t.works(os.ftruncate, fd, 10_000)
    t.works(os.pwrite, fd, b"x", 9_999)
    t.equal("size stays", os.fstat(fd).st_size, 10_000)

    def killed():
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        os.pwrite(fd, b"x", 10_000)

    pid = os.fork()
    if pid == 0:
        try:
            killed()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    t.equal("signal", os.WTERMSIG(status), signal.SIGXFSZ)
