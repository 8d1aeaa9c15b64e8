"""Creates, stats, looks up, writes and unlinks files in folders until a file appears, and prints the
longest waits: beside a load on the same mount it shows how long others wait for it.

python3 waits.py STOPFILE FOLDER...
"""
import os
import sys
import time

PAUSE_S = 0.002
LONG_MS = 20

stop, *folders = sys.argv[1:]
waits = {}


def timed(name, call):
    start = time.monotonic()
    call()
    waits.setdefault(name, []).append((time.monotonic() - start) * 1000)


def write(path):
    fd = os.open(path, os.O_WRONLY)
    os.write(fd, b"x" * 4096)
    os.close(fd)


def create(path):
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL))


count = 0
while not os.path.exists(stop):
    for folder in folders:
        count += 1
        path = f"{folder}/wait-{os.getpid()}-{count}"
        timed("create", lambda: create(path))
        timed("stat", lambda: os.stat(path))
        timed("lookup", lambda: os.path.exists(f"{path}-none"))
        timed("write", lambda: write(path))
        timed("unlink", lambda: os.unlink(path))
    time.sleep(PAUSE_S)

for name, times in waits.items():
    times.sort()
    at = lambda share: times[min(len(times) - 1, int(len(times) * share))]
    over = sum(1 for ms in times if ms > LONG_MS)
    print(f"{name:7} {len(times):6} times, median {at(0.5):.2f}, 99% {at(0.99):.2f}, longest {at(1):.1f} ms, {over} over {LONG_MS} ms")
