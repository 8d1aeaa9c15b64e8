"""Several processes that change the same names at once: each change whole, counts right."""
import os
import random

from .harness import Process, case, make_folder, opened, read_file, write_file
from .libc import RENAME_EXCHANGE, RENAME_NOREPLACE, renameat2

WORKERS, TURNS = 4, 250


def together(work):
    """Runs `work(number, random)` in several processes; their results."""
    seed = int.from_bytes(os.urandom(4), "little")
    workers = [Process(lambda number=number: work(number, random.Random(seed + number)))
               for number in range(WORKERS)]
    return [worker.result() for worker in workers]


def tried(call, *arguments):
    """Whether the call worked; what others did first is no error."""
    try:
        call(*arguments)
        return True
    except OSError as error:
        assert error.errno in (2, 17, 20, 21, 22, 39), error
        return False


def count_links(top):
    """{inode: names} of the files below, and whether all folders count their folders."""
    names, right = {}, True
    for folder, folders, files in os.walk(top):
        right = right and os.stat(folder).st_nlink in (1, 2 + len(folders))
        for name in files:
            ino = os.lstat(os.path.join(folder, name)).st_ino
            names[ino] = names.get(ino, 0) + 1
    return names, right


@case
def one_of_many_gets_a_name(t):
    """mkdir, link, symlink, rename without replacing: each name is given once."""

    def work(number, _):
        own = write_file(f"own{number}")
        won = {"mkdir": 0, "link": 0, "symlink": 0, "rename": 0}
        for turn in range(100):
            won["mkdir"] += tried(os.mkdir, f"d{turn}")
            won["link"] += tried(os.link, own, f"l{turn}")
            won["symlink"] += tried(os.symlink, "x", f"s{turn}")
            mine = write_file(f"mine{number}")
            won["rename"] += tried(renameat2, mine, f"r{turn}", RENAME_NOREPLACE)
        return won

    results = together(work)
    for what in ("mkdir", "link", "symlink", "rename"):
        t.equal(what, sum(result[what] for result in results), 100)
    links = sum(os.stat(f"own{number}").st_nlink - 1 for number in range(WORKERS))
    t.equal("links counted", links, 100)


@case
def moving_the_same_files_loses_none(t):
    for folder in "abc":
        make_folder(folder)
    files = [f"file{index}" for index in range(10)]
    for name in files:
        write_file(f"a/{name}", name.encode())

    def work(_, rng):
        moved = 0
        for _ in range(TURNS):
            name = rng.choice(files)
            one, two = rng.sample("abc", 2)
            moved += tried(os.rename, f"{one}/{name}", f"{two}/{name}")
        return moved

    t.expect("something moved", sum(together(work)) > 0)
    found = sorted(name for folder in "abc" for name in os.listdir(folder))
    t.equal("files", found, files)
    for folder in "abc":
        for name in os.listdir(folder):
            t.equal(name, read_file(f"{folder}/{name}"), name.encode())


@case
def links_are_counted_right(t):
    names = [f"n{index}" for index in range(12)]
    for index in range(4):
        write_file(f"n{index}", b"%d" % index)
    keep = [os.open(f"n{index}", os.O_RDONLY) for index in range(4)]

    def work(_, rng):
        for _ in range(TURNS):
            one, two = rng.sample(names, 2)
            action = rng.random()
            if action < 0.4:
                tried(os.link, one, two)
            elif action < 0.6:
                tried(os.unlink, one)
            elif action < 0.8:
                tried(os.rename, one, two)
            else:
                tried(renameat2, one, two, RENAME_EXCHANGE)

    together(work)
    counted, _ = count_links(".")
    for index, fd in enumerate(keep):
        status = os.fstat(fd)
        t.equal(f"file {index}", status.st_nlink, counted.get(status.st_ino, 0))
        t.equal("content", os.pread(fd, 9, 0), b"%d" % index)


@case
def a_tree_that_is_moved_about_stays_a_tree(t):
    names = [f"d{index}" for index in range(6)]
    for name in names:
        make_folder(name)
        write_file(f"{name}/file-of-{name}")

    def work(_, rng):
        for _ in range(TURNS):
            one, two = rng.sample(names, 2)
            where = rng.choice((f"{two}/{one}", one, f"{two}/{rng.choice(names)}/{one}"))
            source = rng.choice((one, f"{rng.choice(names)}/{one}"))
            tried(renameat2, source, where, rng.choice((0, RENAME_NOREPLACE, RENAME_EXCHANGE)))
            tried(os.mkdir, f"{one}/{two}")
            tried(os.rmdir, f"{two}/{one}")

    together(work)
    names_found, right = count_links(".")
    t.expect("every folder counts its folders", right)
    files = sorted(name for _, _, found in os.walk(".") for name in found)
    t.equal("files", files, sorted(f"file-of-{name}" for name in names))
    t.equal("names of each", set(names_found.values()), {1})
    for folder, folders, _ in os.walk("."):
        for name in folders:
            path = os.path.join(folder, name)
            t.equal("..", os.stat(f"{path}/..").st_ino, os.stat(folder).st_ino)


@case
def making_and_removing_one_name(t):
    def work(_, rng):
        for _ in range(TURNS):
            if rng.random() < 0.5:
                opened("name", os.O_WRONLY | os.O_CREAT, 0o644)
            else:
                tried(os.unlink, "name")

    together(work)
    tried(os.unlink, "name")
    t.equal("left", os.listdir("."), [])
