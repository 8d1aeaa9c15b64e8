"""Writes a new file past the kernel's pages while others read it through them.

past_pages.py FOLDER ROUNDS

One process makes a file with O_WRONLY and writes a growing number at random places, then says in
shared memory which number each place has. Two others read the places, one by pread, one through a
mapping: what they see must be at least what was said before they looked. Prints a line of
JSON, and the first look that was wrong on stderr.
"""
import json
import mmap
import os
import random
import struct
import sys
import time

PLACES = 64
STRIDE = 1000  # Places share pages, and some lie across two.
BYTES = PLACES * STRIDE

folder, rounds = sys.argv[1], int(sys.argv[2])
path = os.path.join(folder, "past-pages")
said = mmap.mmap(-1, 8 * PLACES + 8)
DONE = 8 * PLACES


def number(memory, at):
    return struct.unpack_from("<q", memory, at)[0]


def write(fd):
    chosen = random.Random(7)
    for count in range(1, rounds + 1):
        place = chosen.randrange(PLACES)
        os.pwrite(fd, struct.pack("<q", count), place * STRIDE)
        struct.pack_into("<q", said, 8 * place, count)


def read(is_mapped):
    fd = os.open(path, os.O_RDONLY)
    memory = mmap.mmap(fd, BYTES, mmap.MAP_SHARED, mmap.PROT_READ) if is_mapped else None
    chosen = random.Random(os.getpid())
    while number(said, DONE) == 0:
        place = chosen.randrange(PLACES)
        least = number(said, 8 * place)
        at = place * STRIDE
        found = number(memory, at) if memory is not None else number(os.pread(fd, 8, at), 0)
        if found < least or found > rounds:
            how = "mapping" if is_mapped else "pread"
            said_before = f"{found}, but {least} was written before"
            print(f"place {place} by {how}: {said_before}", file=sys.stderr, flush=True)
            os._exit(1)
    os._exit(0)


fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
os.pwrite(fd, bytes(BYTES), 0)
readers = []
for is_mapped in (False, True):
    pid = os.fork()
    if pid == 0:
        read(is_mapped)
    readers.append(pid)
time.sleep(0.1)
write(fd)
struct.pack_into("<q", said, DONE, 1)
status = [os.waitpid(pid, 0)[1] for pid in readers]
os.close(fd)
os.unlink(path)
print(json.dumps({"ok": status == [0, 0]}))
