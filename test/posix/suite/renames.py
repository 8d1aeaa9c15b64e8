"""rename(2) and renameat2(2)."""
import errno
import os
import stat

from .harness import OTHER, OWNER, Process, case, make_folder, read_file, write_file
from .libc import RENAME_EXCHANGE, RENAME_NOREPLACE, renameat2


@case
def a_file_replaces_a_file(t):
    write_file("a", b"new")
    write_file("b", b"old")
    ino = os.stat("a").st_ino
    os.rename("a", "b")
    t.equal("content", read_file("b"), b"new")
    t.equal("inode", os.stat("b").st_ino, ino)
    t.equal("listed", os.listdir("."), ["b"])


@case
def open_files_stay_usable_on_both_sides(t):
    write_file("a", b"new")
    write_file("b", b"old")
    new, old = os.open("a", os.O_RDWR), os.open("b", os.O_RDWR)
    os.rename("a", "b")
    t.equal("replaced, read", os.pread(old, 9, 0), b"old")
    os.pwrite(old, b"OLD!", 0)
    t.equal("replaced, written", os.pread(old, 9, 0), b"OLD!")
    t.equal("replaced, names", os.fstat(old).st_nlink, 0)
    os.pwrite(new, b"NEW!", 0)
    t.equal("by name", read_file("b"), b"NEW!")
    t.equal("names", os.fstat(new).st_nlink, 1)


@case
def all_types_move_and_replace_each_other(t):
    def make(kind, name):
        {"f": write_file, "p": os.mkfifo, "s": lambda n: os.symlink("x", n)}[kind](name)

    for first in "fps":
        for second in "fps":
            make(first, "from")
            make(second, "to")
            kind = stat.S_IFMT(os.lstat("from").st_mode)
            os.rename("from", "to")
            t.equal(f"{first} over {second}", stat.S_IFMT(os.lstat("to").st_mode), kind)
            os.unlink("to")


@case
def an_empty_folder_is_replaced_a_full_one_not(t):
    make_folder("a")
    write_file("a/inside")
    make_folder("b")
    os.rename("a", "b")
    t.equal("moved", os.listdir("b"), ["inside"])
    make_folder("c")
    t.fails((errno.ENOTEMPTY, errno.EEXIST), os.rename, "c", "b")
    t.equal("kept", os.listdir("b"), ["inside"])
    t.equal("nlink", os.stat(".").st_nlink in (4, 1, 2), True)


@case
def a_folder_does_not_go_into_itself(t):
    os.makedirs("a/b/c")
    t.fails(errno.EINVAL, os.rename, "a", "a/x")
    t.fails(errno.EINVAL, os.rename, "a", "a/b/c/x")
    t.fails(errno.EINVAL, os.rename, "a", "a/b")
    t.fails(errno.ENOTEMPTY, os.rename, "a/b/c", "a")
    t.fails(errno.EINVAL, renameat2, "a", "a/b", RENAME_EXCHANGE)
    t.expect("all there", os.path.isdir("a/b/c"))
    os.rename("a", "a")
    os.rename("a/b/c", "a/b/c")


@case
def links_of_one_file_stay_both(t):
    write_file("a", b"data")
    os.link("a", "b")
    os.rename("a", "b")
    t.equal("listed", sorted(os.listdir(".")), ["a", "b"])
    os.rename("a", "a")
    t.equal("names", os.stat("a").st_nlink, 2)
    t.fails(errno.EEXIST, renameat2, "a", "b", RENAME_NOREPLACE)
    t.works(renameat2, "a", "b", RENAME_EXCHANGE)
    t.equal("listed again", sorted(os.listdir(".")), ["a", "b"])


@case
def noreplace_refuses_what_exists(t):
    write_file("a", b"a")
    write_file("b", b"b")
    make_folder("d")
    os.symlink("nowhere", "s")
    for target in ("b", "d", "s", "a"):
        t.fails(errno.EEXIST, renameat2, "a", target, RENAME_NOREPLACE)
    t.fails(errno.EEXIST, renameat2, "d", "b", RENAME_NOREPLACE)
    renameat2("a", "new", RENAME_NOREPLACE)
    t.equal("moved", read_file("new"), b"a")
    renameat2("d", "folder", RENAME_NOREPLACE)
    t.expect("moved", os.path.isdir("folder"))
    t.fails(errno.ENOENT, renameat2, "none", "x", RENAME_NOREPLACE)


@case
def exchange_swaps_any_two(t):
    write_file("f", b"f")
    os.makedirs("d/sub")
    os.symlink("x", "s")
    before = {name: os.lstat(name).st_ino for name in "fds"}
    renameat2("f", "d", RENAME_EXCHANGE)
    renameat2("s", "d", RENAME_EXCHANGE)
    after = {name: os.lstat(name).st_ino for name in "fds"}
    t.equal("inodes", after, {"f": before["d"], "s": before["f"], "d": before["s"]})
    t.expect("folder at f", os.path.isdir("f/sub"))
    t.fails(errno.ENOENT, renameat2, "f", "none", RENAME_EXCHANGE)
    t.fails(errno.ENOENT, renameat2, "none", "f", RENAME_EXCHANGE)


@case
def exchange_across_folders_counts_links(t):
    os.makedirs("one/folder/deep")
    make_folder("two")
    write_file("two/file")
    counts = os.stat("one").st_nlink, os.stat("two").st_nlink
    renameat2("one/folder", "two/file", RENAME_EXCHANGE)
    t.expect("the folder is in two", os.path.isdir("two/file/deep"))
    t.equal("parent", os.stat("two/file/..").st_ino, os.stat("two").st_ino)
    after = os.stat("one").st_nlink, os.stat("two").st_nlink
    t.equal("nlink", after, (counts[0] - 1, counts[1] + 1) if counts[0] > 2 else after)


@case
def flags_that_contradict_are_refused(t):
    write_file("a")
    write_file("b")
    t.fails(errno.EINVAL, renameat2, "a", "b", RENAME_NOREPLACE | RENAME_EXCHANGE)
    t.fails(errno.EINVAL, renameat2, "a", "b", 1 << 20)
    t.equal("listed", sorted(os.listdir(".")), ["a", "b"])


@case
def a_moved_folder_knows_its_parent(t):
    os.makedirs("a/moved/sub")
    make_folder("b")
    counts = os.stat("a").st_nlink, os.stat("b").st_nlink
    fd = os.open("a/moved", os.O_RDONLY)
    os.rename("a/moved", "b/moved")
    t.equal("..", os.stat("b/moved/..").st_ino, os.stat("b").st_ino)
    t.equal(".. of the open one", os.stat("..", dir_fd=fd).st_ino, os.stat("b").st_ino)
    after = os.stat("a").st_nlink, os.stat("b").st_nlink
    if counts[0] > 2:
        t.equal("nlink", after, (counts[0] - 1, counts[1] + 1))
    listed = {name: ino for ino, _, _, name in _entries("b/moved")}
    t.equal("listed ..", listed[b".."], os.stat("b").st_ino)


def _entries(path):
    from .libc import getdents

    fd = os.open(path, os.O_RDONLY)
    try:
        return getdents(fd, 4096)
    finally:
        os.close(fd)


@case
def permissions_of_both_folders_count(t):
    make_folder("mine", 0o755, OWNER)
    make_folder("other", 0o755, OTHER)
    make_folder("closed", 0o555, OWNER)
    write_file("mine/f", b"", 0o644, OWNER)
    t.fails(errno.EACCES, os.rename, "mine/f", "other/f", by=OWNER)
    t.fails(errno.EACCES, os.rename, "mine/f", "closed/f", by=OWNER)
    t.fails(errno.EACCES, os.rename, "mine/f", "mine/g", by=OTHER)
    t.works(os.rename, "mine/f", "mine/g", by=OWNER)
    make_folder("mine/d", 0o555, OTHER)
    make_folder("elsewhere", 0o777)
    # Moving a folder elsewhere changes its "..", so it must be writable.
    t.fails(errno.EACCES, os.rename, "mine/d", "elsewhere/d", by=OWNER)
    t.works(os.rename, "mine/d", "mine/e", by=OWNER)


@case
def a_sticky_folder_protects_what_is_in_it(t):
    make_folder("tmp", 0o1777)
    for name, owner in (("a", OWNER), ("b", OTHER), ("c", OWNER)):
        write_file(f"tmp/{name}", name.encode(), 0o666, owner)
    make_folder("tmp/d", 0o777, OWNER)
    t.fails(errno.EPERM, os.unlink, "tmp/a", by=OTHER)
    t.fails(errno.EPERM, os.rename, "tmp/a", "tmp/x", by=OTHER)
    t.fails(errno.EPERM, os.rename, "tmp/b", "tmp/a", by=OTHER)
    t.fails(errno.EPERM, renameat2, "tmp/b", "tmp/a", RENAME_EXCHANGE, by=OTHER)
    t.fails(errno.EPERM, os.rmdir, "tmp/d", by=OTHER)
    t.works(os.rename, "tmp/a", "tmp/c", by=OWNER)
    t.works(os.unlink, "tmp/c", by=OWNER)
    make_folder("owned", 0o1777, OTHER)
    write_file("owned/f", b"", 0o644, OWNER)
    t.works(os.unlink, "owned/f", by=OTHER)  # the folder is theirs
    t.works(os.unlink, "tmp/b")  # by root


@case
def a_name_that_is_replaced_never_misses(t):
    write_file("target", b"0")

    def look():
        missed = 0
        for _ in range(3000):
            try:
                os.stat("target")
            except FileNotFoundError:
                missed += 1
        return missed

    watcher = Process(look)
    for index in range(600):
        write_file("fresh", b"%d" % index)
        os.rename("fresh", "target")
    t.equal("looks that found nothing", watcher.result(), 0)
