"""Writes files until there is no space, and looks whether they are there.

fill.py fill FOLDER [MAX]   prints {"files": n}, whole ones; the first that does not fit is removed
fill.py check FOLDER COUNT
"""
import errno, json, os, random, sys

FILE_BYTES = 1 << 20
# More than any volume of a test takes.
FILES_MAX = 2000


def content(n):
    return random.Random(n).randbytes(FILE_BYTES)


def write(path, data):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        done = 0
        while done < len(data):
            done += os.write(fd, data[done:])
    finally:
        os.close(fd)


def fill(folder, limit):
    os.mkdir(folder)
    n = 0
    while n < limit:
        path = f"{folder}/{n}"
        try:
            write(path, content(n))
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
            os.unlink(path)
            print(json.dumps({"files": n}))
            return
        n += 1
    assert n < FILES_MAX, f"{n} files fit"
    print(json.dumps({"files": n}))


def check(folder, count):
    assert sorted(map(int, os.listdir(folder))) == list(range(count))
    for n in range(count):
        with open(f"{folder}/{n}", "rb") as file:
            assert file.read() == content(n), n
    print(json.dumps({"checked": count}))


if sys.argv[1] == "fill":
    fill(sys.argv[2], int((sys.argv + [FILES_MAX])[3]))
else:
    check(sys.argv[2], int(sys.argv[3]))
