"""Changes files while they are being committed, in every way that could spoil the cut.

frozen.py write FOLDER   fills files with A, prints {"ready": n} and waits for a line; then waits
                         for the commit's cut, prints {"start": receipt}, makes the changes in a
                         known order and prints {"changed": n}
frozen.py check FOLDER   finds how many changes are there: all before some point and none after;
                         prints {"changes": n}
"""
import json, os, sys

FILES, PIECES, PIECE = 16, 12, 1 << 20
HALF = PIECES // 2


def path(folder, file):
    return f"{folder}/{file:02}"


def content(letter, file, piece, length=PIECE):
    return (b"%s %06d %06d " % (letter, file, piece) * (length // 16 + 1))[:length]


def say(fact):
    print(json.dumps(fact), flush=True)


def overwrite(folder, file, piece, offset, length):
    fd = os.open(path(folder, file), os.O_WRONLY)
    os.pwrite(fd, content(b"B", file, piece, length), piece * PIECE + offset)
    os.close(fd)


def read(folder, file, offset, length):
    with open(path(folder, file), "rb") as found:
        found.seek(offset)
        return found.read(length)


def size(folder, file):
    try:
        return os.stat(path(folder, file)).st_size
    except FileNotFoundError:
        return None


def changes():
    """Each change: a name, how it is made and how it shows."""

    def overwritten(file, piece, offset, length):
        def shows(folder):
            found = read(folder, file, piece * PIECE + offset, length)
            if found == content(b"B", file, piece, length):
                return True
            before = content(b"A", file, piece)[offset:offset + length]
            assert found == before, (file, piece, "neither A nor B")
            return False

        def make(folder):
            overwrite(folder, file, piece, offset, length)

        return (f"overwrite {file} {piece}", make, shows)

    # The last files are stored last: they change first, before they are captured.
    yield ("unlink 15", lambda folder: os.unlink(path(folder, 15)),
           lambda folder: size(folder, 15) is None)
    yield ("empty 14", lambda folder: os.truncate(path(folder, 14), 0),
           lambda folder: size(folder, 14) < PIECE)
    yield ("refill 14", lambda folder: overwrite(folder, 14, 0, 0, 5000),
           lambda folder: size(folder, 14) == 5000)
    yield ("cut 13", lambda folder: os.truncate(path(folder, 13), HALF * PIECE + 100),
           lambda folder: size(folder, 13) != PIECES * PIECE)
    yield ("grow 13", lambda folder: os.truncate(path(folder, 13), 2 * PIECES * PIECE),
           lambda folder: size(folder, 13) == 2 * PIECES * PIECE)
    yield ("replace 12", lambda folder: os.rename(path(folder, 11), path(folder, 12)),
           lambda folder: size(folder, 11) is None)
    for piece in range(PIECES):
        for file in (10, 9, 8):
            # A part of a block, blocks, a piece: by file.
            yield overwritten(file, piece, *((100, 50), (4096 * 3, 4096 * 5), (0, PIECE))[file - 8])
    for piece in reversed(range(PIECES)):
        yield overwritten(7, piece, 0, PIECE)
    for piece in range(PIECES):
        yield overwritten(6, piece, 5, PIECE - 5)


def write(folder):
    os.mkdir(folder)
    for file in range(FILES):
        with open(path(folder, file), "wb") as out:
            for piece in range(PIECES):
                out.write(content(b"A", file, piece))
    say({"ready": FILES})
    sys.stdin.readline()
    while os.getxattr(path(folder, 0), "user.dfs.commit") == b"cached":
        pass
    say({"start": os.getxattr(path(folder, 0), "user.dfs.commit").decode()})
    count = 0
    for _, make, _ in changes():
        make(folder)
        count += 1
    say({"changed": count})


def check(folder):
    shown = [(name, shows(folder)) for name, _, shows in changes()]
    made = [is_made for _, is_made in shown]
    count = sum(made)
    assert made == [True] * count + [False] * (len(made) - count), shown
    whole = range(6) if count else range(FILES)
    for file in whole:
        for piece in range(PIECES):
            found = read(folder, file, piece * PIECE, PIECE)
            assert found == content(b"A", file, piece), (file, piece)
        assert size(folder, file) == PIECES * PIECE
    if count >= 5:
        # What was cut off and grown again is zeros, up to the byte.
        kept = HALF * PIECE + 100
        whole = b"".join(content(b"A", 13, piece) for piece in range(PIECES))
        assert read(folder, 13, 0, kept) == whole[:kept]
        assert not read(folder, 13, kept, 2 * PIECES * PIECE).strip(b"\0")
    if count >= 6:
        assert read(folder, 12, 0, PIECE) == content(b"A", 11, 0)
    say({"changes": count})


{"write": write, "check": check}[sys.argv[1]](sys.argv[2])
