"""Asks a folder whether the file system under it does what POSIX and Linux promise.

run.py FOLDER [--only SUBJECT[.CASE]] [--slow FACTOR] [--json] [--list]

Prints a line for every case that fails, with what was expected and what came, and one for every
case that this type of file system is declared to lack. Status 1 when one failed. Needs root.
"""
import argparse
import ctypes
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from suite import harness  # noqa: E402

SUBJECTS = (
    "names renames links races modes owners special times utimes opens data transfers sparse "
    "space mapping copies xattrs acls locks folders watching large"
).split()
TYPES = {0xEF53: "ext4", 0x01021994: "tmpfs", 0x58465342: "xfs", 0x9123683E: "btrfs"}
TYPES.update({0x65735546: "fuse", 0x794C7630: "overlay"})


def type_of(folder):
    """The type of the file system by statfs(2)'s magic."""
    buffer = (ctypes.c_long * 32)()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.statfs(os.fsencode(folder), buffer) != 0:
        raise OSError(ctypes.get_errno(), f"Cannot look at {folder}")
    return TYPES.get(buffer[0], hex(buffer[0]))


def attempt(body, folder, kind, slow):
    """Runs a case in a process of its own; the list of what failed."""
    seconds = body.seconds * slow

    def child():
        os.setsid()
        os.chdir(folder)
        os.umask(0o022)
        trial = harness.Trial(kind)
        try:
            body(trial)
        except OSError as error:
            places = traceback.extract_tb(error.__traceback__)
            place = next(each for each in places if each.filename == body.__code__.co_filename)
            where = f"line {place.lineno}: {place.line}"
            trial.failures.append(f"expected no error, actual {harness.name_of(error)} in {where}")
        return trial.failures

    process = harness.Process(child)
    deadline = late_after(process.pid, seconds)
    try:
        return process.result()
    except RuntimeError as error:
        lines = str(error).strip().splitlines()
        where = [line.strip() for line in lines if line.strip().startswith("File")][-1:]
        return [f"expected an end in {seconds} s without a crash, actual {lines[-1]} {where}"]
    finally:
        deadline()


def late_after(pid, seconds):
    """Kills the session of `pid` when it takes too long; call the result to stop waiting."""

    def late(_signal, _frame):
        os.killpg(pid, signal.SIGKILL)

    signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    return lambda: signal.alarm(0)


def run_all(root, chosen, kind, slow, report):
    """Runs the chosen cases in fresh folders below `root`."""
    for index, (subject, name, body) in enumerate(chosen):
        result = {"subject": subject, "case": name, "failures": []}
        reason = body.lacks.get(kind)
        if reason is not None:
            result["lacks"] = reason
        else:
            folder = os.path.join(root, f"{index}")
            os.mkdir(folder, 0o755)
            start = time.monotonic()
            result["failures"] = attempt(body, folder, kind, slow)
            result["seconds"] = round(time.monotonic() - start, 3)
            shutil.rmtree(folder, onerror=lambda *_: None)
        report(result)


def say(result):
    title = f"{result['subject']}.{result['case']}"
    if result["failures"]:
        print(f"FAIL {title}: {'; '.join(result['failures'])}", flush=True)
    elif "lacks" in result:
        print(f"LACKS {title}: {result['lacks']}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--only", action="append", help="a subject, or subject.case")
    parser.add_argument("--slow", type=int, default=1, help="gives cases so many times as long")
    parser.add_argument("--json", action="store_true", help="one JSON object a case")
    parser.add_argument("--list", action="store_true", help="name the cases, run none")
    options = parser.parse_args()
    for subject in SUBJECTS:
        importlib.import_module(f"suite.{subject}")
    everything = [(s, n, b) for s in SUBJECTS for n, b in harness.CASES.get(s, {}).items()]
    only = options.only or SUBJECTS
    chosen = [each for each in everything if each[0] in only or f"{each[0]}.{each[1]}" in only]
    if not chosen:
        parser.error(f"no case is named {', '.join(only)}")
    if options.list:
        for subject, name, body in chosen:
            print(f"{subject}.{name}{': ' + body.__doc__ if body.__doc__ else ''}")
        return 0
    if options.folder is None:
        parser.error("which folder?")
    if os.geteuid() != 0:
        parser.error("the suite tries several users: run it as root")
    kind = type_of(options.folder)
    root = tempfile.mkdtemp(prefix="posix-", dir=os.path.abspath(options.folder))
    os.chmod(root, 0o755)
    results = []

    def report(result):
        results.append(result)
        print(json.dumps(result), flush=True) if options.json else say(result)

    try:
        run_all(root, chosen, kind, options.slow, report)
    finally:
        shutil.rmtree(root, onerror=lambda *_: None)
    failed = sum(1 for each in results if each["failures"])
    lacking = sum(1 for each in results if "lacks" in each)
    if not options.json:
        print(f"{kind}: {len(results) - failed - lacking} passed, {failed} failed, {lacking} lacking")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
