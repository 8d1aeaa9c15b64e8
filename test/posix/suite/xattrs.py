"""Extended attributes: limits, flags, errnos, and who may see and set which."""
import errno
import os
import subprocess

from .harness import MEMBER, OTHER, OWNER, case, make_folder, read_file, write_file
from .libc import LIBC, XATTR_CREATE, XATTR_REPLACE, checked

BIG = {"ext4": "keeps all attributes of a file in one block", "tmpfs": "has no user attributes",
       "overlay": "as the file system below"}
NO_USER = {"tmpfs": "has no user attributes before Linux 6.6"}


@case(lacks=NO_USER)
def attributes_are_set_read_replaced_and_removed(t):
    write_file("f")
    make_folder("d")
    for name in ("f", "d"):
        os.setxattr(name, "user.one", b"1")
        os.setxattr(name, "user.two", b"")
        os.setxattr(name, "user.bytes", bytes(range(256)))
        t.equal("one", os.getxattr(name, "user.one"), b"1")
        t.equal("empty", os.getxattr(name, "user.two"), b"")
        t.equal("bytes", os.getxattr(name, "user.bytes"), bytes(range(256)))
        os.setxattr(name, "user.one", b"longer")
        t.equal("replaced", os.getxattr(name, "user.one"), b"longer")
        listed = sorted(x for x in os.listxattr(name) if x.startswith("user."))
        t.equal("listed", listed, ["user.bytes", "user.one", "user.two"])
        os.removexattr(name, "user.one")
        t.fails(errno.ENODATA, os.getxattr, name, "user.one")
        t.fails(errno.ENODATA, os.removexattr, name, "user.one")


@case(lacks=NO_USER)
def create_and_replace(t):
    write_file("f")
    t.fails(errno.ENODATA, os.setxattr, "f", "user.x", b"1", XATTR_REPLACE)
    t.works(os.setxattr, "f", "user.x", b"1", XATTR_CREATE)
    t.fails(errno.EEXIST, os.setxattr, "f", "user.x", b"2", XATTR_CREATE)
    t.works(os.setxattr, "f", "user.x", b"3", XATTR_REPLACE)
    t.equal("value", os.getxattr("f", "user.x"), b"3")
    t.fails(errno.EINVAL, os.setxattr, "f", "user.x", b"4", 8)


@case(lacks=BIG)
def values_go_to_64_kib(t):
    write_file("f")
    value = bytes(index % 251 for index in range(65536))
    for size in (4096, 65535, 65536):
        t.works(os.setxattr, "f", f"user.size{size}", value[:size])
        t.expect(f"{size}", t.works(os.getxattr, "f", f"user.size{size}") == value[:size])
    t.works(os.setxattr, "f", "trusted.big", value)
    t.works(os.setxattr, "f", "security.big", value)
    t.equal("names", len(os.listxattr("f")), 5)


@case(lacks=NO_USER)
def too_large_is_refused(t):
    write_file("f")
    t.fails(errno.E2BIG, os.setxattr, "f", "user.x", bytes(65537))
    longest = "user." + "n" * 250
    t.works(os.setxattr, "f", longest, b"1")
    t.equal("a name of 255", os.getxattr("f", longest), b"1")
    t.fails(errno.ERANGE, os.setxattr, "f", longest + "n", b"1")
    t.fails(errno.ERANGE, os.getxattr, "f", longest + "n")
    t.fails(errno.EINVAL, os.setxattr, "f", "user.", b"1")
    t.fails(errno.EOPNOTSUPP, os.setxattr, "f", "noprefix", b"1")
    t.fails(errno.EOPNOTSUPP, os.setxattr, "f", "unknown.x", b"1")
    t.fails((errno.EINVAL, errno.ERANGE), os.setxattr, "f", "", b"1")


def raw(function, *arguments):
    return checked(function(*arguments))


@case(lacks=NO_USER)
def small_buffers_are_erange(t):
    import ctypes

    write_file("f")
    os.setxattr("f", "user.x", b"12345678")
    buffer = ctypes.create_string_buffer(100)
    t.equal("asked", raw(LIBC.getxattr, b"f", b"user.x", None, 0), 8)
    t.equal("exact", raw(LIBC.getxattr, b"f", b"user.x", buffer, 8), 8)
    t.fails(errno.ERANGE, raw, LIBC.getxattr, b"f", b"user.x", buffer, 7)
    length = raw(LIBC.listxattr, b"f", None, 0)
    t.equal("list", raw(LIBC.listxattr, b"f", buffer, length), length)
    t.fails(errno.ERANGE, raw, LIBC.listxattr, b"f", buffer, length - 1)


@case
def many_attributes(t):
    if t.kind == "tmpfs":
        return
    write_file("f")
    names = [f"user.attribute-{index:03}" for index in range(60)]
    for index, name in enumerate(names):
        os.setxattr("f", name, b"%d" % index)
    t.equal("listed", sorted(x for x in os.listxattr("f") if x.startswith("user.")), names)
    wrong = [n for index, n in enumerate(names) if os.getxattr("f", n) != b"%d" % index]
    t.equal("wrong", wrong, [])


@case(lacks=NO_USER)
def user_attributes_follow_the_mode(t):
    write_file("f", b"", 0o640, OWNER)
    t.works(os.setxattr, "f", "user.x", b"1", by=OWNER)
    t.equal("a member reads", t.works(os.getxattr, "f", "user.x", by=MEMBER), b"1")
    t.fails(errno.EACCES, os.setxattr, "f", "user.x", b"2", by=MEMBER)
    t.fails(errno.EACCES, os.removexattr, "f", "user.x", by=MEMBER)
    t.fails(errno.EACCES, os.getxattr, "f", "user.x", by=OTHER)
    t.equal("anybody lists", t.works(os.listxattr, "f", by=OTHER), ["user.x"])
    os.chmod("f", 0o222)
    t.works(os.setxattr, "f", "user.x", b"3", by=OTHER)
    t.fails(errno.EACCES, os.getxattr, "f", "user.x", by=OWNER)
    os.chmod("f", 0o444)
    t.fails(errno.EACCES, os.setxattr, "f", "user.x", b"4", by=OWNER)


@case(lacks=NO_USER)
def user_attributes_are_for_files_and_folders(t):
    os.mkfifo("p")
    os.symlink("nowhere", "s")
    t.fails(errno.EPERM, os.setxattr, "p", "user.x", b"1")
    t.fails(errno.EPERM, os.setxattr, "s", "user.x", b"1", follow_symlinks=False)
    t.fails(errno.ENODATA, os.getxattr, "p", "user.x")
    t.works(os.setxattr, "p", "trusted.x", b"1")
    t.works(os.setxattr, "s", "trusted.x", b"1", follow_symlinks=False)
    t.equal("link's own", os.getxattr("s", "trusted.x", follow_symlinks=False), b"1")
    t.fails(errno.ENOENT, os.getxattr, "s", "trusted.x")
    make_folder("d", 0o1777)
    t.fails(errno.EPERM, os.setxattr, "d", "user.x", b"1", by=OTHER)
    os.chmod("d", 0o777)
    t.works(os.setxattr, "d", "user.x", b"1", by=OTHER)


@case
def trusted_attributes_are_roots(t):
    write_file("f", b"", 0o666, OWNER)
    os.setxattr("f", "trusted.x", b"1")
    t.equal("root reads", os.getxattr("f", "trusted.x"), b"1")
    t.expect("root lists", "trusted.x" in os.listxattr("f"))
    for user in (OWNER, OTHER):
        t.fails(errno.EPERM, os.setxattr, "f", "trusted.x", b"2", by=user)
        t.fails(errno.EPERM, os.removexattr, "f", "trusted.x", by=user)
        t.fails(errno.ENODATA, os.getxattr, "f", "trusted.x", by=user)
        listed = t.works(os.listxattr, "f", by=user)
        t.expect(f"hidden from {user.name}", listed is not None and "trusted.x" not in listed)


@case
def security_attributes_are_read_by_all_and_set_by_root(t):
    write_file("f", b"", 0o600, OWNER)
    os.setxattr("f", "security.note", b"1")
    t.equal("other reads", t.works(os.getxattr, "f", "security.note", by=OTHER), b"1")
    t.fails(errno.EPERM, os.setxattr, "f", "security.note", b"2", by=OWNER)
    t.fails(errno.EPERM, os.removexattr, "f", "security.note", by=OWNER)
    t.expect("listed", "security.note" in os.listxattr("f"))
    t.works(os.removexattr, "f", "security.note")


CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")


@case
def capabilities_go_with_a_write(t):
    write_file("f", b"data", 0o755, OWNER)
    t.works(os.setxattr, "f", "security.capability", CAPABILITY)
    t.equal("kept", t.works(os.getxattr, "f", "security.capability"), CAPABILITY)
    fd = os.open("f", os.O_WRONLY)
    os.write(fd, b"x")
    t.fails(errno.ENODATA, os.getxattr, "f", "security.capability")
    os.setxattr("f", "security.capability", CAPABILITY)
    os.truncate("f", 1)
    t.fails(errno.ENODATA, os.getxattr, "f", "security.capability")
    os.setxattr("f", "security.capability", CAPABILITY)
    os.chown("f", OTHER.uid, OTHER.gid)
    t.fails(errno.ENODATA, os.getxattr, "f", "security.capability")


@case(lacks=NO_USER)
def attributes_stay_with_the_inode(t):
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    os.setxattr(fd, "user.x", b"1")
    os.link("f", "g")
    os.rename("f", "h")
    t.equal("by another name", os.getxattr("g", "user.x"), b"1")
    os.write(fd, b"data")
    os.truncate("g", 0)
    os.chmod("g", 0o600)
    t.equal("after changes", os.getxattr("h", "user.x"), b"1")
    os.unlink("g")
    os.unlink("h")
    t.equal("unlinked", t.works(os.getxattr, fd, "user.x"), b"1")
    t.works(os.setxattr, fd, "user.x", b"2")
    t.equal("changed then", t.works(os.getxattr, fd, "user.x"), b"2")
    write_file("f")
    t.equal("a new file has none", [x for x in os.listxattr("f") if x.startswith("user.")], [])


@case(lacks=NO_USER)
def tools_of_the_attr_package_work(t):
    write_file("f", b"data")
    subprocess.run(["setfattr", "-n", "user.tool", "-v", "value", "f"], check=True)
    shown = subprocess.run(["getfattr", "--only-values", "-n", "user.tool", "f"],
                           check=True, capture_output=True).stdout
    t.equal("getfattr", shown, b"value")
    subprocess.run(["cp", "--preserve=xattr", "f", "g"], check=True)
    t.equal("cp", os.getxattr("g", "user.tool"), b"value")
    t.equal("content", read_file("g"), b"data")
