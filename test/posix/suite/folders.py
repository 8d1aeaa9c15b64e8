"""Listing folders: whole, in pieces, while they change, and large ones."""
import errno
import os
import stat

from .harness import Channel, Process, case, make_folder, opened, write_file
from .libc import Dir, getdents

DOTS = {b".", b".."}


def numbered(count, start=0):
    return [b"name-%06d" % index for index in range(start, start + count)]


def fill(folder, names):
    for name in names:
        opened(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT)


@case
def dots_are_listed_and_lead_right(t):
    make_folder("d")
    entries = {name: ino for ino, _, _, name in getdents(os.open("d", os.O_RDONLY), 4096)}
    t.equal("names", set(entries), DOTS)
    t.equal(".", entries[b"."], os.stat("d").st_ino)
    t.equal("..", entries[b".."], os.stat(".").st_ino)


@case
def types_are_listed(t):
    write_file("file")
    make_folder("folder")
    os.symlink("x", "symlink")
    os.mkfifo("fifo")
    os.mknod("device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    os.mknod("socket", stat.S_IFSOCK | 0o600)
    kinds = {name.decode(): kind for _, _, kind, name in getdents(os.open(".", os.O_RDONLY), 4096)}
    wanted = {"file": 8, "folder": 4, "symlink": 10, "fifo": 1, "device": 2, "socket": 12}
    t.equal("types", {name: kinds.get(name) for name in wanted}, wanted)


@case
def the_link_count_counts_folders(t):
    make_folder("d")
    if os.stat("d").st_nlink != 2:
        return  # btrfs always says 1
    for index in range(5):
        make_folder(f"d/{index}")
    write_file("d/file")
    t.equal("made", os.stat("d").st_nlink, 7)
    os.rmdir("d/0")
    os.rename("d/1", "out")
    os.rename("d/2", "d/3")
    t.equal("removed, moved, replaced", os.stat("d").st_nlink, 4)


@case
def small_buffers_list_everything_once(t):
    names = numbered(500)
    fill(b"", names)
    for size in (40, 64, 100, 1000, 100_000):
        fd, found = os.open(".", os.O_RDONLY), []
        while True:
            part = getdents(fd, size)
            if not part:
                break
            found += [name for _, _, _, name in part]
        t.equal(f"with {size} bytes", sorted(set(found) - DOTS), names)
        t.equal(f"once with {size} bytes", len(found), 502)
        os.close(fd)
    fd = os.open(".", os.O_RDONLY)
    t.fails(errno.EINVAL, getdents, fd, 1)


@case
def seekdir_goes_back_to_every_place(t):
    names = numbered(700)
    fill(b"", names)
    listing = Dir(".")
    places, found = [], []
    while True:
        places.append(listing.tell())
        name = listing.read()
        if name is None:
            break
        found.append(name)
    t.equal("entries", sorted(set(found) - DOTS), names)
    t.equal("places are all different", len(set(places[:-1])), len(found))
    for index in [len(found) - 1, 0, 350, 1, 699, 351, 2, 128, 127, 129]:
        listing.seek(places[index])
        t.equal(f"entry {index}", listing.read(), found[index])
    listing.seek(places[300])
    t.equal("the rest from 300", listing.rest(), found[300:])
    listing.rewind()
    t.equal("from the start", listing.rest(), found)
    listing.close()
    again = Dir(".")
    again.seek(places[300])
    t.equal("places last", again.rest(), found[300:])


@case
def rewinding_shows_what_changed(t):
    fill(b"", numbered(10))
    listing = Dir(".")
    t.equal("first", len(listing.rest()), 12)
    fill(b"", [b"later"])
    os.unlink(b"name-000003")
    t.equal("at the end", listing.read(), None)
    listing.rewind()
    found = set(listing.rest()) - DOTS
    wanted = set(numbered(10)) - {b"name-000003"} | {b"later"}
    t.equal("again", found, wanted)


@case
def a_place_survives_the_removal_of_what_was_read(t):
    """The way rm -r works: list a part, remove it, go on."""
    names = numbered(3000)
    fill(b"", names)
    fd, seen = os.open(".", os.O_RDONLY), []
    while True:
        part = [name for _, _, _, name in getdents(fd, 1000)]
        if not part:
            break
        for name in part:
            if name not in DOTS:
                seen.append(name)
                os.unlink(name)
    t.equal("seen", sorted(seen), names)
    t.equal("left", os.listdir(b"."), [])


@case(seconds=120)
def names_that_stay_are_listed_once_while_others_change(t):
    staying = numbered(1500)
    fill(b"", staying)
    ready, done = Channel(), os.pipe()

    def churn():
        turn = 0
        ready.say()
        os.set_blocking(done[0], False)
        while True:
            try:
                os.read(done[0], 1)
                return turn
            except BlockingIOError:
                pass
            for index in range(40):
                opened(f"new-{turn}-{index}", os.O_WRONLY | os.O_CREAT)
            for index in range(40):
                if index % 2 == 0:
                    os.rename(f"new-{turn}-{index}", f"moved-{turn}-{index}")
                    os.unlink(f"moved-{turn}-{index}")
                else:
                    os.unlink(f"new-{turn}-{index}")
            turn += 1

    child = Process(churn)
    ready.wait()
    for turn in range(25):
        found = [name for name in os.listdir(b".") if name.startswith(b"name-")]
        if sorted(found) != staying:
            missing, twice = set(staying) - set(found), len(found) - len(set(found))
            t.expect(f"listing {turn}", False, f"{len(missing)} missing, {twice} twice")
            break
    os.write(done[1], b".")
    t.expect("the other one was at work", child.result() > 0)
    t.equal("at last", sorted(os.listdir(b".")), staying)


@case
def a_name_made_before_opening_is_listed(t):
    for index in range(200):
        write_file(f"f{index}")
        t.expect(f"f{index}", f"f{index}" in os.listdir("."))
        if index % 3 == 0:
            os.unlink(f"f{index}")
            t.expect(f"no f{index}", f"f{index}" not in os.listdir("."))
        if index % 3 == 1:
            os.rename(f"f{index}", f"g{index}")
            listed = os.listdir(".")
            t.expect(f"g{index}", f"g{index}" in listed and f"f{index}" not in listed)


@case
def changes_of_another_process_are_listed(t):
    make_folder("d")
    ask, answer = Channel(), Channel()

    def child():
        for index in range(50):
            ask.wait()
            write_file(f"d/f{index}")
            answer.say()

    process = Process(child)
    for index in range(50):
        t.equal("before", len(os.listdir("d")), index)
        ask.say()
        answer.wait()
        t.equal("after", len(os.listdir("d")), index + 1)
    process.result()


@case(seconds=240)
def fifty_thousand_names(t):
    names = numbered(50_000)
    make_folder("d")
    fill(b"d", names)
    t.expect("all", sorted(os.listdir(b"d")) == names)
    t.equal("with types", sum(entry.is_file() for entry in os.scandir("d")), 50_000)
    t.equal("the middle", stat.S_ISREG(os.stat(b"d/" + names[25_000]).st_mode), True)
    t.fails((errno.ENOTEMPTY, errno.EEXIST), os.rmdir, "d")
    for name in names[::2]:
        os.unlink(b"d/" + name)
    t.expect("half", sorted(os.listdir(b"d")) == names[1::2])
    for name in names[1::2]:
        os.unlink(b"d/" + name)
    t.works(os.rmdir, "d")


@case
def walking_a_tree_finds_all_of_it(t):
    wanted = set()
    for first in range(8):
        for second in range(8):
            os.makedirs(f"t/{first}/{second}")
            for third in range(4):
                write_file(f"t/{first}/{second}/{third}")
                wanted.add(f"t/{first}/{second}/{third}")
    for _ in range(3):
        found = {os.path.join(top, name) for top, _, names in os.walk("t") for name in names}
        t.equal("files", found, wanted)
    os.rename("t/3", "t/4/moved")
    found = {os.path.join(top, name) for top, _, names in os.walk("t") for name in names}
    t.expect("after a move", "t/4/moved/0/0" in found and "t/3/0/0" not in found)
    t.equal("as many", len(found), len(wanted))
