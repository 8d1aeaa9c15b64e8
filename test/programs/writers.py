"""Programs that write to a folder of their own and know afterwards what must be there.

writers.py ROLE FOLDER   works until its input ends, then checks itself and prints
                         {"role": ..., "count": n}; meanwhile {"done": n} after n whole steps
writers.py check ROLE FOLDER ATLEAST ATMOST
                         looks at what is there: the role after ATLEAST to ATMOST steps

Any error of an operation, or a wrong byte, ends it with a trace and status 1.
"""
import json, mmap, os, select, shutil, sqlite3, sys, tempfile, time

RECORD = 64
MAPPED_BYTES = 1 << 20
SAY_EVERY = 0.02


def record(n):
    return b"%012d " % n + bytes([65 + n % 26]) * (RECORD - 14) + b"\n"


class Appender:
    """Appends records, each synced before it counts."""

    def __init__(self, folder):
        self.fd = os.open(f"{folder}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def step(self, n):
        assert os.write(self.fd, record(n)) == RECORD
        os.fsync(self.fd)

    @staticmethod
    def check(folder, at_least, at_most):
        with open(f"{folder}/log", "rb") as log:
            data = log.read()
        count = len(data) // RECORD
        assert at_least <= count <= at_most, (at_least, count, at_most)
        assert len(data) == count * RECORD, len(data)
        assert data == b"".join(record(n) for n in range(count)), "the log has wrong records"


class Names:
    """Operations on names: one that is done twice, or not at all, fails or leaves a wrong name."""

    KEEP = 40

    def __init__(self, folder):
        self.folder = folder

    def step(self, n):
        at = f"{self.folder}/{n}"
        os.close(os.open(f"{at}.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
        os.rename(f"{at}.new", f"{at}.file")
        os.link(f"{at}.file", f"{at}.link")
        os.symlink(str(n), f"{at}.symlink")
        os.mkdir(f"{at}.folder")
        os.rename(f"{at}.file", f"{at}.folder/inside")
        os.setxattr(f"{at}.link", "user.n", str(n).encode(), os.XATTR_CREATE)
        assert os.stat(f"{at}.link").st_nlink == 2
        if n >= self.KEEP:
            old = f"{self.folder}/{n - self.KEEP}"
            os.unlink(f"{old}.folder/inside")
            os.rmdir(f"{old}.folder")
            os.unlink(f"{old}.symlink")
            os.removexattr(f"{old}.link", "user.n")
            os.unlink(f"{old}.link")

    @classmethod
    def check(cls, folder, at_least, at_most):
        names = set(os.listdir(folder))
        whole = [int(name[:-8]) for name in names if name.endswith(".symlink")]
        count = max(whole, default=-1) + 1
        assert at_least <= count <= at_most, (at_least, count, at_most)
        if at_least < at_most:
            return
        wanted = set()
        for n in range(max(0, count - cls.KEEP), count):
            wanted |= {f"{n}.link", f"{n}.symlink", f"{n}.folder"}
            at = f"{folder}/{n}"
            assert os.listdir(f"{at}.folder") == ["inside"], n
            assert os.readlink(f"{at}.symlink") == str(n)
            assert os.getxattr(f"{at}.link", "user.n") == str(n).encode()
            assert os.path.samefile(f"{at}.link", f"{at}.folder/inside")
            assert os.stat(f"{at}.link").st_nlink == 2
        assert names == wanted, names ^ wanted
        assert os.stat(folder).st_nlink == 2 + min(count, cls.KEEP)


class Ledger:
    """SQLite transactions that move money: the sum stays, and no acknowledged one is missing."""

    ACCOUNTS, START = 20, 1000

    def __init__(self, folder, journal):
        self.db = sqlite3.connect(f"{folder}/ledger.db", isolation_level=None, timeout=60)
        assert self.db.execute(f"pragma journal_mode={journal}").fetchone()[0].lower() == journal
        # In DELETE mode a transaction ends with the removal of the journal, which only EXTRA syncs:
        # with FULL the last one may be rolled back after a power cut, on any file system.
        self.db.execute("pragma synchronous=extra")
        self.db.execute("begin")
        self.db.execute("create table account (id integer primary key, amount integer not null)")
        self.db.execute("create table moved (n integer primary key, filler blob)")
        self.db.executemany("insert into account values (?, ?)",
                            [(id, self.START) for id in range(self.ACCOUNTS)])
        self.db.execute("commit")

    def step(self, n):
        self.db.execute("begin immediate")
        change = "update account set amount = amount + ? where id = ?"
        self.db.execute(change, (-(n % 7), n % self.ACCOUNTS))
        self.db.execute(change, (n % 7, n * 3 % self.ACCOUNTS))
        self.db.execute("insert into moved values (?, zeroblob(?))", (n, n * 37 % 3000))
        self.db.execute("commit")

    @classmethod
    def check(cls, folder, at_least, at_most):
        with tempfile.TemporaryDirectory() as copy:
            # SQLite rolls back what was under way, which it cannot do on a mount that is read-only.
            for name in os.listdir(folder):
                shutil.copy(f"{folder}/{name}", copy)
            cls.check_copy(copy, at_least, at_most)

    @classmethod
    def check_copy(cls, folder, at_least, at_most):
        db = sqlite3.connect(f"{folder}/ledger.db")
        assert db.execute("pragma integrity_check").fetchall() == [("ok",)]
        count, last = db.execute("select count(*), max(n) from moved").fetchone()
        assert count == (last if last is not None else -1) + 1, (count, last)
        assert at_least <= count <= at_most, (at_least, count, at_most)
        (total,) = db.execute("select sum(amount) from account").fetchone()
        assert total == cls.ACCOUNTS * cls.START
        amounts = [cls.START] * cls.ACCOUNTS
        for n in range(count):
            amounts[n % cls.ACCOUNTS] -= n % 7
            amounts[n * 3 % cls.ACCOUNTS] += n % 7
        assert [row[0] for row in db.execute("select amount from account order by id")] == amounts
        db.close()


class LedgerWal(Ledger):
    def __init__(self, folder):
        super().__init__(folder, "wal")


class LedgerDelete(Ledger):
    def __init__(self, folder):
        super().__init__(folder, "delete")


class Mapped:
    """Writes through a shared mapping; a step counts when msync has returned."""

    SLOT = 1000

    def __init__(self, folder):
        self.fd = os.open(f"{folder}/mapped", os.O_RDWR | os.O_CREAT, 0o644)
        os.ftruncate(self.fd, MAPPED_BYTES)
        self.map = mmap.mmap(self.fd, MAPPED_BYTES)

    @classmethod
    def place(cls, n):
        return n * cls.SLOT * 7 % (MAPPED_BYTES - cls.SLOT) // cls.SLOT * cls.SLOT

    def step(self, n):
        at = self.place(n)
        self.map[at:at + RECORD] = record(n)
        self.map.flush()

    @classmethod
    def check(cls, folder, at_least, at_most):
        with open(f"{folder}/mapped", "rb") as mapped:
            data = mapped.read()
        assert len(data) in ((MAPPED_BYTES,) if at_least else (0, MAPPED_BYTES)), len(data)
        newest = {}
        for n in range(at_least):
            newest[cls.place(n)] = n
        for at in range(0, len(data) - cls.SLOT, cls.SLOT):
            found = data[at:at + RECORD]
            n = int(found[:12]) if found.strip(b"\0") else None
            allowed = {newest.get(at)} | {m for m in range(at_least, at_most) if cls.place(m) == at}
            assert n in allowed, (at, n, allowed)
            assert n is None or found == record(n), (at, found)


class Truncator:
    """Grows a file by records, empties it now and then, and overwrites blocks of a large one."""

    def __init__(self, folder):
        self.small = os.open(f"{folder}/small", os.O_RDWR | os.O_CREAT, 0o644)
        self.large = os.open(f"{folder}/large", os.O_RDWR | os.O_CREAT, 0o644)

    @staticmethod
    def size(n):
        return (n % 50 + 1) * RECORD

    def step(self, n):
        if n % 50 == 0:
            os.ftruncate(self.small, 0)
        os.pwrite(self.small, record(n), self.size(n) - RECORD)
        os.pwrite(self.large, bytes([n % 251 + 1]) * 5000, n * 4096 % (6 << 20))

    @classmethod
    def check(cls, folder, at_least, at_most):
        with open(f"{folder}/small", "rb") as small:
            data = small.read()
        if at_least < at_most:
            return
        n = at_least
        start = (n - 1) // 50 * 50
        assert data == b"".join(record(i) for i in range(start, n)), (len(data), n)
        wanted = bytearray(max([i * 4096 % (6 << 20) + 5000 for i in range(n)], default=0))
        for i in range(n):
            at = i * 4096 % (6 << 20)
            wanted[at:at + 5000] = bytes([i % 251 + 1]) * 5000
        with open(f"{folder}/large", "rb") as large:
            assert large.read() == wanted, "the large file differs"


class Pair:
    """A log, then what it tells of: the second never has more than the first."""

    def __init__(self, folder):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self.log = os.open(f"{folder}/log", flags, 0o644)
        self.data = os.open(f"{folder}/data", flags, 0o644)

    def step(self, n):
        os.write(self.log, record(n))
        os.write(self.data, record(n))

    @staticmethod
    def check(folder, at_least, at_most):
        found = []
        for name in ("log", "data"):
            with open(f"{folder}/{name}", "rb") as file:
                found.append(file.read())
        log, data = (len(content) // RECORD for content in found)
        assert at_least <= data <= log <= min(data + 1, at_most), (at_least, data, log, at_most)
        assert found[0] == b"".join(record(n) for n in range(log))
        assert found[1] == found[0][:data * RECORD]


class Blocks:
    """
    Overwrites blocks of a large file, whole or in part, and reads others past the kernel's cache:
    several of them are more than a small cache holds.
    """

    BLOCK, COUNT, HEAD = 4096, 8000, 100

    def __init__(self, folder):
        self.fd = os.open(f"{folder}/blocks", os.O_RDWR | os.O_CREAT, 0o644)
        for first in range(0, self.COUNT, 250):
            os.pwrite(self.fd, b"".join(map(self.block, range(-first - 1, -first - 251, -1))),
                      first * self.BLOCK)
        # Head and rest of each block, by the step that wrote them.
        self.heads = [-1 - at for at in range(self.COUNT)]
        self.rests = list(self.heads)

    @classmethod
    def block(cls, n):
        return b"%15d " % n * (cls.BLOCK // 16)

    @classmethod
    def place(cls, n):
        return n * 2654435761 % (1 << 32) % cls.COUNT

    @classmethod
    def apply(cls, n, heads, rests):
        heads[cls.place(n)] = n
        if n % 3:
            rests[cls.place(n)] = n

    def step(self, n):
        data = self.block(n)[:None if n % 3 else self.HEAD]
        assert os.pwrite(self.fd, data, self.place(n) * self.BLOCK) == len(data)
        self.apply(n, self.heads, self.rests)
        at = self.place(n * 31 + 7)
        os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)
        found = os.pread(self.fd, self.BLOCK, at * self.BLOCK)
        assert found == self.mixed(self.heads[at], self.rests[at]), (n, at, found[:20], found[-20:])

    @classmethod
    def mixed(cls, head, rest):
        return cls.block(head)[:cls.HEAD] + cls.block(rest)[cls.HEAD:]

    @classmethod
    def check(cls, folder, at_least, at_most):
        heads = [-1 - at for at in range(cls.COUNT)]
        rests = list(heads)
        for n in range(at_least):
            cls.apply(n, heads, rests)
        with open(f"{folder}/blocks", "rb") as blocks:
            for at in range(cls.COUNT):
                found = blocks.read(cls.BLOCK)
                head, rest = int(found[:15]), int(found[-16:])
                assert head == heads[at] or cls.is_later(head, at, at_least, at_most), (at, head)
                assert rest == rests[at] or cls.is_later(rest, at, at_least, at_most), (at, rest)
                assert found == cls.mixed(head, rest), at

    @classmethod
    def is_later(cls, n, at, at_least, at_most):
        return at_least <= n < at_most and cls.place(n) == at


ROLES = {"pair": Pair, "append": Appender, "names": Names, "wal": LedgerWal,
         "delete": LedgerDelete, "mapped": Mapped, "truncate": Truncator, "blocks": Blocks}


def role_of(name):
    """`wal-2` is another program of role `wal`."""
    return ROLES[name.split("-")[0]]


def say(fact):
    """Nobody may listen any more: that is no error."""
    try:
        print(json.dumps(fact), flush=True)
    except BrokenPipeError:
        sys.exit(0)


def work(role, folder):
    os.mkdir(folder)
    writer = role_of(role)(folder)
    n, said = 0, 0.0
    longest = 0.0
    say({"done": 0})
    while not select.select([sys.stdin], [], [], 0)[0]:
        start = time.monotonic()
        try:
            writer.step(n)
        except (OSError, sqlite3.Error) as error:
            # The step was not acknowledged; what was done before is told.
            say({"done": n, "error": repr(error)})
            raise
        longest = max(longest, time.monotonic() - start)
        n += 1
        if time.monotonic() - said > SAY_EVERY:
            said = time.monotonic()
            say({"done": n})
    role_of(role).check(folder, n, n)
    say({"role": role, "count": n, "longest": round(longest, 3)})


if sys.argv[1] == "check":
    role_of(sys.argv[2]).check(sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    say({"checked": sys.argv[2]})
else:
    work(sys.argv[1], sys.argv[2])
