"""A tree of everything a folder can hold, and a list by which two trees are compared.

tree.py make FOLDER SEED FILES   makes it; the same seed gives the same tree
tree.py change FOLDER SEED       changes some of it: contents, names, modes, times, attributes
tree.py list FOLDER              a line an entry: everything that can be seen but inode numbers,
                                 atime and ctime; hard links are told by the first of their names
"""
import hashlib, os, random, struct, sys

MIB = 1 << 20
XATTR_PREFIXES = ("user.", "trusted.", "security.", "system.posix_acl")


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)


def names(rng):
    """Names that programs stumble over, then plain ones."""
    yield from (b"-rf", b" lead", b"trail ", b"new\nline", b"tab\tbed", b"back\\slash", b"q'u\"ote")
    yield from (b"\xff\xfe bytes", "\u00fcml\u00e4ut \u6f22\u5b57".encode(), b"*", b"x" * 255, b".hid")
    while True:
        yield b"file-%08x" % rng.getrandbits(32)


def content(rng):
    kind = rng.random()
    if kind < 0.1:
        return b""
    if kind < 0.7:
        return rng.randbytes(rng.randrange(1, 9000))
    if kind < 0.97:
        return rng.randbytes(1000) * rng.randrange(1, 200)
    return rng.randbytes(rng.randrange(1, 2 * MIB))


def make_sparse(path, rng):
    """Data, a hole of MiBs, data, and a hole at the end."""
    with open(path, "wb") as file:
        file.write(rng.randbytes(4096))
        file.seek(24 * MIB)
        file.write(rng.randbytes(10_000))
        file.truncate(40 * MIB)


def acl(entries):
    """An ACL in the form of its extended attribute: (tag, permissions, id), in order."""
    packed = (struct.pack("<HHI", *entry) for entry in entries)
    return struct.pack("<I", 2) + b"".join(packed)


NOBODY = 0xFFFFFFFF
ACL = acl([(1, 6, NOBODY), (2, 7, 1234), (4, 4, NOBODY), (8, 5, 4321), (16, 7, NOBODY), (32, 0, NOBODY)])


def make(root, seed, files):
    rng = random.Random(seed)
    os.makedirs(root, exist_ok=True)
    folders, plain, source = [root], [], names(rng)
    for index in range(files):
        if index % 12 == 0:
            parent = rng.choice(folders)
            if len(parent) < 1500:
                folders.append(os.path.join(parent, b"dir-%d" % index))
                os.mkdir(folders[-1])
        path = os.path.join(rng.choice(folders), next(source))
        write(path, content(rng))
        plain.append(path)
    for index in range(files // 20):
        os.symlink(rng.choice((plain[index], b"nowhere", b"t" * 4000)), os.path.join(folders[-1], b"sym-%d" % index))
        os.link(plain[index], os.path.join(rng.choice(folders), b"hard-%d" % index))
        with_xattr = rng.choice(plain)
        os.setxattr(with_xattr, b"user.some", rng.randbytes(rng.randrange(0, 3000)))
        os.setxattr(with_xattr, b"trusted.other", b"value %d" % index)
    os.setxattr(folders[-1], b"user.folder", b"a folder's")
    os.mkfifo(os.path.join(folders[-1], b"fifo"), 0o640)
    os.mknod(os.path.join(folders[-1], b"device"), 0o20600, os.makedev(1, 3))
    make_sparse(os.path.join(folders[-1], b"sparse"), rng)
    for path in plain[:6]:
        os.setxattr(path, b"system.posix_acl_access", ACL)
    os.setxattr(folders[1], b"system.posix_acl_default", ACL)
    for path in plain[::5]:
        os.chown(path, rng.randrange(3000), rng.randrange(3000))
        os.chmod(path, rng.choice((0o4755, 0o2711, 0o600, 0o444, 0o777, 0o0)))
    os.chmod(folders[-1], 0o3775)
    set_times(root, rng)


def set_times(root, rng):
    """From the leaves up: what changes a folder changes its time."""
    for folder, below, files in os.walk(root, topdown=False):
        for name in files + below:
            ns = rng.randrange(10**18, 17 * 10**17)
            os.utime(os.path.join(folder, name), ns=(ns, ns), follow_symlinks=False)


def change(root, seed):
    rng = random.Random(seed)
    every = sorted(os.path.join(folder, name) for folder, _, files in os.walk(root) for name in files)
    plain = [path for path in every if os.path.isfile(path) and not os.path.islink(path)]
    for path in rng.sample(plain, len(plain) // 5):
        kind = rng.randrange(5)
        if kind == 0:
            with open(path, "r+b") as file:
                file.seek(rng.randrange(os.path.getsize(path) + 1))
                file.write(rng.randbytes(rng.randrange(1, 5000)))
        elif kind == 1:
            os.truncate(path, os.path.getsize(path) // 2)
        elif kind == 2:
            os.unlink(path)
        elif kind == 3:
            os.setxattr(path, b"user.changed", b"yes")
        else:
            os.rename(path, path[:200] + b"~")
    set_times(root, rng)


def attributes(path):
    found = []
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        if name.startswith(XATTR_PREFIXES):
            found.append(f"{name}={os.getxattr(path, name, follow_symlinks=False).hex()}")
    return ",".join(found)


def describe(path, first_names):
    info = os.lstat(path)
    kind = {0o1: "fifo", 0o2: "char", 0o4: "dir", 0o6: "block", 0o12: "link", 0o14: "socket"}
    words = [kind.get(info.st_mode >> 12, "file"), oct(info.st_mode), info.st_uid, info.st_gid, info.st_mtime_ns]
    if words[0] == "file":
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "blake2b").hexdigest()[:32]
        sparse = info.st_size > 8 * MIB and info.st_blocks * 512 < info.st_size // 2
        first = first_names.setdefault(info.st_ino, path) if info.st_nlink > 1 else b""
        words += [info.st_size, digest, info.st_nlink, repr(first), "sparse" if sparse else "full"]
    elif words[0] == "link":
        words.append(repr(os.readlink(path)))
    elif words[0] in ("char", "block"):
        words.append(info.st_rdev)
    return " ".join(map(str, words + [attributes(path)]))


def every(root):
    yield b"."
    for folder, below, files in os.walk(root):
        below.sort()
        for name in sorted(files + below):
            yield os.path.relpath(os.path.join(folder, name), root)


def show(root):
    os.chdir(root)
    first_names = {}
    for path in every(b"."):
        print(repr(path), describe(path, first_names))


def age(root):
    # rsync takes a folder that changed within the second of its source's time for right.
    for path, _, _ in os.walk(root):
        found = os.lstat(path)
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns - 3600 * 10**9))


command, folder = sys.argv[1], os.fsencode(sys.argv[2])
if command == "make":
    make(folder, int(sys.argv[3]), int(sys.argv[4]))
    age(folder)
elif command == "change":
    change(folder, int(sys.argv[3]))
    age(folder)
elif command == "list":
    show(folder)
else:
    sys.exit(f"Cannot {command}: there is make, change and list")
