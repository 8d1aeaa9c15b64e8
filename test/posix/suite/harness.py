"""What all cases share: how they are declared, what they may ask of their folder, and users.

A case is a function with one argument, the Trial. It runs in a process of its own, as root, with
a fresh empty folder as its current one, so it uses relative names only: the way to that folder may
be closed to the users it tries. An expectation that fails is noted and the case goes on.
"""
import errno
import os
import pickle
import signal
import time
import traceback

CASES = {}


class User:
    def __init__(self, name, uid, gid, groups=()):
        self.name, self.uid, self.gid, self.groups = name, uid, gid, list(groups)

    def become(self):
        os.setgroups(self.groups)
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)


ROOT = User("root", 0, 0)
OWNER = User("owner", 54001, 54001, [54009])
MEMBER = User("member", 54002, 54002, [54001])
OTHER = User("other", 54003, 54003)
USERS = (OWNER, MEMBER, OTHER)
TEAM = 54009  # a group that only OWNER is in besides its own


def case(function=None, *, lacks=None, seconds=60):
    """Declares a case; `lacks` names file systems that cannot pass it: {type: reason}."""

    def declare(body):
        subject = body.__module__.rsplit(".", 1)[-1]
        body.lacks, body.seconds = lacks or {}, seconds
        CASES.setdefault(subject, {})[body.__name__] = body
        return body

    return declare if function is None else declare(function)


def name_of(value):
    """An errno by its name, everything else as it is written."""
    if isinstance(value, OSError):
        return errno.errorcode.get(value.errno, str(value.errno))
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:80]}... ({len(text)} characters)"


class Trial:
    """Expectations of one case."""

    def __init__(self, kind):
        self.kind = kind
        self.failures = []

    def expect(self, what, is_right, actual="not so"):
        if not is_right:
            self.failures.append(f"{what}: expected so, actual {name_of(actual)}")

    def equal(self, what, actual, expected):
        if actual != expected:
            if isinstance(actual, Mode):
                expected = Mode(expected)
            text = f"expected {name_of(expected)}, actual {name_of(actual)}"
            self.failures.append(f"{what}: {text}")

    def fails(self, code, function, *arguments, by=None, **options):
        """The call fails with `code` (or one of them), as the user `by`."""
        codes = code if isinstance(code, tuple) else (code,)
        who = "" if by is None else f" by {by.name}"
        what = f"{function.__name__}({', '.join(name_of(each) for each in arguments)}){who}"
        try:
            actual = self.run(by, function, *arguments, **options)
        except OSError as error:
            if error.errno in codes:
                return
            actual = error
        names = " or ".join(errno.errorcode[each] for each in codes)
        self.failures.append(f"{what}: expected {names}, actual {name_of(actual)}")

    def works(self, function, *arguments, by=None, **options):
        """The call works, as the user `by`; its result, or None."""
        try:
            return self.run(by, function, *arguments, **options)
        except OSError as error:
            who = "" if by is None else f" by {by.name}"
            what = f"{function.__name__}({', '.join(name_of(each) for each in arguments)}){who}"
            self.failures.append(f"{what}: expected to work, actual {name_of(error)}")
            return None

    def run(self, user, function, *arguments, **options):
        """The function's result, called by a process of `user`'s, or here without one."""
        if user is None:
            return function(*arguments, **options)
        return Process(lambda: (user.become(), function(*arguments, **options))[1]).result()


class Process:
    """A forked child that runs a function; its result or exception comes back by a pipe."""

    def __init__(self, body):
        self.read_end, write_end = os.pipe()
        self.pid = os.fork()
        if self.pid != 0:
            os.close(write_end)
            return
        status = 0
        try:
            os.close(self.read_end)
            try:
                answer = (True, body())
            except BaseException as error:  # the parent raises it
                answer = (False, error if isinstance(error, OSError) else traceback.format_exc())
            with os.fdopen(write_end, "wb") as pipe:
                pickle.dump(answer, pipe)
        except BaseException:
            status = 1
        os._exit(status)

    def result(self):
        with os.fdopen(self.read_end, "rb") as pipe:
            data = pipe.read()
        _, status = os.waitpid(self.pid, 0)
        if not data:
            raise RuntimeError(f"the child ended with status {status:#x}")
        worked, value = pickle.loads(data)
        if worked:
            return value
        raise value if isinstance(value, OSError) else RuntimeError(value)

    def kill(self):
        """Ends the child, whatever it does."""
        os.close(self.read_end)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


class Channel:
    """Turns between two processes: wait() returns when the other one said so."""

    def __init__(self):
        self.ends = os.pipe()

    def say(self):
        os.write(self.ends[1], b".")

    def wait(self):
        assert os.read(self.ends[0], 1) == b"."


def blocked(pid, inside, seconds=20):
    """Waits until `pid` sleeps in the system call whose number `inside` is; False if it never does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with open(f"/proc/{pid}/syscall") as file:
            if file.read().split()[0] == str(inside):
                with open(f"/proc/{pid}/stat") as stat:
                    if stat.read().rsplit(")", 1)[1].split()[0] in "SD":
                        return True
        time.sleep(0.005)
    return False


def write_file(path, data=b"", mode=0o644, owner=None):
    """Makes or replaces a file; its mode is exactly `mode`."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        view = memoryview(data)
        while len(view) > 0:
            view = view[os.write(fd, view):]
        if owner is not None:
            os.fchown(fd, owner.uid, owner.gid)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)
    return path


def make_folder(path, mode=0o755, owner=None):
    os.mkdir(path)
    if owner is not None:
        os.chown(path, owner.uid, owner.gid)
    os.chmod(path, mode)
    return path


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def opened(path, flags=os.O_RDONLY, mode=0o666):
    """Opens and closes: for permissions and errnos of open(2)."""
    os.close(os.open(path, flags, mode))


class Mode(int):
    """Permission bits, which failures show in octal."""

    def __repr__(self):
        return f"{int(self):04o}"


def mode_of(path):
    return Mode(os.lstat(path).st_mode & 0o7777)
