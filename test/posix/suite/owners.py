"""Owners and groups: chown, inheritance from setgid folders, and what clears setuid and setgid."""
import errno
import os
import shutil
import stat

from .harness import MEMBER, OTHER, OWNER, ROOT, TEAM, case, make_folder, mode_of, opened
from .harness import write_file
from .libc import FALLOC_KEEP, copy_file_range, fallocate

KEEP = -1


def owners(path):
    status = os.lstat(path)
    return status.st_uid, status.st_gid


@case
def root_gives_files_away(t):
    write_file("f")
    make_folder("d")
    os.symlink("f", "s")
    for name in ("f", "d"):
        os.chown(name, OWNER.uid, OTHER.gid)
        t.equal(name, owners(name), (OWNER.uid, OTHER.gid))
        os.chown(name, KEEP, 12)
        t.equal(f"{name} group", owners(name), (OWNER.uid, 12))
        os.chown(name, 13, KEEP)
        t.equal(f"{name} owner", owners(name), (13, 12))
        os.chown(name, KEEP, KEEP)
        t.equal(f"{name} neither", owners(name), (13, 12))
    os.chown("f", 2**32 - 2, 2**31)
    t.equal("large numbers", owners("f"), (2**32 - 2, 2**31))
    os.lchown("s", 5, 6)
    t.equal("link", owners("s"), (5, 6))
    fd = os.open("f", os.O_RDONLY)
    os.fchown(fd, 7, 8)
    t.equal("fchown", owners("f"), (7, 8))


@case
def owners_change_the_group_to_one_of_theirs(t):
    write_file("f", b"", 0o644, OWNER)
    make_folder("d", 0o755, OWNER)
    for name in ("f", "d"):
        t.works(os.chown, name, KEEP, TEAM, by=OWNER)
        t.equal("to a supplementary group", owners(name), (OWNER.uid, TEAM))
        t.works(os.chown, name, OWNER.uid, OWNER.gid, by=OWNER)
        t.equal("and back", owners(name), (OWNER.uid, OWNER.gid))
        t.fails(errno.EPERM, os.chown, name, KEEP, OTHER.gid, by=OWNER)
        t.fails(errno.EPERM, os.chown, name, OTHER.uid, KEEP, by=OWNER)
        t.fails(errno.EPERM, os.chown, name, KEEP, MEMBER.gid, by=MEMBER)
        t.fails(errno.EPERM, os.chown, name, OTHER.uid, KEEP, by=OTHER)
        t.fails(errno.EPERM, os.chown, name, KEEP, OTHER.gid, by=OTHER)
        t.works(os.chown, name, KEEP, KEEP, by=OTHER)
        t.equal("unchanged", owners(name), (OWNER.uid, OWNER.gid))


@case
def new_files_belong_to_who_makes_them(t):
    make_folder("d", 0o777, OTHER)
    makers = {
        "f": lambda: opened("d/f", os.O_WRONLY | os.O_CREAT),
        "d": lambda: os.mkdir("d/d"),
        "p": lambda: os.mkfifo("d/p"),
        "n": lambda: os.mknod("d/n", stat.S_IFREG | 0o600),
        "s": lambda: os.symlink("x", "d/s"),
    }
    for name, make in makers.items():
        t.run(OWNER, make)
        t.equal(name, owners(f"d/{name}"), (OWNER.uid, OWNER.gid))


@case
def setgid_folders_hand_their_group_down(t):
    make_folder("d", 0o2777)
    os.chown("d", OTHER.uid, TEAM)
    os.chmod("d", 0o2777)
    t.run(OWNER, opened, "d/f", os.O_WRONLY | os.O_CREAT, 0o644)
    t.run(OWNER, os.mkdir, "d/sub", 0o755)
    t.run(OWNER, os.mkfifo, "d/p", 0o644)
    t.run(OWNER, os.symlink, "x", "d/s")
    for name in ("f", "sub", "p", "s"):
        t.equal(f"group of {name}", owners(f"d/{name}"), (OWNER.uid, TEAM))
    t.equal("folder's mode", mode_of("d/sub"), 0o2755)
    t.equal("file's mode", mode_of("d/f"), 0o644)
    t.run(OWNER, os.mkdir, "d/sub/deeper", 0o700)
    t.equal("deeper", (owners("d/sub/deeper")[1], mode_of("d/sub/deeper")), (TEAM, 0o2700))
    write_file("moved", b"", 0o644, OWNER)
    os.rename("moved", "d/moved")
    t.equal("what moves in keeps its group", owners("d/moved"), (OWNER.uid, OWNER.gid))


@case
def setgid_files_of_foreign_groups_are_not_made(t):
    make_folder("d", 0o2777)
    os.chown("d", 0, TEAM)
    os.chmod("d", 0o2777)
    t.run(OTHER, opened, "d/others", os.O_WRONLY | os.O_CREAT, 0o2755)
    t.equal("by one outside the group", mode_of("d/others"), 0o755)
    t.run(OWNER, opened, "d/members", os.O_WRONLY | os.O_CREAT, 0o2755)
    t.equal("by a member", mode_of("d/members"), 0o2755)
    t.run(OTHER, os.mknod, "d/node", stat.S_IFREG | 0o2755)
    t.equal("by mknod", mode_of("d/node"), 0o755)
    opened("d/roots", os.O_WRONLY | os.O_CREAT, 0o2755)
    t.equal("by root", mode_of("d/roots"), 0o2755)


@case
def chown_clears_setuid_and_setgid(t):
    expected = {0o6755: 0o755, 0o4755: 0o755, 0o2755: 0o755, 0o2745: 0o2745, 0o6666: 0o2666}
    for user in (ROOT, OWNER):
        for mode, left in expected.items():
            write_file("f", b"", mode, OWNER)
            t.works(os.chown, "f", KEEP, TEAM, by=user)
            # Without group execution the bit is the mark of mandatory locking; Linux keeps it.
            t.equal(f"{mode:o} by {user.name}", mode_of("f"), left)
            os.unlink("f")
    make_folder("d", 0o6755, OWNER)
    os.chown("d", OTHER.uid, OTHER.gid)
    t.equal("folder", mode_of("d"), 0o6755)
    write_file("same", b"", 0o6755, OWNER)
    t.works(os.chown, "same", OWNER.uid, OWNER.gid, by=OWNER)
    t.equal("to the same owner", mode_of("same"), 0o755)
    write_file("kept", b"", 0o6755, OWNER)
    t.works(os.chown, "kept", KEEP, KEEP)
    t.equal("to nobody new", mode_of("kept") in (0o755, 0o6755), True)


def cleared_by(t, what, change):
    """The mode after `change` of a setuid and setgid file by one who may write it, and by root."""
    for mode, left in ((0o6777, 0o777), (0o4766, 0o766), (0o2777, 0o777), (0o6766, 0o2766)):
        for user in (OWNER, MEMBER, OTHER):
            write_file("f", b"x" * 100, mode, OWNER)
            t.works(change, by=user)
            # Without group execution setgid is no privilege; it goes when a stranger writes.
            left &= ~0o2000 if user is OTHER else 0o7777
            t.equal(f"{what} of {mode:o} by {user.name}", mode_of("f"), left)
            os.unlink("f")
        write_file("f", b"x" * 100, mode, OWNER)
        t.works(change)
        t.equal(f"{what} of {mode:o} by root", mode_of("f"), mode)
        os.unlink("f")


@case
def writing_clears_setuid_and_setgid(t):
    def change():
        fd = os.open("f", os.O_WRONLY)
        os.write(fd, b"data")
        os.close(fd)

    cleared_by(t, "write", change)


@case
def truncation_clears_setuid_and_setgid(t):
    cleared_by(t, "truncate", lambda: os.truncate("f", 10))
    cleared_by(t, "ftruncate", lambda: os.ftruncate(os.open("f", os.O_WRONLY), 10))
    cleared_by(t, "O_TRUNC", lambda: opened("f", os.O_WRONLY | os.O_TRUNC))


@case
def fallocate_clears_setuid_and_setgid(t):
    def change():
        fallocate(os.open("f", os.O_WRONLY), FALLOC_KEEP, 0, 4096)

    cleared_by(t, "fallocate", change)


@case
def copying_into_a_file_clears_setuid_and_setgid(t):
    write_file("source", b"data" * 10, 0o644)

    def change():
        source, target = os.open("source", os.O_RDONLY), os.open("f", os.O_WRONLY)
        copy_file_range(source, 0, target, 0, 40)

    cleared_by(t, "copy_file_range", change)


@case
def a_mode_that_was_cleared_is_seen_at_once(t):
    write_file("f", b"", 0o6777, OWNER)
    make_folder("d", 0o777)

    def change():
        fd = os.open("f", os.O_RDWR)
        before = stat.S_IMODE(os.fstat(fd).st_mode)
        os.write(fd, b"data")
        return before, stat.S_IMODE(os.fstat(fd).st_mode), stat.S_IMODE(os.stat("f").st_mode)

    t.equal("before, after, by name", t.run(OTHER, change), (0o6777, 0o777, 0o777))


@case
def reading_and_failing_clear_nothing(t):
    write_file("f", b"data", 0o6755, OWNER)
    t.run(OTHER, opened, "f", os.O_RDONLY)
    t.fails(errno.EACCES, opened, "f", os.O_WRONLY | os.O_TRUNC, by=OTHER)
    t.fails(errno.EPERM, os.chown, "f", OTHER.uid, KEEP, by=OTHER)
    t.fails(errno.EACCES, os.truncate, "f", 0, by=OTHER)
    t.equal("mode", mode_of("f"), 0o6755)
    t.run(OWNER, lambda: os.write(os.open("f", os.O_WRONLY), b""))
    t.equal("after writing nothing", mode_of("f"), 0o6755)
    t.equal("size", os.stat("f").st_size, 4)


def setuid_id():
    """A program that says as whom it runs: as OWNER."""
    shutil.copyfile("/usr/bin/id", "id")
    os.chown("id", OWNER.uid, OWNER.gid)
    os.chmod("id", 0o6777)


def run_id():
    read_end, write_end = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, write_end, 1)]
    pid = os.posix_spawn("./id", ["id", "-u"], {}, file_actions=actions)
    os.close(write_end)
    os.waitpid(pid, 0)
    return int(os.read(read_end, 100))


@case
def the_owner_and_mode_of_setuid_programs_count(t):
    setuid_id()
    is_off = os.statvfs(".").f_flag & os.ST_NOSUID
    t.equal("runs as", t.works(run_id, by=OTHER), OTHER.uid if is_off else OWNER.uid)


@case
def a_setuid_program_that_was_changed_has_no_power(t):
    """Also when nobody asked for its attributes between the change and the execution."""

    def write(fd):
        os.pwrite(fd, b"\x7f", 0)

    def allocate(fd):
        fallocate(fd, FALLOC_KEEP, 0, 4096)

    def cut(fd):
        os.ftruncate(fd, os.fstat(fd).st_size)

    def clone(fd):
        copy_file_range(os.open("same", os.O_RDONLY), 0, fd, 0, 4096)

    shutil.copyfile("/usr/bin/id", "same")
    for change in (write, allocate, cut, clone):
        setuid_id()

        def changed_and_run():
            fd = os.open("id", os.O_RDWR)
            os.fstat(fd)
            change(fd)
            os.close(fd)
            return run_id()

        t.equal(f"after {change.__name__}", t.works(changed_and_run, by=OTHER), OTHER.uid)
        os.unlink("id")
