"""Does the same random operations on a native folder and on a mount and compares every answer.

model_ops.py NATIVE MOUNT SEED reads commands as lines of JSON and answers each with one. What
happens depends on the seed alone: choices never look at the clock or at the mount. A file named by
DFS_MODEL_TRACE gets a line an operation.

{"do": "run", "count": N}   N operations; {"operations": total}
{"do": "compare"}           both trees, every attribute and byte; {"entries": n, "bytes": n}
{"do": "close"}             closes what is open, for an unmount; {}
A difference ends the program with {"failed": ...}.
"""
import ctypes, errno, hashlib, json, mmap, os, random, stat, sys

NATIVE, MOUNT, SEED = sys.argv[1].encode(), sys.argv[2].encode(), int(sys.argv[3])
rng = random.Random(SEED)
libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
BLOCK, CHUNK = 4096, 4 << 20
SLOTS = 12
# Times before this were set by an operation, and no later one changed them.
SET_BEFORE = 1_000_000_000
NOISE = random.Random(SEED ^ 0x5EED).randbytes(6 << 20)

FOLDERS = [b"d0", b"d1", b"d2", b"\xff odd\n", "größe".encode()]
NAMES = [b"a", b"b", b"c", b"e", b"n" * 255, b"x y", b"-rf", b"\x01\xfe"] + FOLDERS
BIG = [b"big0", b"big1", b"big2", b"big3", b"big4", b"big5"]
XATTRS = ["user.a", "user.b", "user." + "n" * 100, "trusted.t"]


class Both:
    """A file open on both sides; `flags` are those of open(2)."""

    def __init__(self, native, mount, flags):
        self.fds, self.flags = (native, mount), flags


slots = [None] * SLOTS
TRACE = open(os.environ["DFS_MODEL_TRACE"], "w", 1) if "DFS_MODEL_TRACE" in os.environ else None
operations = 0


def fail(text):
    print(json.dumps({"failed": f"seed {SEED}, operation {operations}: {text}"}), flush=True)
    sys.exit(0)


def short(value):
    text = repr(value)
    return text if len(text) < 300 else f"{text[:140]} ... {text[-140:]} ({len(text)} characters)"


def result(act):
    """What an operation gives: its value, or its errno."""
    try:
        return act()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))


def same(what, native, mount):
    if TRACE:
        print(operations, what, short(native), file=TRACE)
    if native != mount:
        fail(f"{what}: native {short(native)}, mount {short(mount)}")
    return native


def on_paths(what, act, *paths):
    """Does `act` on the same paths of both sides; the answer, which must be the same."""
    return same(f"{what} {paths}", *(result(lambda: act(*(root + b"/" + path for path in paths)))
                                     for root in (NATIVE, MOUNT)))


def name_of(slot):
    return os.readlink(b"/proc/self/fd/%d" % slot.fds[0])


def on_slot(what, slot, act):
    if TRACE:
        what += f" of {name_of(slot)}"
    return same(what, *(result(lambda: act(fd)) for fd in slot.fds))


def a_path():
    if rng.random() < 0.04:
        return rng.choice(BIG)
    depth = rng.choice([0, 0, 1, 1, 1, 2])
    return b"/".join([rng.choice(FOLDERS) for _ in range(depth)] + [rng.choice(NAMES)])


def a_slot():
    open_slots = [slot for slot in slots if slot is not None]
    return rng.choice(open_slots) if open_slots else None


def an_offset(size):
    """Around the places where something happens: both ends, borders of blocks and of chunks."""
    kind = rng.random()
    if kind < 0.35:
        return rng.randrange(size + 1)
    if kind < 0.5:
        return max(0, size + rng.randint(-5000, 5000))
    if kind < 0.75:
        return max(0, BLOCK * rng.randrange(1 + size // BLOCK + 3) + rng.randint(-2, 2))
    if kind < 0.8:
        return max(0, CHUNK * rng.choice([1, 1, 1, 2]) + rng.randint(-6000, 6000))
    return rng.randrange(70000)


def a_length():
    kind = rng.random()
    if kind < 0.4:
        return rng.randint(1, 200)
    if kind < 0.7:
        return rng.choice([1, 2, 3, 5]) * BLOCK + rng.choice([0, 0, 0, -1, 1])
    if kind < 0.99:
        return rng.randint(1, 60000)
    return rng.randint(1, 1 << 20)


def noise(length):
    start = rng.randrange(len(NOISE) - length + 1)
    return memoryview(NOISE)[start:start + length]


# --- operations ---


def do_open():
    flags = rng.choice([os.O_RDWR, os.O_RDWR, os.O_RDWR, os.O_WRONLY, os.O_RDONLY])
    for flag, chance in ((os.O_CREAT, 0.8), (os.O_EXCL, 0.1), (os.O_TRUNC, 0.08),
                         (os.O_APPEND, 0.15), (os.O_NOFOLLOW, 0.3)):
        if rng.random() < chance:
            flags |= flag
    path, mode, index = a_path(), rng.choice([0o644, 0o600, 0o777, 0o4755]), rng.randrange(SLOTS)
    close_slot(index)
    fds = [result(lambda: os.open(root + b"/" + path, flags, mode)) for root in (NATIVE, MOUNT)]
    errors = [0 if isinstance(fd, int) else fd for fd in fds]
    if errors[0] != errors[1]:
        fail(f"open {path} flags {flags:o}: native {errors[0]}, mount {errors[1]}")
    if TRACE:
        print(operations, f"open {path} flags {flags:o} mode {mode:o}", errors[0], file=TRACE)
    if errors[0] == 0:
        slots[index] = Both(*fds, flags)


def close_slot(index):
    if slots[index] is not None:
        for fd in slots[index].fds:
            os.close(fd)
    slots[index] = None


def size_of(slot):
    return os.fstat(slot.fds[0]).st_size


def do_write():
    slot = a_slot()
    if slot is None:
        return
    offset, data = an_offset(size_of(slot)), noise(a_length())
    # Linux appends with pwrite, too, when the file was opened so.
    on_slot(f"pwrite {len(data)} at {offset}", slot, lambda fd: os.pwrite(fd, data, offset))


def do_read():
    slot = a_slot()
    if slot is None:
        return
    offset, length = an_offset(size_of(slot)), a_length()
    if rng.random() < 0.5:
        os.posix_fadvise(slot.fds[1], 0, 0, os.POSIX_FADV_DONTNEED)
    on_slot(f"pread {length} at {offset}", slot, lambda fd: os.pread(fd, length, offset))


def do_ftruncate():
    slot = a_slot()
    if slot is not None:
        size = 0 if rng.random() < 0.15 else an_offset(size_of(slot))
        on_slot(f"ftruncate to {size}", slot, lambda fd: os.ftruncate(fd, size))


def do_truncate():
    path = a_path()
    size = rng.choice([0, 1, BLOCK, rng.randrange(200000), CHUNK + rng.randint(-3, 3)])
    on_paths(f"truncate to {size}", lambda at: os.truncate(at, size), path)


def do_mmap():
    """Writes through a shared mapping, which other mappings and reads must see at once."""
    slot = a_slot()
    if slot is None or slot.flags & os.O_ACCMODE != os.O_RDWR:
        return
    size = size_of(slot)
    if size == 0:
        return
    offset = rng.randrange(size)
    data = noise(min(rng.choice([1, 10, 3000, 9000]), size - offset))
    flush, first = rng.random() < 0.5, offset - offset % mmap.ALLOCATIONGRANULARITY
    if TRACE:
        print(operations, f"mmap {len(data)} at {offset}", name_of(slot), file=TRACE)
    for fd in slot.fds:
        with mmap.mmap(fd, offset + len(data) - first, offset=first) as mapping:
            mapping[offset - first:] = data
            if flush:
                mapping.flush()


def do_sync():
    slot = a_slot()
    if slot is not None:
        sync = rng.choice([os.fsync, os.fdatasync])
        on_slot("fsync", slot, sync)


def do_fstat():
    slot = a_slot()
    if slot is not None:
        on_slot("fstat", slot, lambda fd: attributes(os.fstat(fd)))


def do_rename():
    old, new = a_path(), a_path()
    flags = rng.choice([0, 0, 0, 1, 2])
    on_paths(f"renameat2 flags {flags}", lambda a, b: renameat2(a, b, flags), old, new)


def renameat2(old, new, flags):
    if libc.renameat2(AT_FDCWD, old, AT_FDCWD, new, flags) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def do_mkdir():
    path, mode = a_path(), rng.choice([0o755, 0o700, 0o2775])
    on_paths("mkdir", lambda at: os.mkdir(at, mode), path)


def do_rmdir():
    on_paths("rmdir", os.rmdir, a_path())


def do_unlink():
    on_paths("unlink", os.unlink, a_path())


def do_link():
    old, new = a_path(), a_path()
    on_paths("link", lambda a, b: os.link(a, b, follow_symlinks=False), old, new)


def do_symlink():
    # None leads out of the folder: what is there is not the same for both.
    target = rng.choice([b"a", b"./b", b"d0/c", b"d1", b"t" * rng.randint(1, 4000)])
    on_paths("symlink", lambda at: os.symlink(target, at), a_path())


def do_readlink():
    on_paths("readlink", os.readlink, a_path())


def do_chmod():
    mode = rng.choice([0o644, 0o600, 0o400, 0o755, 0o1777, 0o6755, 0])
    on_paths(f"chmod {mode:o}", lambda at: os.chmod(at, mode), a_path())


def do_chown():
    # Not -1 for both: that takes setuid away on Linux's own file systems, but a FUSE server does
    # not hear of it.
    uid, gid = rng.choice([(-1, 0), (-1, 100000), (0, -1), (1000, -1), (0, 0), (65534, 1000)])
    on_paths(f"lchown {uid} {gid}", lambda at: os.lchown(at, uid, gid), a_path())


def do_utime():
    times = (rng.randrange(SET_BEFORE) * 10**9 + rng.randrange(10**9),
             rng.randrange(SET_BEFORE) * 10**9 + rng.randrange(10**9))

    def act(at):
        os.utime(at, ns=times, follow_symlinks=False)
        return os.lstat(at).st_mtime_ns, os.lstat(at).st_atime_ns

    on_paths(f"utime {times}", act, a_path())


def do_setxattr():
    name, value = rng.choice(XATTRS), bytes(noise(rng.choice([0, 1, 20, 900])))
    flags = rng.choice([0, 0, os.XATTR_CREATE, os.XATTR_REPLACE])
    on_paths(f"setxattr {name} flags {flags}",
             lambda at: os.setxattr(at, name, value, flags, follow_symlinks=False), a_path())


def do_removexattr():
    name = rng.choice(XATTRS)
    on_paths(f"removexattr {name}",
             lambda at: os.removexattr(at, name, follow_symlinks=False), a_path())


def do_getxattr():
    name = rng.choice(XATTRS)
    on_paths(f"getxattr {name}",
             lambda at: os.getxattr(at, name, follow_symlinks=False), a_path())


def do_listdir():
    on_paths("listdir", lambda at: sorted(os.listdir(at)), rng.choice([b".", a_path()]))


def do_lstat():
    on_paths("lstat", lambda at: attributes(os.lstat(at)), a_path())


def do_big():
    """Large writes and reads, which push others out of a small cache."""
    path, offset = rng.choice(BIG), rng.randrange(24 << 20)
    data = noise(rng.randint(1 << 18, 4 << 20))

    def act(at):
        fd = os.open(at, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            os.pwrite(fd, data, offset)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            return hashlib.blake2b(os.pread(fd, 4 << 20, (offset * 7) % (24 << 20))).hexdigest()
        finally:
            os.close(fd)

    on_paths(f"big write of {len(data)} at {offset}", act, path)


def do_empty_folder():
    """Now and then a folder goes with all that is in it: open files lose their names."""
    path = rng.choice(FOLDERS)
    for root in (NATIVE, MOUNT):
        if TRACE:
            print(operations, "empty", path, file=TRACE)
        if stat.S_ISDIR(mode_of(root + b"/" + path)):
            for folder, folders, files in os.walk(root + b"/" + path, topdown=False):
                for name in files:
                    os.unlink(os.path.join(folder, name))
                for name in folders:
                    at = os.path.join(folder, name)
                    os.unlink(at) if os.path.islink(at) else os.rmdir(at)


def mode_of(path):
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


WEIGHTS = {
    do_open: 12, do_write: 20, do_read: 12, do_ftruncate: 4, do_truncate: 2, do_mmap: 2, do_sync: 1,
    do_fstat: 3, do_rename: 7, do_mkdir: 6, do_rmdir: 1.5, do_unlink: 4, do_link: 3, do_symlink: 2,
    do_readlink: 1, do_chmod: 3, do_chown: 3, do_utime: 3, do_setxattr: 3, do_removexattr: 1,
    do_getxattr: 2, do_listdir: 2, do_lstat: 4, do_big: 0.15, do_empty_folder: 0.02,
}


# --- comparing ---


def attributes(found):
    """What both sides must agree on; times only where they were set."""
    is_folder = stat.S_ISDIR(found.st_mode)
    mtime = found.st_mtime_ns if found.st_mtime_ns < SET_BEFORE * 10**9 else "later"
    # The size of a folder is each file system's own affair.
    size = None if is_folder else found.st_size
    return found.st_mode, found.st_nlink, found.st_uid, found.st_gid, size, mtime


def content(fd):
    """A hash of an open file, read past the kernel's cache; holes must read as zeros."""
    digest, size = hashlib.blake2b(), 0
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.lseek(fd, 0, os.SEEK_SET)
    while block := os.read(fd, 1 << 20):
        digest.update(block)
        size += len(block)
    check_holes(fd, size)
    return digest.hexdigest(), size


def check_holes(fd, size):
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            start = size
        if os.pread(fd, start - at, at).strip(b"\0"):
            fail(f"a hole from {at} to {start} has data in it")
        if start >= size:
            return
        at = os.lseek(fd, start, os.SEEK_HOLE)
        if at <= start:
            fail(f"data at {start} ends at {at}")


def describe(path, seen):
    found = os.lstat(path)
    names = sorted(os.listxattr(path, follow_symlinks=False))
    extra = [(name, os.getxattr(path, name, follow_symlinks=False)) for name in names
             if not name.startswith("security.") and not name.startswith("system.")]
    if stat.S_ISLNK(found.st_mode):
        extra.append(os.readlink(path))
    elif stat.S_ISREG(found.st_mode):
        # Names of one inode on one side must be names of one inode on the other.
        first = seen.setdefault(found.st_ino, path)
        if first is path:
            fd = os.open(path, os.O_RDONLY)
            extra.append(content(fd))
            os.close(fd)
        else:
            extra.append(relative(first))
    return attributes(found), extra


def relative(path):
    return path[len(NATIVE):] if path.startswith(NATIVE + b"/") else path[len(MOUNT):]


def compare():
    entries = bytes_read = 0
    seen = ({}, {})
    folders = [b""]
    while folders:
        at = folders.pop()
        names = [sorted(os.listdir(root + at)) for root in (NATIVE, MOUNT)]
        same(f"names in {at}", *names)
        for name in names[0]:
            path = at + b"/" + name
            one = describe(NATIVE + path, seen[0])
            other = describe(MOUNT + path, seen[1])
            same(f"at {path}", one, other)
            entries += 1
            bytes_read += one[0][4] or 0
            if stat.S_ISDIR(one[0][0]):
                folders.append(path)
    for slot in slots:
        if slot is not None:
            on_slot("open file", slot, lambda fd: attributes(os.fstat(fd)))
            if slot.flags & os.O_ACCMODE != os.O_WRONLY:
                on_slot("content of an open file", slot, content)
    return {"entries": entries, "bytes": bytes_read}


def run(count):
    global operations
    for _ in range(count):
        rng.choices(*CHOICES)[0]()
        operations += 1
    return {"operations": operations}


CHOICES = (list(WEIGHTS), list(WEIGHTS.values()))


def close_all():
    for index in range(SLOTS):
        close_slot(index)
    return {}


def main():
    commands = {
        "run": lambda command: run(command["count"]),
        "compare": lambda command: compare(),
        "close": lambda command: close_all(),
    }
    os.umask(0o022)
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = commands[command["do"]](command)
        except OSError as error:
            fail(f"an operation that must not fail: {error!r}")
        print(json.dumps(answer), flush=True)


main()
