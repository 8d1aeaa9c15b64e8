"""A load that goes on when operations fail, and never takes a wrong byte for a failure.

fault_load.py FOLDER SEED   works until it is told otherwise, one line of JSON each:
    {"do": "report"}   what failed since the last report, and how long the longest operation of
                       each kind took: {"steps", "errors": {"write EIO": n}, "longest": {"write": s}}
    {"do": "check"}    reads everything and looks at it: {"checked", "errors"}
    {"do": "close"}    closes every file and does nothing before the next order: {"closed": true}
    {"do": "sync"}     syncs every file: {"errors"}; what was written stands behind it

A block holds what it is, the number of its write in each sector. After a write that failed it may
be what it was or what was written, sector by sector; then it must stay what it was seen to be.
"""
import errno, json, os, random, select, sys, threading, time

BLOCK = 4096
SECTOR = 512
FILES = 6
BLOCKS = 160
NAMES = 12
FOLDER, SEED = sys.argv[1], int(sys.argv[2])
dice = random.Random(SEED)
errors, longest = {}, {}
steps = 0
now = None
"""What runs: its name and since when; a thread that asks knows also what hangs."""


def timed(name, action):
    """The result, or the OSError it failed with."""
    global now
    start = time.monotonic()
    now = (name, start)
    try:
        return action()
    except OSError as error:
        key = f"{name} {errno.errorcode[error.errno]}"
        errors[key] = errors.get(key, 0) + 1
        return error
    finally:
        now = None
        longest[name] = max(longest.get(name, 0), time.monotonic() - start)


def content(file, block, version):
    stamp = b"%02d %06d %012d " % (file, block, version)
    return stamp.ljust(64, b".") * (BLOCK // 64)


class File:
    """A file of blocks: for each sector of each block the versions it may have."""

    def __init__(self, number):
        self.number, self.path = number, f"{FOLDER}/file{number}"
        self.may = [[{0} for _ in range(BLOCK // SECTOR)] for _ in range(BLOCKS)]
        self.version = 0
        self.fd = None

    def open(self):
        if self.fd is None:
            fd = timed("open", lambda: os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644))
            self.fd = fd if isinstance(fd, int) else None
        return self.fd is not None

    def close(self):
        if self.fd is not None:
            fd, self.fd = self.fd, None
            timed("close", lambda: os.close(fd))

    def write(self, first, count):
        self.version += 1
        data = b"".join(content(self.number, first + n, self.version) for n in range(count))
        done = timed("write", lambda: os.pwrite(self.fd, data, first * BLOCK))
        whole = done if isinstance(done, int) else 0
        for n in range(count):
            for sector in range(BLOCK // SECTOR):
                versions = self.may[first + n][sector]
                if n * BLOCK + (sector + 1) * SECTOR <= whole:
                    versions.clear()
                versions.add(self.version)

    def read(self, first, count):
        """A read that ends early has failed at its end, or the file has one there."""
        data = b""
        while len(data) < count * BLOCK:
            at = first * BLOCK + len(data)
            part = timed("read", lambda: os.pread(self.fd, count * BLOCK - len(data), at))
            if not isinstance(part, bytes):
                break
            data += part or bytes(BLOCK)
        for at in range(0, len(data) - SECTOR + 1, SECTOR):
            self.look(first + at // BLOCK, at % BLOCK // SECTOR, data[at:at + SECTOR])
        return len(data) >= count * BLOCK

    def look(self, block, sector, found):
        """One of the versions it may have; which one, it then stays."""
        versions = self.may[block][sector]
        for version in versions:
            wanted = content(self.number, block, version)[:SECTOR] if version else bytes(SECTOR)
            if found == wanted:
                # What was read from memory may yet be lost, until it is written again.
                return
        where = f"{self.path} block {block} sector {sector}"
        print(json.dumps({"failed": f"{where}: {found[:40]!r}, not of {sorted(versions)}"}))
        sys.exit(1)


class Names:
    """Small files put in place by rename: each is one of the contents that were put there."""

    def __init__(self):
        self.may = [{None} for _ in range(NAMES)]
        self.version = 0

    def put(self, number):
        self.version += 1
        path, data = f"{FOLDER}/name{number}", f"{number} {self.version}\n" * 50
        def write():
            with open(path + ".new", "w") as new:
                new.write(data)
                new.flush()
                os.fsync(new.fileno())
            os.rename(path + ".new", path)
        done = timed("put", write)
        self.may[number] = {self.version} | (self.may[number] if done is not None else set())

    def get(self, number):
        def read():
            with open(f"{FOLDER}/name{number}") as file:
                return file.read()
        data = timed("get", read)
        if isinstance(data, FileNotFoundError):
            errors.pop("get ENOENT", None)
            found = None
        elif isinstance(data, OSError):
            return False
        else:
            found = int(data.split("\n")[0].split()[1]) if data else -1
            if data != f"{number} {found}\n" * 50:
                found = -1
        if found not in self.may[number]:
            print(json.dumps({"failed": f"name{number}: {found}, not of {self.may[number]}"}))
            sys.exit(1)
        return True


files = [File(number) for number in range(FILES)]
names = Names()


def step():
    global steps
    steps += 1
    kind = dice.random()
    file = dice.choice(files)
    if kind < 0.25:
        number = dice.randrange(NAMES)
        names.put(number) if dice.random() < 0.5 else names.get(number)
        return
    if not file.open():
        return
    count = min(BLOCKS, 1 << dice.randrange(6))
    first = dice.randrange(BLOCKS - count + 1)
    if kind < 0.55:
        file.write(first, count)
    elif kind < 0.80:
        file.read(first, count)
    elif kind < 0.95:
        timed("fsync", lambda: os.fsync(file.fd))
    else:
        file.close()


def check():
    checked = 0
    for file in files:
        file.close()
        if file.open():
            checked += file.read(0, BLOCKS)
    for number in range(NAMES):
        checked += names.get(number)
    return checked


def sync():
    for file in files:
        if file.open():
            timed("fsync", lambda: os.fsync(file.fd))


def take_errors():
    taken = dict(errors)
    errors.clear()
    return taken


def answer(order):
    errors.clear()
    if order == "close":
        for file in files:
            file.close()
        print(json.dumps({"closed": True}))
        while not orders:
            time.sleep(0.01)
        errors.clear()
    elif order == "check":
        print(json.dumps({"checked": check(), "of": FILES + NAMES, "errors": take_errors()}))
    else:
        sync()
        print(json.dumps({"errors": take_errors()}))


orders = []


def listen():
    """Reports at once, whatever hangs; the rest is done between two steps."""
    for line in sys.stdin:
        order = json.loads(line)["do"]
        if order != "report":
            orders.append(order)
            continue
        running = now
        if running is not None:
            name, start = running
            longest[name] = max(longest.get(name, 0), time.monotonic() - start)
        print(json.dumps({"steps": steps, "errors": take_errors(), "longest": dict(longest)}))
        longest.clear()
    orders.append("end")


timed("mkdir", lambda: os.makedirs(FOLDER, exist_ok=True))
for file in files:
    file.open()
    file.write(0, BLOCKS)
sync()
print(json.dumps({"started": True}))
threading.Thread(target=listen, daemon=True).start()
while True:
    if not orders:
        step()
        continue
    order = orders.pop(0)
    if order == "end":
        break
    answer(order)
