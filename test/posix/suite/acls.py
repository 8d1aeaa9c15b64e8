"""POSIX ACLs (1003.1e draft 17, as Linux has them): access, masks, inheritance, and their tools."""
import errno
import os
import struct
import subprocess

from .harness import MEMBER, OTHER, OWNER, TEAM, Process, case, make_folder, mode_of, opened
from .harness import read_file, write_file

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHERS = 1, 2, 4, 8, 16, 32
RO, WO, RW, CREAT = os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_CREAT
NONE = 0xFFFFFFFF


def acl(*entries):
    """Bytes of an ACL: entries are (tag, permissions) or (tag, permissions, id)."""
    rows = [(tag, bits, *(ids or (NONE,))) for tag, bits, *ids in entries]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *row) for row in rows)


def minimal(user, group, others):
    return acl((USER_OBJ, user), (GROUP_OBJ, group), (OTHERS, others))


def extended(user, named, group, mask, others, tag=USER, who=OTHER.uid):
    entries = [(USER_OBJ, user), (tag, named, who), (GROUP_OBJ, group)]
    if tag == GROUP:
        entries = [entries[0], entries[2], entries[1]]
    return acl(*entries, (MASK, mask), (OTHERS, others))


def entries_of(value):
    """An ACL's entries, without the order or the numbers that say nothing."""
    rows = struct.iter_unpack("<HHI", value[4:])
    return sorted((tag, bits, who if tag in (USER, GROUP) else 0) for tag, bits, who in rows)


@case
def without_an_acl_there_is_no_attribute(t):
    write_file("f")
    make_folder("d")
    t.fails(errno.ENODATA, os.getxattr, "f", ACCESS)
    t.fails(errno.ENODATA, os.getxattr, "d", DEFAULT)
    t.expect("not listed", ACCESS not in os.listxattr("f"))
    t.works(os.removexattr, "f", ACCESS)
    t.works(os.removexattr, "d", DEFAULT)


@case
def a_minimal_acl_is_the_mode(t):
    write_file("f", b"", 0o600, OWNER)
    t.works(os.setxattr, "f", ACCESS, minimal(6, 4, 0))
    t.equal("mode", mode_of("f"), 0o640)
    t.fails(errno.ENODATA, os.getxattr, "f", ACCESS)
    t.works(os.setxattr, "f", ACCESS, minimal(7, 5, 5), by=OWNER)
    t.equal("by owner", mode_of("f"), 0o755)


@case
def an_acl_is_kept_and_shows_its_mask_as_the_group(t):
    write_file("f", b"", 0o644, OWNER)
    value = extended(6, 7, 4, 6, 0)
    t.works(os.setxattr, "f", ACCESS, value)
    t.equal("value", entries_of(t.works(os.getxattr, "f", ACCESS)), entries_of(value))
    t.equal("mode", mode_of("f"), 0o660)
    t.expect("listed", ACCESS in os.listxattr("f"))
    os.removexattr("f", ACCESS)
    t.fails(errno.ENODATA, os.getxattr, "f", ACCESS)
    t.equal("the mask's bits stay as the group's", mode_of("f"), 0o660)


@case
def chmod_changes_the_mask(t):
    write_file("f", b"", 0o644, OWNER)
    os.setxattr("f", ACCESS, extended(6, 6, 4, 6, 0))
    os.chmod("f", 0o700)
    expected = entries_of(extended(7, 6, 4, 0, 0))
    t.equal("ACL after chmod", entries_of(os.getxattr("f", ACCESS)), expected)
    t.fails(errno.EACCES, opened, "f", RO, by=OTHER)
    os.chmod("f", 0o770)
    t.works(opened, "f", RW, by=OTHER)
    t.equal("mode", mode_of("f"), 0o770)


@case
def named_users_and_groups_get_what_the_mask_leaves(t):
    write_file("f", b"data", 0o600, OWNER)
    os.setxattr("f", ACCESS, extended(6, 6, 0, 6, 0))
    t.works(opened, "f", RW, by=OTHER)
    t.fails(errno.EACCES, opened, "f", RO, by=MEMBER)
    os.setxattr("f", ACCESS, extended(6, 6, 0, 4, 0))
    t.works(opened, "f", RO, by=OTHER)
    t.fails(errno.EACCES, opened, "f", WO, by=OTHER)
    os.setxattr("f", ACCESS, extended(6, 0, 6, 6, 6))
    t.fails(errno.EACCES, opened, "f", RO, by=OTHER)
    t.works(opened, "f", RW, by=MEMBER)
    os.setxattr("f", ACCESS, extended(6, 4, 0, 6, 0, GROUP, OTHER.gid))
    t.works(opened, "f", RO, by=OTHER)
    t.fails(errno.EACCES, opened, "f", WO, by=OTHER)
    t.works(opened, "f", RW, by=OWNER)
    os.setxattr("f", ACCESS, extended(0, 7, 7, 7, 7))
    t.fails(errno.EACCES, opened, "f", RO, by=OWNER)


@case
def any_group_that_grants_is_enough(t):
    write_file("f", b"data", 0o600)
    os.chown("f", 0, OWNER.gid)
    value = acl((USER_OBJ, 6), (GROUP_OBJ, 0), (GROUP, 6, TEAM), (MASK, 7), (OTHERS, 4))
    os.setxattr("f", ACCESS, value)
    t.works(opened, "f", RW, by=OWNER)
    t.fails(errno.EACCES, opened, "f", RO, by=MEMBER)
    t.works(opened, "f", RO, by=OTHER)
    t.fails(errno.EACCES, opened, "f", WO, by=OTHER)


@case
def access_asks_the_acl(t):
    make_folder("d", 0o700, OWNER)
    write_file("d/f", b"data", 0o600, OWNER)
    t.fails(errno.EACCES, os.stat, "d/f", by=OTHER)
    os.setxattr("d", ACCESS, extended(7, 5, 0, 5, 0))
    os.setxattr("d/f", ACCESS, extended(6, 4, 0, 4, 0))
    t.equal("reads", t.run(OTHER, os.access, "d/f", os.R_OK), True)
    t.equal("writes", t.run(OTHER, os.access, "d/f", os.W_OK), False)
    t.equal("listed", t.works(os.listdir, "d", by=OTHER), ["f"])
    t.fails(errno.EACCES, os.unlink, "d/f", by=OTHER)
    os.setxattr("d", ACCESS, extended(7, 7, 0, 7, 0))
    t.works(os.unlink, "d/f", by=OTHER)


@case
def only_owner_and_root_set_acls(t):
    write_file("f", b"", 0o666, OWNER)
    make_folder("d", 0o777, OWNER)
    value = extended(6, 6, 6, 6, 6)
    for user in (MEMBER, OTHER):
        t.fails(errno.EPERM, os.setxattr, "f", ACCESS, value, by=user)
        t.fails(errno.EPERM, os.setxattr, "d", DEFAULT, value, by=user)
    t.works(os.setxattr, "f", ACCESS, value, by=OWNER)
    t.fails(errno.EPERM, os.removexattr, "f", ACCESS, by=OTHER)
    t.equal("others read it", entries_of(t.works(os.getxattr, "f", ACCESS, by=OTHER)),
            entries_of(value))
    t.works(os.removexattr, "f", ACCESS, by=OWNER)


@case
def malformed_acls_are_refused(t):
    write_file("f")
    make_folder("d")
    good = extended(6, 6, 4, 6, 0)
    bad = {
        "no entry": struct.pack("<I", 2) + b"",
        "cut": good[:-3],
        "no mask": acl((USER_OBJ, 6), (USER, 6, 5), (GROUP_OBJ, 4), (OTHERS, 0)),
        "no owner": acl((GROUP_OBJ, 4), (OTHERS, 0)),
        "a user twice": acl((USER_OBJ, 6), (USER_OBJ, 6), (GROUP_OBJ, 4), (OTHERS, 0)),
        "more than rwx": acl((USER_OBJ, 15), (GROUP_OBJ, 4), (OTHERS, 0)),
        "an unknown tag": acl((USER_OBJ, 6), (64, 4), (GROUP_OBJ, 4), (OTHERS, 0)),
    }
    for what, value in bad.items():
        if what != "no entry":  # which removes the ACL
            t.fails(errno.EINVAL, os.setxattr, "f", ACCESS, value)
    t.fails((errno.EOPNOTSUPP, errno.EINVAL), os.setxattr, "f", ACCESS, b"\x03\0\0\0" + good[4:])
    t.fails(errno.EACCES, os.setxattr, "f", DEFAULT, good)
    os.symlink("f", "s")
    t.fails(errno.EOPNOTSUPP, os.setxattr, "s", ACCESS, good, follow_symlinks=False)
    t.equal("mode", mode_of("f"), 0o644)


@case
def default_acls_are_inherited(t):
    make_folder("d", 0o777)
    value = extended(7, 6, 5, 7, 1)
    os.setxattr("d", DEFAULT, value)
    os.umask(0o077)  # does not count where a default ACL is
    t.run(OWNER, opened, "d/f", WO | CREAT, 0o666)
    t.run(OWNER, os.mkdir, "d/sub", 0o777)
    t.run(OWNER, os.mkfifo, "d/p", 0o640)
    t.run(OWNER, os.symlink, "x", "d/s")
    file = entries_of(t.works(os.getxattr, "d/f", ACCESS) or bytes(4))
    t.equal("file", file, entries_of(extended(6, 6, 5, 6, 0)))
    t.equal("file's mode", mode_of("d/f"), 0o660)
    folder = entries_of(t.works(os.getxattr, "d/sub", ACCESS) or bytes(4))
    t.equal("folder", folder, entries_of(value))
    again = entries_of(t.works(os.getxattr, "d/sub", DEFAULT) or bytes(4))
    t.equal("its default", again, entries_of(value))
    t.equal("folder's mode", mode_of("d/sub"), 0o771)
    fifo = entries_of(t.works(os.getxattr, "d/p", ACCESS) or bytes(4))
    t.equal("fifo", fifo, entries_of(extended(6, 6, 5, 4, 0)))
    t.fails(errno.ENODATA, os.getxattr, "d/f", DEFAULT)
    t.equal("symlink's mode", mode_of("d/s"), 0o777)
    opened("d/sub/deep", WO | CREAT, 0o600)
    t.equal("further down", mode_of("d/sub/deep"), 0o600)
    t.works(opened, "d/f", RW, by=OTHER)


@case
def a_minimal_default_acl_gives_modes(t):
    make_folder("d")
    os.setxattr("d", DEFAULT, minimal(7, 5, 0))
    os.umask(0)
    opened("d/f", WO | CREAT, 0o666)
    os.mkdir("d/sub", 0o777)
    t.equal("file", mode_of("d/f"), 0o640)
    t.equal("folder", mode_of("d/sub"), 0o750)
    t.fails(errno.ENODATA, os.getxattr, "d/f", ACCESS)
    t.equal("default", entries_of(t.works(os.getxattr, "d/sub", DEFAULT) or bytes(4)),
            entries_of(minimal(7, 5, 0)))
    os.removexattr("d", DEFAULT)
    os.umask(0o027)
    opened("d/later", WO | CREAT, 0o666)
    t.equal("the umask counts again", mode_of("d/later"), 0o640)


@case
def setting_an_acl_as_a_stranger_to_the_group_clears_setgid(t):
    write_file("f", b"", 0o755, OWNER)
    os.chown("f", OWNER.uid, OTHER.gid)
    os.chmod("f", 0o2755)
    t.works(os.setxattr, "f", ACCESS, minimal(7, 5, 5), by=OWNER)
    t.equal("mode", mode_of("f"), 0o755)
    os.chmod("f", 0o2755)
    t.works(os.setxattr, "f", ACCESS, minimal(7, 5, 5))
    t.equal("by root", mode_of("f"), 0o2755)


@case
def acl_and_mode_are_seen_at_once(t):
    write_file("f", b"data", 0o600, OWNER)

    def child():
        return [os.access("f", os.R_OK) for _ in range(2)]

    def as_other():
        OTHER.become()
        return child()

    t.equal("before", Process(as_other).result(), [False, False])
    os.setxattr("f", ACCESS, extended(6, 4, 0, 4, 0))
    t.equal("after", Process(as_other).result(), [True, True])
    os.chmod("f", 0o600)
    t.equal("after chmod", Process(as_other).result(), [False, False])
    os.removexattr("f", ACCESS)
    os.chmod("f", 0o644)
    t.equal("after removal", Process(as_other).result(), [True, True])


def tool(*arguments, stdin=None):
    done = subprocess.run(arguments, input=stdin, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(errno.EIO, done.stderr.strip())
    return done.stdout


@case
def setfacl_getfacl_cp_and_tar_agree(t):
    write_file("f", b"data", 0o640)
    make_folder("d", 0o750)
    tool("setfacl", "-m", f"u:{OTHER.uid}:rw,g:{TEAM}:r", "f")
    tool("setfacl", "-d", "-m", f"u:{OTHER.uid}:rwx", "d")
    shown = tool("getfacl", "-cnpE", "f").split()
    wanted = ["user::rw-", f"user:{OTHER.uid}:rw-", "group::r--", f"group:{TEAM}:r--",
              "mask::rw-", "other::---"]
    t.equal("getfacl", shown, wanted)
    t.expect("default", f"default:user:{OTHER.uid}:rwx" in tool("getfacl", "-cnp", "d"))
    write_file("d/f")
    tool("cp", "-a", "f", "copy")
    t.equal("cp -a", tool("getfacl", "-cnpE", "copy").split(), wanted)
    tool("tar", "--acls", "-cf", "all.tar", "f", "d")
    os.mkdir("out")
    tool("tar", "--acls", "-xf", "all.tar", "-C", "out")
    for name in ("f", "d", "d/f"):
        t.equal(f"tar {name}", tool("getfacl", "-cn", f"out/{name}").split("\n"),
                tool("getfacl", "-cn", name).split("\n"))
    tool("setfacl", "--restore=-", stdin=tool("getfacl", "-R", "d"))
    tool("setfacl", "-b", "f")
    t.equal("setfacl -b", (mode_of("f"), read_file("f")), (0o640, b"data"))
