"""Permission bits: chmod, umask, who may open, search and change what."""
import errno
import os
import stat

from .harness import MEMBER, OTHER, OWNER, TEAM, USERS, Process, case, make_folder, mode_of
from .harness import opened, write_file
from .libc import AT_EACCESS, Statx, faccessat2

RO, WO, RW = os.O_RDONLY, os.O_WRONLY, os.O_RDWR


@case
def chmod_sets_all_twelve_bits(t):
    write_file("f")
    make_folder("d")
    for bits in [1 << index for index in range(12)] + [0, 0o777, 0o7777, 0o4755, 0o2750, 0o1644]:
        os.chmod("f", bits)
        t.equal("file", mode_of("f"), bits)
        os.chmod("d", bits)
        t.equal("folder", mode_of("d"), bits)
    os.chmod("f", 0o644)
    t.expect("still a file", stat.S_ISREG(os.stat("f").st_mode))
    fd = os.open("f", RO)
    os.fchmod(fd, 0o4711)
    t.equal("fchmod", os.fstat(fd).st_mode, stat.S_IFREG | 0o4711)
    t.equal("statx", Statx("f").mode, stat.S_IFREG | 0o4711)


@case
def only_owner_and_root_chmod(t):
    write_file("f", b"", 0o666, OWNER)
    make_folder("d", 0o777, OWNER)
    for name in ("f", "d"):
        t.works(os.chmod, name, 0o640, by=OWNER)
        t.equal("by owner", mode_of(name), 0o640)
        t.fails(errno.EPERM, os.chmod, name, 0o777, by=MEMBER)
        t.fails(errno.EPERM, os.chmod, name, 0o777, by=OTHER)
        t.equal("unchanged", mode_of(name), 0o640)
        t.works(os.chmod, name, 0o600)


@case
def setgid_needs_membership_of_the_group(t):
    write_file("own", b"", 0o755, OWNER)
    t.works(os.chmod, "own", 0o2755, by=OWNER)
    t.equal("own group", mode_of("own"), 0o2755)
    write_file("team", b"", 0o755)
    os.chown("team", OWNER.uid, TEAM)
    t.works(os.chmod, "team", 0o2755, by=OWNER)
    t.equal("a group they are in", mode_of("team"), 0o2755)
    for make in (write_file, make_folder):
        name = f"alien-{make.__name__}"
        make(name)
        os.chown(name, OWNER.uid, OTHER.gid)
        os.chmod(name, 0o755)
        t.works(os.chmod, name, 0o2755, by=OWNER)
        t.equal("a group they are not in", mode_of(name), 0o755)
        t.works(os.chmod, name, 0o2755)
        t.equal("by root", mode_of(name), 0o2755)
    write_file("suid", b"", 0o644, OWNER)
    t.works(os.chmod, "suid", 0o4755, by=OWNER)
    t.equal("setuid by owner", mode_of("suid"), 0o4755)


@case
def sticky_files_and_folders(t):
    write_file("f", b"", 0o644, OWNER)
    make_folder("d", 0o755, OWNER)
    t.works(os.chmod, "f", 0o1644, by=OWNER)
    t.works(os.chmod, "d", 0o1755, by=OWNER)
    t.equal("file", mode_of("f"), 0o1644)  # as Linux does; others may refuse
    t.equal("folder", mode_of("d"), 0o1755)


@case
def the_first_class_that_fits_decides(t):
    for mode in (0o400, 0o040, 0o004, 0o200, 0o020, 0o002, 0o600, 0o060, 0o006, 0o466, 0o646):
        write_file("f", b"", mode, OWNER)
        for user, shift in zip(USERS, (6, 3, 0)):
            bits = mode >> shift & 7
            for flags, needed in ((RO, 4), (WO, 2), (RW, 6)):
                if bits & needed == needed:
                    t.works(opened, "f", flags, by=user)
                else:
                    t.fails(errno.EACCES, opened, "f", flags, by=user)
        t.works(opened, "f", RW)  # root
        os.unlink("f")


@case
def searching_and_listing_a_folder(t):
    make_folder("d", 0o755, OWNER)
    write_file("d/f", b"", 0o644, OWNER)
    for mode in (0o700, 0o070, 0o007, 0o500, 0o400, 0o100, 0o300, 0o241):
        os.chmod("d", mode)
        for user, shift in zip(USERS, (6, 3, 0)):
            bits = mode >> shift & 7
            wants = ((os.listdir, ("d",), 4), (os.stat, ("d/f",), 1), (os.chdir, ("d",), 1))
            for call, arguments, needed in wants:
                if bits & needed:
                    t.works(call, *arguments, by=user)
                else:
                    t.fails(errno.EACCES, call, *arguments, by=user)
            if bits & 3 == 3:
                t.works(os.mkdir, f"d/{user.name}", by=user)
                t.works(os.rmdir, f"d/{user.name}", by=user)
            else:
                t.fails(errno.EACCES, os.mkdir, f"d/{user.name}", by=user)
        t.works(os.listdir, "d")


@case
def access_is_asked_for_the_real_user(t):
    write_file("f", b"", 0o640, OWNER)
    t.equal("owner", t.run(OWNER, os.access, "f", os.R_OK | os.W_OK), True)
    t.equal("member reads", t.run(MEMBER, os.access, "f", os.R_OK), True)
    t.equal("member writes", t.run(MEMBER, os.access, "f", os.W_OK), False)
    t.equal("other", t.run(OTHER, os.access, "f", os.R_OK), False)
    t.equal("other sees it", t.run(OTHER, os.access, "f", os.F_OK), True)
    t.equal("root runs", os.access("f", os.X_OK), False)
    t.equal("root reads", os.access("f", os.R_OK | os.W_OK), True)
    os.chmod("f", 0o010)
    t.equal("root runs what anybody may", os.access("f", os.X_OK), True)
    os.chmod("f", 0o600)

    def mixed():
        os.setresuid(OTHER.uid, OWNER.uid, 0)
        real = os.access("f", os.R_OK)
        try:
            faccessat2("f", os.R_OK, AT_EACCESS)
            effective = True
        except OSError:
            effective = False
        return real, effective

    t.equal("real and effective", Process(mixed).result(), (False, True))


@case
def umask_takes_bits_away(t):
    for mask in (0, 0o022, 0o077, 0o777, 0o137):
        os.umask(mask)
        opened("f", WO | os.O_CREAT, 0o7777)
        os.mkdir("d", 0o1777)
        os.mkfifo("p", 0o666)
        os.mknod("n", stat.S_IFREG | 0o640)
        os.symlink("x", "s")
        t.equal(f"file {mask:o}", mode_of("f"), 0o7777 & ~mask)
        t.equal(f"folder {mask:o}", mode_of("d"), 0o1777 & ~mask)
        t.equal(f"fifo {mask:o}", mode_of("p"), 0o666 & ~mask)
        t.equal(f"mknod {mask:o}", mode_of("n"), 0o640 & ~mask)
        t.equal(f"symlink {mask:o}", mode_of("s"), 0o777)
        for name in "fpns":
            os.unlink(name)
        os.rmdir("d")


@case
def a_new_file_without_rights_is_open_all_the_same(t):
    make_folder("d", 0o777)

    def make(flags):
        fd = os.open("d/f", flags | os.O_CREAT | os.O_EXCL, 0)
        data = os.write(fd, b"data") if flags != RO else os.read(fd, 1)
        os.close(fd)
        os.unlink("d/f")
        return data

    t.equal("to write", t.works(make, WO, by=OWNER), 4)
    t.equal("to read", t.works(make, RO, by=OWNER), b"")


@case
def descriptors_keep_the_rights_they_were_opened_with(t):
    write_file("f", b"data", 0o600, OWNER)

    def use():
        fd = os.open("f", RW)
        os.fchmod(fd, 0)
        os.pwrite(fd, b"more", 4)
        data = os.pread(fd, 8, 0)
        os.ftruncate(fd, 2)
        try:
            opened("f", RO)
        except OSError as error:
            return data, error.errno
        return data, 0

    t.equal("after chmod 0", t.run(OWNER, use), (b"datamore", errno.EACCES))
    t.fails(errno.EACCES, os.truncate, "f", 0, by=OWNER)
    t.equal("size", os.stat("f").st_size, 2)


@case
def truncation_asks_for_write(t):
    write_file("f", b"data", 0o644, OWNER)
    t.fails(errno.EACCES, os.truncate, "f", 0, by=OTHER)
    t.fails(errno.EACCES, opened, "f", RO | os.O_TRUNC, by=OTHER)
    t.fails(errno.EACCES, opened, "f", WO | os.O_TRUNC, by=MEMBER)
    t.equal("kept", os.stat("f").st_size, 4)
    t.works(os.truncate, "f", 2, by=OWNER)
    fd = os.open("f", RO)
    t.fails(errno.EINVAL, os.ftruncate, fd, 0)
    t.fails(errno.EBADF, os.write, fd, b"x")
    t.fails(errno.EBADF, os.read, os.open("f", WO), 1)


@case
def programs_run_with_the_x_bit(t):
    write_file("run", b"#!/bin/sh\nexit 7\n", 0o755, OWNER)
    write_file("not", b"#!/bin/sh\nexit 7\n", 0o644, OWNER)
    write_file("members", b"#!/bin/sh\nexit 7\n", 0o754, OWNER)

    def status(name):
        return os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn(name, [name], {}), 0)[1])

    t.equal("run", t.works(status, "./run", by=OTHER), 7)
    t.fails(errno.EACCES, status, "./not")
    t.fails(errno.EACCES, status, "./not", by=OWNER)
    t.equal("by a member", t.works(status, "./members", by=MEMBER), 7)
    t.fails(errno.EACCES, status, "./members", by=OTHER)
    write_file("other", open("/bin/true", "rb").read(), 0o755)
    t.equal("a binary", t.works(status, "./other", by=OTHER), 0)
    fd = os.open("other", RO)
    os.close(fd)


@case
def a_running_program_cannot_be_written(t):
    write_file("sleeper", open("/bin/sleep", "rb").read(), 0o755)
    writer = os.open("sleeper", WO)
    t.fails(errno.ETXTBSY, os.posix_spawn, "./sleeper", ["sleeper", "60"], {})
    os.close(writer)
    pid = os.posix_spawn("./sleeper", ["sleeper", "60"], {})
    t.fails(errno.ETXTBSY, opened, "sleeper", WO)
    t.fails(errno.ETXTBSY, os.truncate, "sleeper", 0)
    os.rename("sleeper", "renamed")
    os.unlink("renamed")
    os.kill(pid, 9)
    os.waitpid(pid, 0)
