"""Waits for the end of a test, however it comes, and removes what it left.

reaper.py FOLDER   when its input ends, kills what has FOLDER in its arguments, detaches what is
                   mounted below FOLDER and deletes it
"""
import ctypes, os, shutil, signal, sys, time

MNT_DETACH = 2
FOLDER = os.path.realpath(sys.argv[1]).encode()


def processes():
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as arguments:
                if FOLDER in arguments.read():
                    yield int(name)
        except OSError:
            pass  # It has ended.


def kill_all():
    # A stopped supervisor starts no new daemon.
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
    while any(True for _ in processes()):
        time.sleep(0.01)


def unmount_all():
    with open("/proc/self/mounts", "rb") as mounts:
        points = [line.split()[1] for line in mounts]
    for point in reversed(points):
        if point.startswith(FOLDER + b"/"):
            ctypes.CDLL(None).umount2(point, MNT_DETACH)


signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.stdin.read()
kill_all()
unmount_all()
shutil.rmtree(FOLDER, ignore_errors=True)
