"""Fills a folder and looks what df says of it.

df.py FOLDER    prints a line {"size", "used", "available", "percent", "inodes"} before the first and
                after each file of 1 MiB; the last line has "files", those that fit whole
"""
import errno, json, os, random, subprocess, sys

FILE_BYTES = 1 << 20
FIELDS = "size,used,avail,pcent,iused,iavail,itotal"


def content(n):
    return random.Random(n).randbytes(FILE_BYTES)


def look(folder):
    command = ["df", "-B1", f"--output={FIELDS}", folder]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    words = [int(word.rstrip("%")) for word in shown.splitlines()[1].split()]
    print(json.dumps(dict(zip(FIELDS.split(","), words))), flush=True)


def write(path, data):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        done = 0
        while done < len(data):
            done += os.write(fd, data[done:])
    finally:
        os.close(fd)


folder = sys.argv[1]
look(folder)
for n in range(1000):
    try:
        write(f"{folder}/{n}", content(n))
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
        break
    look(folder)
for i in range(n):
    with open(f"{folder}/{i}", "rb") as file:
        assert file.read() == content(i), i
print(json.dumps({"files": n}))
