"""Names, paths and how they are resolved."""
import errno
import os
import stat

from .harness import case, make_folder, opened, read_file, write_file
from .libc import Statx

LONGEST = b"n" * 255


@case
def every_byte_but_slash_and_nul_is_a_name(t):
    bytes_ = [bytes([b]) for b in range(1, 256) if b not in b"/."]
    for name in bytes_:
        write_file(b"x" + name, name)
    listed = set(os.listdir(b"."))
    t.equal("names listed", listed, {b"x" + name for name in bytes_})
    wrong = [name for name in bytes_ if read_file(b"x" + name) != name]
    t.equal("names that lead elsewhere", wrong, [])
    for name in bytes_:
        os.unlink(b"x" + name)
    t.equal("left", os.listdir(b"."), [])


@case
def names_are_bytes_without_case_or_encoding(t):
    names = [b"a", b"A", b"\xff\xfe", b"\xc3", "é".encode(), "e\u0301".encode(), b" ", b"...",
             b"-rf", b"a\nb", b"\\", b"*", b"\xe2\x80\xae", bytes(range(1, 47)), b"a.", b" a "]
    for index, name in enumerate(names):
        write_file(name, b"%d" % index)
    t.equal("listed", sorted(os.listdir(b".")), sorted(names))
    for index, name in enumerate(names):
        t.equal(f"content of {name}", read_file(name), b"%d" % index)


@case
def names_of_255_bytes_work_in_every_call(t):
    other = b"\xf0" * 255
    write_file(LONGEST, b"data")
    os.link(LONGEST, other)
    os.rename(LONGEST, LONGEST[:-1] + b"2")
    make_folder(LONGEST)
    os.symlink(other, b"s" * 255)
    os.mkfifo(b"f" * 255)
    t.equal("through the link", read_file(b"s" * 255), b"data")
    t.equal("listed", {len(name) for name in os.listdir(b".")}, {255})
    t.equal("entries", len(os.listdir(b".")), 5)
    os.rmdir(LONGEST)


@case
def names_of_256_bytes_are_too_long(t):
    long = b"n" * 256
    write_file(b"f")
    make_folder(b"d")
    code = errno.ENAMETOOLONG
    t.fails(code, os.stat, long)
    t.fails(code, opened, long, os.O_RDONLY)
    t.fails(code, opened, long, os.O_WRONLY | os.O_CREAT)
    t.fails(code, os.mkdir, long)
    t.fails(code, os.mkfifo, long)
    t.fails(code, os.symlink, b"f", long)
    t.fails(code, os.link, b"f", long)
    t.fails(code, os.rename, b"f", long)
    t.fails(code, os.rename, long, b"g")
    t.fails(code, os.rename, b"d", long)
    t.fails(code, os.unlink, long)
    t.fails(code, os.rmdir, long)
    t.fails(code, os.readlink, long)
    t.fails(code, os.chmod, long, 0o600)
    t.fails(code, os.utime, long)
    t.fails(code, os.stat, long + b"/x")
    t.equal("listed", sorted(os.listdir(b".")), [b"d", b"f"])


@case
def paths_end_at_4095_bytes(t):
    write_file("f", b"data")
    path = b"./" * 2047 + b"f"
    t.equal("bytes", len(path), 4095)
    t.equal("4095 bytes", t.works(read_file, path), b"data")
    t.fails(errno.ENAMETOOLONG, os.stat, b"." + path)
    t.fails(errno.ENAMETOOLONG, os.mkdir, b"/" * 4096)
    t.fails(errno.ENOENT, os.stat, b"")


@case
def trees_go_deeper_than_a_path_can_say(t):
    top = os.open(".", os.O_RDONLY)
    for _ in range(40):
        os.mkdir(LONGEST)
        os.chdir(LONGEST)
    write_file("deep", b"down")
    t.equal("read", read_file("deep"), b"down")
    for _ in range(40):
        os.chdir("..")
    t.equal("up again", os.stat(".").st_ino, os.fstat(top).st_ino)
    t.expect("the way down is there", os.path.isdir(LONGEST))


@case
def a_file_is_no_folder(t):
    write_file("f")
    os.mkfifo("p")
    os.symlink("f", "to-f")
    for name in ("f", "p", "to-f"):
        t.fails(errno.ENOTDIR, os.stat, f"{name}/x")
        t.fails(errno.ENOTDIR, os.stat, f"{name}/")
        t.fails(errno.ENOTDIR, os.stat, f"{name}/.")
        t.fails(errno.ENOTDIR, os.stat, f"{name}/..")
        t.fails(errno.ENOTDIR, opened, f"{name}/x", os.O_WRONLY | os.O_CREAT)
        t.fails(errno.ENOTDIR, os.mkdir, f"{name}/x")
        t.fails(errno.ENOTDIR, os.rename, "f", f"{name}/x")
        t.fails(errno.ENOTDIR, os.chdir, name)
        t.fails(errno.ENOTDIR, os.listdir, name)
        t.fails(errno.ENOTDIR, os.rmdir, name)
        t.fails(errno.ENOTDIR, opened, name, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK)


@case
def a_folder_is_no_file(t):
    make_folder("d")
    t.fails(errno.EISDIR, opened, "d", os.O_WRONLY)
    t.fails(errno.EISDIR, opened, "d", os.O_RDWR)
    t.fails(errno.EISDIR, opened, "d", os.O_RDONLY | os.O_CREAT)
    t.fails(errno.EISDIR, os.truncate, "d", 0)
    t.fails(errno.EISDIR, os.unlink, "d")
    t.fails(errno.EEXIST, opened, "d", os.O_RDONLY | os.O_CREAT | os.O_EXCL)
    write_file("f")
    t.fails(errno.EISDIR, os.rename, "f", "d")
    t.fails(errno.ENOTDIR, os.rename, "d", "f")
    fd = os.open("d", os.O_RDONLY)
    t.fails(errno.EISDIR, os.read, fd, 10)
    t.fails(errno.EBADF, os.write, fd, b"x")
    t.fails((errno.EINVAL, errno.EBADF), os.ftruncate, fd, 0)


@case
def trailing_slashes_ask_for_a_folder(t):
    make_folder("d")
    write_file("f")
    os.symlink("d", "to-d")
    t.fails(errno.EISDIR, opened, "new/", os.O_WRONLY | os.O_CREAT)
    t.fails(errno.ENOENT, opened, "new/", os.O_RDONLY)
    t.fails((errno.ENOENT, errno.ENOTDIR), os.symlink, "x", "new/")
    t.fails((errno.ENOENT, errno.ENOTDIR), os.link, "f", "new/")
    t.fails(errno.ENOTDIR, os.rename, "f", "new/")
    t.fails(errno.ENOTDIR, os.unlink, "f/")
    t.fails(errno.ENOTDIR, os.unlink, "to-d/")
    t.fails(errno.ENOTDIR, os.rmdir, "to-d/")
    os.mkdir("made/")
    os.rename("made/", "moved/")
    t.expect("a folder moved", os.path.isdir("moved"))
    os.rmdir("moved/")
    t.expect("lstat follows", stat.S_ISDIR(os.lstat("to-d/").st_mode))
    t.expect("lstat does not", stat.S_ISLNK(os.lstat("to-d").st_mode))
    t.fails(errno.EINVAL, os.readlink, "to-d/")


@case
def dot_and_dotdot_cannot_go(t):
    make_folder("d")
    t.fails(errno.EINVAL, os.rmdir, "d/.")
    t.fails(errno.ENOTEMPTY, os.rmdir, "d/..")
    t.fails((errno.EISDIR, errno.EINVAL), os.unlink, "d/.")
    t.fails((errno.EBUSY, errno.EINVAL), os.rename, "d/.", "e")
    t.fails((errno.EBUSY, errno.EINVAL), os.rename, "d", "d/..")
    t.fails(errno.EEXIST, os.mkdir, "d/.")
    t.fails(errno.EEXIST, os.mkdir, "d/..")
    t.equal("d/..", os.stat("d/..").st_ino, os.stat(".").st_ino)


@case
def names_that_exist_cannot_be_made(t):
    write_file("f")
    make_folder("d")
    os.symlink("nowhere", "s")
    os.mkfifo("p")
    for name in ("f", "d", "s", "p"):
        t.fails(errno.EEXIST, os.mkdir, name)
        t.fails(errno.EEXIST, os.mkfifo, name)
        t.fails(errno.EEXIST, os.symlink, "x", name)
        t.fails(errno.EEXIST, os.link, "f", name)
        t.fails(errno.EEXIST, opened, name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)


@case
def names_that_do_not_exist(t):
    for call in (os.stat, os.unlink, os.rmdir, os.readlink, os.listdir, os.chdir, opened, os.utime):
        t.fails(errno.ENOENT, call, "none")
        t.fails(errno.ENOENT, call, "none/below")
    t.fails(errno.ENOENT, os.chmod, "none", 0o600)
    t.fails(errno.ENOENT, os.chown, "none", 0, 0)
    t.fails(errno.ENOENT, os.truncate, "none", 0)
    t.fails(errno.ENOENT, os.mkdir, "none/d")
    t.fails(errno.ENOENT, os.symlink, "x", "none/s")
    write_file("f")
    t.fails(errno.ENOENT, os.link, "none", "g")
    t.fails(errno.ENOENT, os.link, "f", "none/g")
    t.fails(errno.ENOENT, os.rename, "none", "g")
    t.fails(errno.ENOENT, os.rename, "f", "none/g")
    t.equal("left", os.listdir("."), ["f"])


@case
def other_devices_are_elsewhere(t):
    write_file("f")
    shm = "/dev/shm" if os.stat("/dev/shm").st_dev != os.stat(".").st_dev else "/sys"
    t.fails(errno.EXDEV, os.rename, "f", f"{shm}/posix-suite-f")
    t.fails(errno.EXDEV, os.link, "f", f"{shm}/posix-suite-f")


@case
def negative_answers_do_not_stay(t):
    make_folder("d")
    for name in ("x", "d/x"):
        t.fails(errno.ENOENT, os.stat, name)
        write_file(name, b"1")
        t.equal("made", read_file(name), b"1")
        os.unlink(name)
        t.fails(errno.ENOENT, os.stat, name)
        os.mkdir(name)
        t.expect("a folder", os.path.isdir(name))
        os.rmdir(name)
        t.fails(errno.ENOENT, os.stat, name)


@case
def inode_numbers_tell_files_apart(t):
    for index in range(50):
        write_file(f"f{index}")
        make_folder(f"d{index}")
    names = os.listdir(".")
    t.equal("numbers", len({os.stat(name).st_ino for name in names}), 100)
    scanned = {entry.name: entry.inode() for entry in os.scandir(".")}
    t.equal("by listing", scanned, {name: os.stat(name).st_ino for name in names})
    t.equal("statx", Statx("f0").ino, os.stat("f0").st_ino)
    t.equal("device", {os.stat(name).st_dev for name in names}, {os.stat(".").st_dev})
