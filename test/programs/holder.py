"""Holds files open and mapped, changes them, and compares what each of its views shows.

holder.py FOLDER   reads commands, one line of JSON each, and answers each with a line: {"done": ...}
                   {"failed": ...} when a view differs from what was written

fill FILE BYTES            makes a file anew, with random bytes
open FILE AS FLAGS         opens it as handle AS: r, w (reading and writing) or d (O_DIRECT)
map AS [write]             maps the file of a handle, shared; the mapping outlives close
close AS, unmap AS
put AS OFFSET BYTES        writes random bytes through a handle
store AS OFFSET BYTES      writes random bytes through a mapping
copy AS FILE               copies all of a handle's file to a new one, with copy_file_range
truncate FILE BYTES, unlink FILE
run FILE ARGUMENT          runs the file as a program
check                      compares all handles and mappings with what was written
"""
import ctypes, json, mmap, os, subprocess, sys

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
FLAGS = {"r": os.O_RDONLY, "w": os.O_RDWR, "d": os.O_RDONLY | os.O_DIRECT}


class File:
    def __init__(self, path, content):
        self.path, self.content = path, bytearray(content)

    def put(self, offset, data):
        if len(self.content) < offset + len(data):
            self.content.extend(bytes(offset + len(data) - len(self.content)))
        self.content[offset:offset + len(data)] = data


class Holder:
    def __init__(self, folder):
        self.folder, self.files, self.handles, self.maps = folder, {}, {}, {}

    def fill(self, file, size):
        data = os.urandom(size)
        path = os.path.join(self.folder, file)
        with open(path, "wb") as out:
            out.write(data)
        if file in self.files:
            self.files[file].content[:] = data
        else:
            self.files[file] = File(path, data)

    def open(self, file, name, flags):
        self.handles[name] = (os.open(self.files[file].path, FLAGS[flags]), self.files[file], flags)

    def close(self, name):
        os.close(self.handles.pop(name)[0])

    # Python's own mmap keeps a descriptor of its own.
    def map(self, name, how="read"):
        fd, file, _ = self.handles[name]
        size = len(file.content)
        access = mmap.PROT_READ | (mmap.PROT_WRITE if how == "write" else 0)
        at = libc.mmap(None, size, access, mmap.MAP_SHARED, fd, 0)
        if at == ctypes.c_void_p(-1).value:
            raise OSError(ctypes.get_errno(), "mmap")
        self.maps[name] = (at, size, file)

    def unmap(self, name):
        at, size, _ = self.maps.pop(name)
        libc.munmap(at, size)

    def put(self, name, offset, size):
        fd, file, _ = self.handles[name]
        data = os.urandom(size)
        if os.pwrite(fd, data, offset) != size:
            raise OSError("a short write")
        file.put(offset, data)

    def store(self, name, offset, size):
        at, _, file = self.maps[name]
        data = os.urandom(size)
        ctypes.memmove(at + offset, data, size)
        file.put(offset, data)

    def copy(self, name, target):
        fd, file, _ = self.handles[name]
        path, size = os.path.join(self.folder, target), len(file.content)
        out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        done = 0
        while done < size:
            done += os.copy_file_range(fd, out, size - done, done, done)
        os.close(out)
        self.files[target] = File(path, file.content)

    def truncate(self, file, size):
        one = self.files[file]
        os.truncate(one.path, size)
        one.content[size:] = bytes(max(0, size - len(one.content)))

    def unlink(self, file):
        os.unlink(self.files[file].path)

    def run(self, file, argument):
        subprocess.run([os.path.join(self.folder, file), argument], check=True, stdout=subprocess.DEVNULL)

    def check(self):
        views = 0
        for name, (fd, file, flags) in self.handles.items():
            if flags == "d":
                continue
            self.compare(f"handle {name}", os.pread(fd, len(file.content) + 1, 0), file.content)
            views += 1
        for name, (at, size, file) in self.maps.items():
            # What was cut off cannot be touched.
            size = min(size, len(file.content))
            self.compare(f"mapping {name}", ctypes.string_at(at, size), file.content[:size])
            views += 1
        for name, file in self.files.items():
            if os.path.exists(file.path):
                with open(file.path, "rb") as one:
                    self.compare(f"file {name}", one.read(), file.content)
                views += 1
        return views

    @staticmethod
    def compare(what, found, expected):
        if found == bytes(expected):
            return
        length = min(len(found), len(expected))
        at = next((i for i in range(length) if found[i] != expected[i]), length)
        raise AssertionError(
            f"{what} has {len(found)} bytes of {len(expected)} and differs from {at} on"
        )


def main():
    holder = Holder(sys.argv[1])
    for line in sys.stdin:
        command, *rest = json.loads(line)["do"]
        try:
            print(json.dumps({"done": getattr(holder, command)(*rest)}), flush=True)
        except (AssertionError, OSError) as error:
            print(json.dumps({"failed": f"{command} {rest}: {error}"}), flush=True)


main()
