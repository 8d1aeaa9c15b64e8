import { execFileSync } from 'node:child_process';
import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { findMount } from '../../src/base/os/mod.ts';
import { unmount } from '../../src/fuse/mod.ts';
import { canMount, finish, Mounted, python, startPython } from './mounted.ts';

const MIB = 1 << 20;
const NOBODY = 65_534;

describe.skipIf(!canMount)('a mounted file system in memory', () => {
  let mounted: Mounted;
  let root: string;
  const path = (name: string): string => join(root, name);
  const errno = async (action: Promise<unknown>): Promise<string | undefined> => {
    try {
      await action;
      return undefined;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  };
  /**
   * Runs Python with the path of the mount in M and asserts imported modules; prints "ok" at its
   * end.
   */
  const runPython = async (program: string, uid?: number): Promise<void> => {
    const prelude = 'import os, sys, errno, mmap, fcntl, ctypes, subprocess\nM = sys.argv[1]\n';
    const run = await python(`${prelude}${program}\nprint("ok")`, [root], uid);
    expect(run).toEqual({ code: 0, signal: null, output: 'ok\n' });
  };

  beforeAll(async () => {
    mounted = await Mounted.start('direct');
    root = mounted.mountPoint;
  });
  afterAll(() => mounted.stop());

  test('/proc/mounts shows the type fuse.dfs and the source as given', () => {
    expect(findMount(root)).toMatchObject({ fsType: 'fuse.dfs', source: 'memory home' });
    expect(findMount(root)?.options).toEqual(
      expect.arrayContaining(['default_permissions', 'allow_other', 'rw']),
    );
  });

  test('files are created, written, read, appended to and truncated', async () => {
    const file = path('file');
    await fs.writeFile(file, 'hello');
    await fs.appendFile(file, ' world');
    expect(await fs.readFile(file, 'utf8')).toBe('hello world');
    await fs.truncate(file, 4);
    await fs.truncate(file, 6);
    expect(await fs.readFile(file)).toEqual(Buffer.from('hell\0\0'));
    await fs.writeFile(file, 'new');
    expect(await fs.readFile(file, 'utf8')).toBe('new');
    expect(await errno(fs.open(file, 'wx'))).toBe('EEXIST');
    await fs.chmod(file, 0o600);
    // Node itself takes a negative time for the present one.
    await runPython('os.utime(M + "/file", ns=(1_000_500_000_001, -5_000_000_002))');
    const stat = await fs.stat(file, { bigint: true });
    expect(stat).toMatchObject({ mode: 0o100600n, size: 3n, nlink: 1n, blksize: 4096n });
    expect([stat.atimeNs, stat.mtimeNs]).toEqual([1_000_500_000_001n, -5_000_000_002n]);
  });

  test('names are renamed, replaced, exchanged, linked and removed', async () => {
    await fs.mkdir(path('a/b'), { recursive: true });
    await fs.writeFile(path('a/one'), '1');
    await fs.writeFile(path('a/two'), '2');
    await fs.rename(path('a/one'), path('a/b/two'));
    await fs.rename(path('a/b/two'), path('a/two'));
    expect(await fs.readFile(path('a/two'), 'utf8')).toBe('1');
    await fs.link(path('a/two'), path('a/hard'));
    await fs.symlink('two', path('a/soft'));
    expect((await fs.stat(path('a/soft'))).nlink).toBe(2);
    expect(await fs.readlink(path('a/soft'))).toBe('two');
    expect((await fs.readdir(path('a'))).toSorted()).toEqual(['b', 'hard', 'soft', 'two']);
    await runPython(`
os.mkdir(M + "/x"); open(M + "/x/in", "w").close(); open(M + "/y", "w").close()
rename = ctypes.CDLL(None, use_errno=True).renameat2
def at(old, new, flags): return rename(-100, (M + old).encode(), -100, (M + new).encode(), flags)
assert at("/x", "/y", 2) == 0 and os.path.exists(M + "/y/in") and os.path.isfile(M + "/x")
assert at("/x", "/y", 1) == -1 and ctypes.get_errno() == errno.EEXIST
os.mkfifo(M + "/fifo"); os.mknod(M + "/dev", 0o20600, os.makedev(1, 3))
assert os.stat(M + "/dev").st_rdev == os.makedev(1, 3)
`);
    expect(await errno(fs.rmdir(path('a')))).toBe('ENOTEMPTY');
    await fs.rm(path('a'), { recursive: true });
    expect(await errno(fs.stat(path('a')))).toBe('ENOENT');
  });

  test('an unlinked file lives as long as it is open', async () => {
    const handle = await fs.open(path('gone'), 'w+');
    await handle.write('still here');
    await fs.unlink(path('gone'));
    expect((await handle.stat()).nlink).toBe(0);
    expect((await handle.read(Buffer.alloc(10), 0, 10, 0)).buffer.toString()).toBe('still here');
    await handle.close();
  });

  test('a folder of 5,000 entries is listed completely, with and without attributes', async () => {
    await fs.mkdir(path('many'));
    const names = Array.from({ length: 5000 }, (_, i) => `entry-${String(i).padStart(4, '0')}`);
    for (const name of names) await fs.writeFile(path(`many/${name}`), '');
    const before = await mounted.stats();
    expect((await fs.readdir(path('many'))).toSorted()).toEqual(names);
    const listing = execFileSync('ls', ['-lU', '--time-style=+', path('many')], {
      encoding: 'utf8',
    });
    expect(listing.trim().split('\n')).toHaveLength(5001);
    const after = await mounted.stats();
    expect(after['READDIRPLUS']?.count).toBeGreaterThan(before['READDIRPLUS']?.count ?? 0);
  });

  test('a listing that the kernel keeps follows every change of its folder', async () => {
    const folder = path('kept');
    await fs.mkdir(folder);
    for (let i = 0; i < 300; i++) await fs.writeFile(`${folder}/file-${i}`, '');
    const kept = (await fs.readdir(folder)).toSorted();
    const before = await mounted.stats();
    expect((await fs.readdir(folder)).toSorted()).toEqual(kept);
    const after = await mounted.stats();
    for (const name of ['OPENDIR', 'RELEASEDIR', 'READDIR', 'READDIRPLUS'])
      expect(after[name]?.count ?? 0).toBe(before[name]?.count ?? 0);
    const changes: [() => Promise<unknown>, gone: string[], come: string[]][] = [
      [() => fs.writeFile(`${folder}/new`, ''), [], ['new']],
      [() => fs.unlink(`${folder}/file-7`), ['file-7'], []],
      [() => fs.rename(`${folder}/new`, `${folder}/newer`), ['new'], ['newer']],
      [() => fs.rename(`${folder}/newer`, path('kept-elsewhere')), ['newer'], []],
      [() => fs.link(`${folder}/file-8`, `${folder}/hard`), [], ['hard']],
      [() => fs.symlink('anywhere', `${folder}/soft`), [], ['soft']],
      [() => fs.mkdir(`${folder}/sub`), [], ['sub']],
      [() => fs.rmdir(`${folder}/sub`), ['sub'], []],
    ];
    const names = new Set(kept);
    for (const [change, gone, come] of changes) {
      await change();
      for (const name of gone) names.delete(name);
      for (const name of come) names.add(name);
      expect((await fs.readdir(folder)).toSorted()).toEqual([...names].toSorted());
    }
  });

  test('large writes arrive as requests of 1 MiB, and read back the same', async () => {
    const content = Buffer.alloc(8 * MIB);
    for (let at = 0; at < content.length; at += 4) content.writeUInt32LE(at, at);
    const before = (await mounted.stats())['WRITE'];
    const handle = await fs.open(path('large'), 'w+');
    await handle.write(content);
    await handle.close();
    const after = (await mounted.stats())['WRITE'];
    expect((after?.count ?? 0) - (before?.count ?? 0)).toBe(8);
    expect((after?.bytes ?? 0) - (before?.bytes ?? 0)).toBe(8 * MIB);
    const direct = await fs.open(path('large'), constants.O_RDONLY | constants.O_DIRECT);
    expect((await direct.readFile()).equals(content)).toBe(true);
    await direct.close();
    expect((await fs.readFile(path('large'))).equals(content)).toBe(true);
  });

  test('shared mappings write through to the file', async () => {
    await runPython(`
fd = os.open(M + "/mapped", os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 1 << 20)
with mmap.mmap(fd, 1 << 20) as memory:
    memory[5000:5005] = b"inner"
    memory[-3:] = b"end"
    memory.flush()
    os.pwrite(fd, b"outer", 9000)
    assert memory[9000:9005] == b"outer"
os.close(fd)
fd = os.open(M + "/mapped", os.O_RDONLY | os.O_DIRECT)
with mmap.mmap(-1, 1 << 20) as page:
    assert os.preadv(fd, [page], 0) == 1 << 20
    assert page[5000:5005] == b"inner" and page[9000:9005] == b"outer" and page[-3:] == b"end"
`);
  });

  test('extended attributes are set, replaced, listed, measured and removed', async () => {
    await runPython(`
f = M + "/attributed"; open(f, "w").close()
def fails(call, code):
    try: call()
    except OSError as e: assert e.errno == code, e
    else: raise AssertionError("no error")
os.setxattr(f, "user.a", b"1"); os.setxattr(f, "user.b", b"x" * 60000)
assert os.getxattr(f, "user.b") == b"x" * 60000
assert sorted(os.listxattr(f)) == ["user.a", "user.b"]
fails(lambda: os.setxattr(f, "user.a", b"2", os.XATTR_CREATE), errno.EEXIST)
fails(lambda: os.setxattr(f, "user.c", b"2", os.XATTR_REPLACE), errno.ENODATA)
os.removexattr(f, "user.a")
fails(lambda: os.getxattr(f, "user.a"), errno.ENODATA)
libc = ctypes.CDLL(None, use_errno=True)
room = ctypes.create_string_buffer(10)
assert libc.getxattr(f.encode(), b"user.b", room, 10) == -1 and ctypes.get_errno() == errno.ERANGE
assert libc.getxattr(f.encode(), b"user.b", None, 0) == 60000
`);
  });

  test('what is not there answers with its own error, and programs fall back', async () => {
    await runPython(`
f = M + "/limits"; open(f, "w").write("x" * 5000)
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open(f, os.O_RDWR)
assert libc.fallocate(fd, 0, ctypes.c_long(0), ctypes.c_long(9000)) == -1
assert ctypes.get_errno() == errno.EOPNOTSUPP
os.posix_fallocate(fd, 0, 9000); assert os.fstat(fd).st_size == 9000
def fails(call, code):
    try: call()
    except OSError as e: assert e.errno == code, e
    else: raise AssertionError("no error")
fails(lambda: fcntl.ioctl(fd, 0x5401, bytes(64)), errno.ENOTTY)
fails(lambda: os.open(M, os.O_TMPFILE | os.O_RDWR), errno.EOPNOTSUPP)
out = os.open(M + "/limits-copy", os.O_RDWR | os.O_CREAT)
assert os.copy_file_range(fd, out, 5000) == 5000 and os.fstat(out).st_size == 5000
assert os.lseek(fd, 0, os.SEEK_HOLE) == 9000 and os.lseek(fd, 100, os.SEEK_DATA) == 100
fails(lambda: os.lseek(fd, 9000, os.SEEK_DATA), errno.ENXIO)
fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
other = os.open(f, os.O_RDWR)
fails(lambda: fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB), errno.EAGAIN)
fcntl.lockf(fd, fcntl.LOCK_EX, 10, 0)
assert os.statvfs(M).f_bsize == 4096 and os.statvfs(M).f_namemax == 255
`);
  });

  test('permissions are checked, and a write of another user clears setuid', async () => {
    await fs.writeFile(path('owned'), 'x');
    await fs.chmod(path('owned'), 0o600);
    await fs.writeFile(path('set-uid'), 'x');
    await fs.chmod(path('set-uid'), 0o6777);
    await fs.mkdir(path('open-to-all'));
    await fs.chmod(path('open-to-all'), 0o777);
    // The folder above the mount belongs to root alone.
    await fs.chmod(join(root, '..'), 0o755);
    await runPython(
      `
try: open(M + "/owned")
except PermissionError: pass
else: raise AssertionError("read another user's file")
open(M + "/set-uid", "r+").write("y")
open(M + "/open-to-all/mine", "w").close()
assert os.stat(M + "/open-to-all/mine").st_uid == ${NOBODY}
`,
      NOBODY,
    );
    expect((await fs.stat(path('set-uid'))).mode & 0o7777).toBe(0o777);
  });

  test('the kernel remembers names, attributes and that a name does not exist', async () => {
    await fs.writeFile(path('known'), 'x');
    // A write makes the kernel ask for the attributes once more.
    await fs.stat(path('known'));
    await errno(fs.stat(path('unknown')));
    const before = await mounted.stats();
    for (let i = 0; i < 20; i++) {
      await fs.stat(path('known'));
      expect(await errno(fs.stat(path('unknown')))).toBe('ENOENT');
    }
    const after = await mounted.stats();
    expect(after['LOOKUP']?.count).toBe(before['LOOKUP']?.count);
    expect(after['GETATTR']?.count).toBe(before['GETATTR']?.count);
    await fs.writeFile(path('unknown'), 'now known');
    expect(await fs.readFile(path('unknown'), 'utf8')).toBe('now known');
  });

  test('what the kernel remembers can be invalidated', async () => {
    await fs.writeFile(path('known'), 'x');
    await fs.stat(path('known'));
    const before = await mounted.stats();
    process.kill(mounted.pid, 'SIGUSR1');
    expect(await mounted.next('invalidated')).toEqual([true, false, true]);
    await fs.stat(path('known'));
    const after = await mounted.stats();
    expect(after['LOOKUP']?.count).toBeGreaterThan(before['LOOKUP']?.count ?? 0);
  });

  test('the time of birth is there for who asks', async () => {
    await fs.writeFile(path('born'), 'x');
    const birth = Number(execFileSync('stat', ['-c', '%W', path('born')], { encoding: 'utf8' }));
    const { mtimeMs } = await fs.stat(path('born'));
    expect(Math.abs(birth - mtimeMs / 1000)).toBeLessThan(60);
  });

  test('answers that come as promises are the same', async () => {
    const content = Buffer.alloc(3 * MIB, 'late');
    await fs.mkdir(path('late-folder'));
    for (const name of ['late-folder/a', 'late-folder/b']) await fs.writeFile(path(name), 'x');
    expect((await fs.readdir(path('late-folder'))).toSorted()).toEqual(['a', 'b']);
    await Promise.all(
      [1, 2, 3, 4].map(async (i) => {
        await fs.writeFile(path(`late-${i}`), content);
        expect((await fs.readFile(path(`late-${i}`))).equals(content)).toBe(true);
        const handle = await fs.open(path(`late-${i}`), constants.O_RDONLY | constants.O_DIRECT);
        expect((await handle.readFile()).equals(content)).toBe(true);
        await handle.sync();
        await handle.close();
      }),
    );
  });

  test('a killed caller leaves an endless fsync, a handled signal does not end it', async () => {
    const client = startPython(
      `
import os, signal, sys, threading
fd = os.open(sys.argv[1] + "/stuck", os.O_RDWR | os.O_CREAT)
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
def interrupted():
    for line in open("/proc/self/status"):
        if line.startswith(("SigPnd", "ShdPnd")) and int(line.split()[1], 16) != 0: return True
def watch():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    while not interrupted(): pass
    print("interrupted")
threading.Thread(target=watch, daemon=True).start()
os.fsync(fd)
print("fsync came back")
`,
      [root],
    );
    let output = '';
    const closed = new Promise<NodeJS.Signals | null>((done) => {
      client.once('close', (_, signal) => done(signal));
    });
    await new Promise<void>((seen) => {
      client.stdout?.on('data', (text: Buffer) => {
        output += text.toString();
        if (output.includes('interrupted')) seen();
      });
    });
    client.kill('SIGKILL');
    expect(await closed).toBe('SIGKILL');
    expect(output.trim()).toBe('interrupted');
  });

  test('what a file system throws is an I/O error, and the next request is served', async () => {
    expect(await errno(fs.stat(path('throws')))).toBe('EIO');
    expect(await errno(fs.stat(path('rejects')))).toBe('EIO');
    await fs.writeFile(path('after-errors'), 'x');
    expect((await mounted.stats())['LOOKUP']?.errors).toBe(2);
  });

  test('after the unmount the server ends by itself', async () => {
    expect(unmount(root, { lazy: false })).toBe(true);
    expect(await mounted.next('end')).toBe('unmounted');
    expect(await mounted.exited).toBe(0);
  });
});

/** Mounts have no event that Node could wait for. */
async function waitUntilDetached(mountPoint: string): Promise<void> {
  while (findMount(mountPoint) !== undefined) await new Promise((next) => setImmediate(next));
}

describe.skipIf(!canMount)('a server that ends while it is mounted', () => {
  let mounted: Mounted | undefined;
  afterEach(() => mounted?.stop());

  test('dies of a broken invariant with status 70; the caller is not left waiting', async () => {
    mounted = await Mounted.start('direct');
    await expect(fs.stat(join(mounted.mountPoint, 'broken'))).rejects.toThrow(
      /^(ECONNABORTED|ENOTCONN|EIO)/,
    );
    expect(await mounted.exited).toBe(70);
  });

  test('detaches its own mount, and serves who still uses it to the end', async () => {
    mounted = await Mounted.start('direct');
    const client = startPython(
      `
import mmap, os, sys
fd = os.open(sys.argv[1] + "/mapped", os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 1 << 20)
memory = mmap.mmap(fd, 1 << 20)
memory[5000:5005] = b"dirty"
sys.stdout.write("mapped\\n")
sys.stdout.flush()
sys.stdin.read()
memory.flush()
print(os.pread(fd, 5, 5000).decode())
`,
      [mounted.mountPoint],
    );
    await new Promise((seen) => client.stdout?.once('data', seen));
    process.kill(mounted.pid, 'SIGHUP');
    await waitUntilDetached(mounted.mountPoint);
    expect(await finish(client)).toEqual({ code: 0, signal: null, output: 'dirty\n' });
    expect(await mounted.next('end')).toBe('unmounted');
  });

  test('stops when it is told to', async () => {
    mounted = await Mounted.start('direct');
    await fs.writeFile(join(mounted.mountPoint, 'file'), 'x');
    process.kill(mounted.pid, 'SIGTERM');
    expect(await mounted.next('end')).toBe('stopped');
    expect(await mounted.exited).toBe(0);
  });
});
