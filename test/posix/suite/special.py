"""Fifos, devices and sockets."""
import array
import errno
import os
import socket
import stat

from .harness import OTHER, OWNER, Process, case, make_folder, mode_of, opened, write_file
from .libc import Statx

O_NONBLOCK = os.O_NONBLOCK


@case
def fifos_carry_bytes(t):
    os.mkfifo("p", 0o640)
    status = os.stat("p")
    t.expect("type", stat.S_ISFIFO(status.st_mode))
    t.equal("mode", mode_of("p"), 0o640)
    t.equal("size", status.st_size, 0)

    def send():
        fd = os.open("p", os.O_WRONLY)
        for index in range(100):
            os.write(fd, b"%05d" % index)
        os.close(fd)

    child = Process(send)
    with open("p", "rb") as pipe:
        data = pipe.read()
    child.result()
    t.equal("received", data, b"".join(b"%05d" % index for index in range(100)))
    t.equal("listed as", [entry.stat().st_mode for entry in os.scandir(".")], [status.st_mode])


@case
def fifos_open_without_waiting(t):
    os.mkfifo("p")
    t.fails(errno.ENXIO, opened, "p", os.O_WRONLY | O_NONBLOCK)
    reader = os.open("p", os.O_RDONLY | O_NONBLOCK)
    writer = os.open("p", os.O_WRONLY | O_NONBLOCK)
    os.write(writer, b"data")
    t.equal("received", os.read(reader, 10), b"data")
    t.fails(errno.EAGAIN, os.read, reader, 1)
    os.close(writer)
    t.equal("end", os.read(reader, 1), b"")
    t.fails(errno.ESPIPE, os.lseek, reader, 0, 0)
    t.fails(errno.EINVAL, os.truncate, "p", 0)
    os.link("p", "q")
    writer = os.open("q", os.O_WRONLY | O_NONBLOCK)
    os.write(writer, b"by link")
    t.equal("by another name", os.read(reader, 10), b"by link")
    os.unlink("p")
    os.unlink("q")
    os.write(writer, b"on")
    t.equal("without a name", os.read(reader, 10), b"on")


@case
def permissions_of_fifos_count(t):
    os.mkfifo("p", 0o600)
    t.fails(errno.EACCES, opened, "p", os.O_RDONLY | O_NONBLOCK, by=OTHER)
    os.chown("p", OTHER.uid, OTHER.gid)
    t.works(opened, "p", os.O_RDONLY | O_NONBLOCK, by=OTHER)


@case
def devices_keep_their_numbers(t):
    numbers = [(1, 3), (1, 5), (8, 17), (259, 300_000), (4095, 1_048_575), (0, 255), (254, 256)]
    for kind, name in ((stat.S_IFCHR, "c"), (stat.S_IFBLK, "b")):
        for major, minor in numbers:
            os.mknod(name, kind | 0o640, os.makedev(major, minor))
            status = os.stat(name)
            t.equal("type", stat.S_IFMT(status.st_mode), kind)
            rdev = os.major(status.st_rdev), os.minor(status.st_rdev)
            t.equal("numbers", rdev, (major, minor))
            t.equal("statx", Statx(name).rdev, (major, minor))
            os.unlink(name)


@case
def devices_work_where_the_mount_allows_them(t):
    os.mknod("zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    if os.statvfs(".").f_flag & os.ST_NODEV:
        t.fails(errno.EACCES, opened, "zero", os.O_RDONLY)
        return
    fd = os.open("zero", os.O_RDWR)
    t.equal("read", os.read(fd, 4), bytes(4))
    t.equal("written", os.write(fd, b"data"), 4)
    os.mknod("none", stat.S_IFCHR | 0o666, os.makedev(240, 77))
    t.fails((errno.ENXIO, errno.ENODEV), opened, "none", os.O_RDONLY)


@case
def only_root_makes_devices(t):
    make_folder("d", 0o777)
    device = os.makedev(1, 3)
    t.fails(errno.EPERM, os.mknod, "d/c", stat.S_IFCHR | 0o600, device, by=OWNER)
    t.fails(errno.EPERM, os.mknod, "d/b", stat.S_IFBLK | 0o600, device, by=OWNER)
    t.works(os.mknod, "d/p", stat.S_IFIFO | 0o600, by=OWNER)
    t.works(os.mknod, "d/f", stat.S_IFREG | 0o600, by=OWNER)
    t.works(os.mknod, "d/s", stat.S_IFSOCK | 0o600, by=OWNER)
    t.works(os.mknod, "d/zero", 0o600, by=OWNER)
    t.expect("0 means a file", stat.S_ISREG(os.stat("d/zero").st_mode))
    t.fails(errno.EPERM, os.mknod, "d/dir", stat.S_IFDIR | 0o700)
    t.fails(errno.EINVAL, os.mknod, "d/link", stat.S_IFLNK | 0o700)


@case
def sockets_connect_by_name(t):
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind("sock")
    server.listen(5)
    t.expect("type", stat.S_ISSOCK(os.stat("sock").st_mode))
    t.equal("mode", mode_of("sock"), 0o755)

    def talk():
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.connect("sock")
        client.sendall(b"question")
        return client.recv(100)

    child = Process(talk)
    connection, _ = server.accept()
    t.equal("question", connection.recv(100), b"question")
    connection.sendall(b"answer")
    t.equal("answer", child.result(), b"answer")
    t.fails(errno.ENXIO, opened, "sock", os.O_RDONLY)
    os.rename("sock", "moved")
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    t.works(client.connect, "moved")
    os.link("moved", "linked")
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    t.works(client.connect, "linked")


@case
def socket_names_are_taken_once_and_may_outlive(t):
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind("sock")
    second = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    t.fails(errno.EADDRINUSE, second.bind, "sock")
    server.close()
    t.expect("still there", os.path.exists("sock"))
    t.fails(errno.ECONNREFUSED, second.connect, "sock")
    t.fails(errno.EADDRINUSE, second.bind, "sock")
    os.unlink("sock")
    t.works(second.bind, "sock")
    t.fails(errno.ENOENT, socket.socket(socket.AF_UNIX).connect, "none")
    write_file("f")
    t.fails(errno.ECONNREFUSED, socket.socket(socket.AF_UNIX).connect, "f")


@case
def permissions_of_sockets_count(t):
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind("sock")
    server.listen(5)
    os.chmod("sock", 0o600)

    def connect():
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect("sock")

    t.fails(errno.EACCES, connect, by=OTHER)
    os.chmod("sock", 0o666)
    t.works(connect, by=OTHER)

    def bind():
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).bind("new")

    t.fails(errno.EACCES, bind, by=OTHER)


@case
def datagrams_and_descriptors_pass(t):
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind("datagrams")
    write_file("f", b"passed")

    def send():
        client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        client.bind("client")
        rights = array.array("i", [os.open("f", os.O_RDONLY)])
        message = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
        client.sendmsg([b"take"], message, 0, "datagrams")

    Process(send).result()
    data, messages, _, sender = server.recvmsg(100, 1000)
    t.equal("data", data, b"take")
    t.equal("sender", os.fsdecode(sender), "client")
    fd = array.array("i", messages[0][2])[0]
    t.equal("the file", os.read(fd, 100), b"passed")
