"""One writer that leaves marks of its steps in many places; are they all of one instant?

Step t changes object t % OBJECTS and nothing else, each object in its own way: bytes, size, name,
link target, attribute, time, a number of links. So after step T every object has the mark of the
last step up to T that was its turn, and any mix of two instants is seen.

instants.py write FOLDER        prints {"step": t} now and then, until its input ends
instants.py check FOLDER LEAST  finds T >= LEAST - 1 with all marks of T; prints {"step": T}
"""
import json, os, select, sys, time

PIECE = 256 << 10
SAY_EVERY = 0.01


class Place:
    """Where a mark is kept; `folder` is a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.file = f"{folder}/file"

    def make(self):
        os.mkdir(self.folder)
        open(self.file, "wb").close()


class Overwritten(Place):
    def set(self, t):
        fd = os.open(self.file, os.O_WRONLY)
        os.pwrite(fd, b"%020d" % t, 5000)
        os.close(fd)

    def get(self):
        with open(self.file, "rb") as file:
            return int(file.read()[5000:] or -1)


class Appended(Place):
    """Each line has the mark and the place of the line."""

    def set(self, t):
        with open(self.file, "ab") as file:
            file.write(b"%019d\n" % t)

    def get(self):
        with open(self.file, "rb") as file:
            lines = file.read().split()
        for earlier, later in zip(lines, lines[1:]):
            assert int(later) - int(earlier) == OBJECTS, (earlier, later)
        return int(lines[-1]) if lines else -1


class Sized(Place):
    """The size says it: up and down, with data only at the start."""

    def set(self, t):
        os.truncate(self.file, (t * 7919 % 1000) * 10_000_000 + t)

    def get(self):
        size = os.stat(self.file).st_size
        t = size % 10_000_000 if size else -1
        assert t < 0 or size == (t * 7919 % 1000) * 10_000_000 + t, size
        return t


class Renamed(Place):
    def make(self):
        os.mkdir(self.folder)

    def set(self, t):
        names = os.listdir(self.folder)
        if names:
            os.rename(f"{self.folder}/{names[0]}", f"{self.folder}/{t}")
        else:
            os.mkdir(f"{self.folder}/{t}")

    def get(self):
        names = os.listdir(self.folder)
        assert len(names) <= 1, names
        return int(names[0]) if names else -1


class Replaced(Place):
    """A new file takes the old one's place; its making is the step of the place before."""

    def set(self, t):
        os.rename(f"{self.folder}.next", self.file)

    def get(self):
        with open(self.file, "rb") as file:
            return int(file.read() or -1)


class Prepared(Place):
    """Writes what {@link Replaced} puts in place in the next step."""

    def make(self):
        pass

    def set(self, t):
        with open(f"{self.next}.next", "wb") as file:
            file.write(b"%d" % (t + 1))
        self.known = t

    def get(self):
        return None


class Linked(Place):
    def set(self, t):
        if os.path.lexists(f"{self.folder}/link"):
            os.unlink(f"{self.folder}/link")
        os.symlink(str(t), f"{self.folder}/link")

    def get(self):
        # Between two links there is none: then this place says nothing.
        link = f"{self.folder}/link"
        return int(os.readlink(link)) if os.path.lexists(link) else None


class Attribute(Place):
    def set(self, t):
        os.setxattr(self.file, "user.step", str(t).encode())

    def get(self):
        return int(os.getxattr(self.file, "user.step")) if os.listxattr(self.file) else -1


class Time(Place):
    def set(self, t):
        os.utime(self.file, ns=(t, t))

    def get(self):
        mtime = os.stat(self.file).st_mtime_ns
        return mtime if mtime < 10**9 else -1


class Names(Place):
    """A link more each time."""

    def set(self, t):
        os.link(self.file, f"{self.folder}/{t}")

    def get(self):
        names = sorted(int(name) for name in os.listdir(self.folder) if name != "file")
        assert os.stat(self.file).st_nlink == len(names) + 1
        return names[-1] if names else -1


class Large(Place):
    """A large piece in one write, all of it the mark."""

    def set(self, t):
        fd = os.open(self.file, os.O_WRONLY)
        os.pwrite(fd, (b"%016d" % t) * (PIECE // 16), 3 * PIECE)
        os.close(fd)

    def get(self):
        with open(self.file, "rb") as file:
            data = file.read()[3 * PIECE:]
        if not data:
            return -1
        assert data == data[:16] * (PIECE // 16), "a torn write"
        return int(data[:16])


KINDS = [Overwritten, Appended, Sized, Renamed, Prepared, Replaced, Linked, Attribute, Time, Names,
         Large, Overwritten]
OBJECTS = len(KINDS)


def places(folder):
    made = [kind(f"{folder}/{index}-{kind.__name__}") for index, kind in enumerate(KINDS)]
    for prepared, replaced in zip(made, made[1:]):
        if isinstance(prepared, Prepared):
            prepared.next = replaced.folder
    return made


def say(fact):
    print(json.dumps(fact), flush=True)


def write(folder):
    os.mkdir(folder)
    made = places(folder)
    for place in made:
        place.make()
    say({"step": 0})
    step, said = 0, 0.0
    while not select.select([sys.stdin], [], [], 0)[0]:
        made[step % OBJECTS].set(step)
        step += 1
        if time.monotonic() - said > SAY_EVERY:
            said = time.monotonic()
            say({"step": step})


def check(folder, least):
    marks = {index: place.get() for index, place in enumerate(places(folder))}
    marks = {index: mark for index, mark in marks.items() if mark is not None}
    last = max(marks.values())
    assert last >= least - OBJECTS, (last, least)
    # Places that say nothing may hide the newest steps: more than one instant can be meant.
    instants = [step for step in range(last, last + OBJECTS)
                if all(mark == newest(index, step) for index, mark in marks.items())]
    assert instants, f"no one instant has these marks: {marks}"
    assert instants[-1] >= least - 1, (instants, least)
    say({"step": instants[0]})


def newest(index, step):
    """The last step up to `step` that was the turn of `index`; -1 when there was none."""
    mark = step - (step - index) % OBJECTS
    return mark if mark >= 0 else -1


if sys.argv[1] == "write":
    write(sys.argv[2])
else:
    check(sys.argv[2], int(sys.argv[3]))
