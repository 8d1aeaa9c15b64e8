"""Writes a new file past the kernel's pages, and into a mapping of it beside that.

mapped_beside.py FOLDER

The kernel writes pages of a mapping by the handle of any open of the file: here that of the open
whose writes go past the pages. Prints a line of JSON.
"""
import json
import mmap
import os
import sys

path = os.path.join(sys.argv[1], "mapped-beside")
BYTES = 20_000
past = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
os.write(past, bytes(BYTES))
fd = os.open(path, os.O_RDWR)
memory = mmap.mmap(fd, BYTES)
wrong = []
for count in range(50):
    mark = b"%05d" % count
    memory[5000:5005] = mark
    memory.flush()
    os.pwrite(past, mark, 9000)
    memory[13000:13005] = mark
    os.pwrite(past, mark, 13010)
    seen = [memory[9000:9005], os.pread(fd, 5, 5000), memory[13000:13005], memory[13010:13015]]
    if seen != [mark] * 4:
        wrong.append([count, [one.decode("latin1") for one in seen]])
os.unlink(path)
print(json.dumps({"ok": wrong == [], **({"wrong": wrong[:3]} if wrong else {})}))
