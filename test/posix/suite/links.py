"""Hard links, symbolic links, unlinked files, and folders that go."""
import errno
import os

from .harness import OTHER, OWNER, case, make_folder, mode_of, opened, read_file, write_file
from .libc import AT_SYMLINK_NOFOLLOW, Dir, LIBC, checked, path_bytes


@case
def hard_links_are_one_file(t):
    write_file("a", b"data")
    os.link("a", "b")
    make_folder("d")
    os.link("a", "d/c")
    t.equal("names", [os.stat(n).st_nlink for n in ("a", "b", "d/c")], [3, 3, 3])
    write_file("b", b"changed", 0o600)
    t.equal("content", read_file("d/c"), b"changed")
    t.equal("mode", mode_of("a"), 0o600)
    os.unlink("a")
    t.equal("names left", os.stat("b").st_nlink, 2)
    os.rename("d/c", "d/e")
    t.equal("names still", os.stat("d/e").st_nlink, 2)
    os.rename("d/e", "b")
    t.equal("renamed to its link", os.path.exists("d/e"), True)


@case
def folders_have_one_name(t):
    make_folder("d")
    t.fails(errno.EPERM, os.link, "d", "e")
    t.fails(errno.EPERM, os.link, "d", "d/e")


@case
def links_of_every_type(t):
    os.mkfifo("p")
    os.symlink("nowhere", "s")
    os.link("p", "p2")
    os.link("s", "s2", follow_symlinks=False)
    t.equal("fifo", os.stat("p2").st_ino, os.stat("p").st_ino)
    t.equal("symlink", os.readlink("s2"), "nowhere")
    t.equal("names", os.lstat("s").st_nlink, 2)

    def followed():
        checked(LIBC.linkat(-100, b"s", -100, b"s3", 0x400))

    t.fails(errno.ENOENT, followed)


@case(lacks={"tmpfs": "has no limit of links", "btrfs": "limits links by their names' length",
             "xfs": "its limit is 2^31", "overlay": "as the file system below"}, seconds=300)
def too_many_links_are_refused(t):
    write_file("f")
    made = 1
    limit = os.pathconf("f", "PC_LINK_MAX")
    try:
        while made <= 66_000:
            os.link("f", f"l{made}")
            made += 1
    except OSError as error:
        t.equal("the one too many", error.errno, errno.EMLINK)
    t.equal("links", os.stat("f").st_nlink, made)
    t.expect("a limit of at least 32,000", 32_000 <= made <= 65_000, made)
    t.expect("pathconf's limit is no smaller than LINK_MAX", limit >= 8, limit)


@case
def symlinks_hold_up_to_4095_bytes(t):
    for length in (1, 59, 60, 61, 255, 1024, 4000, 4095):
        target = bytes(33 + i % 90 for i in range(length)).replace(b"/", b"_")
        name = b"l%d" % length
        t.works(os.symlink, target, name)
        t.equal(f"{length} bytes", t.works(os.readlink, name), target)
        t.equal(f"size of {length}", os.lstat(name).st_size, length)
    t.fails(errno.ENAMETOOLONG, os.symlink, b"x" * 4096, b"long")
    t.fails(errno.ENOENT, os.symlink, b"", b"empty")
    os.symlink(b"\xff\xfe/\x01\n", b"bytes")
    t.equal("any bytes", os.readlink(b"bytes"), b"\xff\xfe/\x01\n")


@case
def readlink_cuts_at_the_buffer(t):
    import ctypes

    os.symlink("0123456789", "l")
    buffer = ctypes.create_string_buffer(b"#" * 16)
    t.equal("4 of 10", checked(LIBC.readlink(b"l", buffer, 4)), 4)
    t.equal("buffer", buffer.raw[:5], b"0123#")
    t.equal("all", checked(LIBC.readlink(b"l", buffer, 16)), 10)

    def nothing():
        checked(LIBC.readlink(b"l", buffer, 0))

    t.fails(errno.EINVAL, nothing)
    write_file("f")
    t.fails(errno.EINVAL, os.readlink, "f")
    t.fails(errno.EINVAL, os.readlink, ".")


@case
def loops_of_symlinks_end(t):
    os.symlink("self", "self")
    os.symlink("b", "a")
    os.symlink("a", "b")
    for name in ("self", "a", "b"):
        t.fails(errno.ELOOP, os.stat, name)
        t.fails(errno.ELOOP, opened, name)
        t.fails(errno.ELOOP, os.stat, f"{name}/x")
        t.fails(errno.ELOOP, os.chmod, name, 0o600)
        t.fails(errno.ELOOP, opened, name, os.O_WRONLY | os.O_CREAT)
    write_file("f", b"end")
    os.symlink("f", "chain0")
    for index in range(1, 42):
        os.symlink(f"chain{index - 1}", f"chain{index}")
    t.equal("40 links", t.works(read_file, "chain39"), b"end")
    t.fails(errno.ELOOP, os.stat, "chain40")


@case
def symlinks_are_followed_where_they_should(t):
    make_folder("d")
    write_file("d/f", b"data")
    os.symlink("d/f", "l")
    os.symlink("d", "to-d")
    os.symlink("d/made", "dangling")
    t.equal("read", read_file("l"), b"data")
    t.equal("through a folder", read_file("to-d/f"), b"data")
    write_file("dangling", b"new")
    t.equal("made through it", read_file("d/made"), b"new")
    t.fails(errno.EEXIST, opened, "dangling", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    t.fails(errno.ELOOP, opened, "l", os.O_RDONLY | os.O_NOFOLLOW)
    t.fails(errno.ENOTDIR, opened, "to-d", os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
    fd = os.open("l", os.O_PATH | os.O_NOFOLLOW)
    t.equal("O_PATH", os.readlink("", dir_fd=fd), "d/f")
    os.rename("l", "l2")
    t.equal("rename moves the link", os.readlink("l2"), "d/f")
    os.unlink("l2")
    t.equal("unlink takes the link", read_file("d/f"), b"data")
    t.equal("mode", mode_of("to-d"), 0o777)


@case
def unlinked_files_live_while_open(t):
    fd = os.open("f", os.O_RDWR | os.O_CREAT, 0o644)
    os.write(fd, b"before")
    os.unlink("f")
    status = os.fstat(fd)
    t.equal("names", status.st_nlink, 0)
    t.equal("size", status.st_size, 6)
    os.write(fd, b" and after" * 10_000)
    t.equal("read", os.pread(fd, 16, 0), b"before and after")
    os.ftruncate(fd, 3)
    os.fchmod(fd, 0o600)
    os.fchown(fd, OWNER.uid, OWNER.gid)
    os.utime(fd, ns=(1, 2))
    os.fsync(fd)
    status = os.fstat(fd)
    t.equal("changed", (status.st_size, status.st_uid, status.st_mtime_ns), (3, OWNER.uid, 2))
    write_file("f", b"another")
    t.equal("the old one", os.pread(fd, 16, 0), b"bef")
    again = t.works(os.open, f"/proc/self/fd/{fd}", os.O_RDWR)
    if again is not None:
        t.equal("opened again", os.pread(again, 16, 0), b"bef")
        os.close(again)
    t.works(os.truncate, f"/proc/self/fd/{fd}", 100)
    t.equal("cut by its descriptor's path", os.fstat(fd).st_size, 100)

    def revive():
        old = path_bytes(f"/proc/self/fd/{fd}")
        checked(LIBC.linkat(-100, old, -100, b"revived", 0x400))

    t.fails(errno.ENOENT, revive)


@case
def a_removed_folder_is_empty_and_takes_nothing(t):
    make_folder("d")
    listing = Dir("d")
    fd = os.open("d", os.O_RDONLY)
    os.chdir("d")
    os.rmdir("../d")
    t.fails(errno.ENOENT, opened, "f", os.O_WRONLY | os.O_CREAT)
    t.fails(errno.ENOENT, os.mkdir, "sub")
    t.fails(errno.ENOENT, os.symlink, "x", "s")
    t.fails(errno.ENOENT, os.mkfifo, "p")
    t.fails(errno.ENOENT, os.stat, "f")
    t.fails(errno.ENOENT, os.getcwd)
    t.equal("listed", os.listdir(fd), [])
    t.expect("listed by an open one", set(listing.rest()) <= {b".", b".."})
    t.expect("names", os.fstat(fd).st_nlink == 0, os.fstat(fd).st_nlink)
    t.works(os.stat, ".")
    os.fchdir(fd)
    os.chdir("..")
    write_file("f")

    def into():
        os.link("f", "g", dst_dir_fd=fd)

    t.fails(errno.ENOENT, into)
    t.fails(errno.ENOENT, os.rename, "f", "g", dst_dir_fd=fd)
    t.expect("f stays", os.path.exists("f"))


@case
def a_folder_that_is_in_use_can_go(t):
    os.makedirs("d/cwd")
    os.chdir("d/cwd")
    os.rmdir("../../d/cwd")
    t.works(os.stat, ".")
    t.fails(errno.ENOENT, os.getcwd)


@case
def folders_with_content_stay(t):
    make_folder("d")
    for make in (write_file, os.mkdir, os.mkfifo, lambda n: os.symlink("x", n)):
        make("d/.hidden")
        t.fails((errno.ENOTEMPTY, errno.EEXIST), os.rmdir, "d")
        (os.rmdir if make is os.mkdir else os.unlink)("d/.hidden")
    t.works(os.rmdir, "d")


@case
def removing_asks_for_the_folder_not_the_file(t):
    make_folder("mine", 0o755, OWNER)
    write_file("mine/roots", b"", 0o000)
    make_folder("roots", 0o755)
    write_file("roots/mine", b"", 0o666, OWNER)
    t.fails(errno.EACCES, os.unlink, "roots/mine", by=OWNER)
    t.fails(errno.EACCES, os.unlink, "mine/roots", by=OTHER)
    t.works(os.unlink, "mine/roots", by=OWNER)
    make_folder("hidden", 0o700)
    write_file("hidden/f", b"", 0o666)
    t.fails(errno.EACCES, os.stat, "hidden/f", by=OTHER)
    t.fails(errno.EACCES, os.link, "hidden/f", "x", by=OTHER)
    t.fails(errno.EACCES, os.link, "roots/mine", "roots/x", by=OWNER)


@case
def times_and_owner_of_a_symlink_are_its_own(t):
    write_file("f")
    os.symlink("f", "l")
    os.lchown("l", OWNER.uid, OWNER.gid)
    os.utime("l", ns=(10**9, 2 * 10**9), follow_symlinks=False)
    link, file = os.lstat("l"), os.stat("f")
    t.equal("owner", (link.st_uid, file.st_uid), (OWNER.uid, 0))
    t.equal("mtime", link.st_mtime_ns, 2 * 10**9)
    t.expect("the file's mtime", file.st_mtime_ns > 10**18)
    flags = AT_SYMLINK_NOFOLLOW

    def change():
        checked(LIBC.fchmodat(-100, b"l", 0o600, flags))

    t.fails(errno.EOPNOTSUPP, change)
