import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import {
  CpuWait,
  errnoName,
  ioctlRaw,
  lockExclusive,
  mountFileSystem,
  PollWaiter,
  parseMountinfo,
  posix,
  punchHole,
  ResidentReader,
  readMountinfo,
  readRaw,
  seekData,
  seekHole,
  setStatusFlags,
  statusFlags,
  syncFileSystem,
  unmountFileSystem,
  writeRaw,
} from './mod.ts';

const folder = mkdtempSync(join(tmpdir(), 'dfs-os-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const GIB = 2 ** 30;

describe('sparse files', () => {
  test('seekData() and seekHole() find data behind 2^32', () => {
    const fd = openSync(join(folder, 'sparse'), 'w+');
    writeSync(fd, Buffer.alloc(8192, 1), 0, 8192, 5 * GIB);
    ftruncateSync(fd, 6 * GIB);
    expect(seekData(fd, 0)).toBe(5 * GIB);
    expect(seekHole(fd, 5 * GIB)).toBe(5 * GIB + 8192);
    expect(seekData(fd, 5 * GIB + 8192)).toBe(-1);
    expect(seekHole(fd, 7 * GIB)).toBe(-1);
    closeSync(fd);
  });

  test('punchHole() frees the blocks and keeps the size', () => {
    const path = join(folder, 'punched');
    const fd = openSync(path, 'w+');
    writeSync(fd, Buffer.alloc(65536, 1));
    punchHole(fd, 4096, 8192);
    expect(seekHole(fd, 0)).toBe(4096);
    expect(seekData(fd, 4096)).toBe(12288);
    expect(statSync(path).size).toBe(65536);
    expect(
      readFileSync(path)
        .subarray(4096, 12288)
        .every((byte) => byte === 0),
    ).toBe(true);
    closeSync(fd);
  });

  test('a failing call names itself and its errno', () => {
    expect(() => punchHole(-1, 0, 1)).toThrow('fallocate failed with EBADF');
  });
});

describe('descriptors', () => {
  test('lockExclusive() is refused while another open file holds the lock', () => {
    const path = join(folder, 'lock');
    const first = openSync(path, 'w');
    const second = openSync(path, 'r');
    expect(lockExclusive(first)).toBe(true);
    expect(lockExclusive(second)).toBe(false);
    closeSync(first);
    expect(lockExclusive(second)).toBe(true);
    closeSync(second);
  });

  test('raw reads and writes give counts or negative errnos', () => {
    const fd = openSync(join(folder, 'raw'), 'w+');
    expect(writeRaw(fd, Buffer.from('abcdef'), 3)).toBe(3);
    expect(readRaw(fd, Buffer.alloc(8))).toBe(0);
    closeSync(fd);
    expect(errnoName(-readRaw(-1, Buffer.alloc(8)))).toBe('EBADF');
    expect(errnoName(-ioctlRaw(-1, 0, null))).toBe('EBADF');
  });

  test('status flags can be read and set', () => {
    const fd = openSync(join(folder, 'flags'), 'w');
    setStatusFlags(fd, posix.O_NONBLOCK);
    expect(statusFlags(fd) & posix.O_NONBLOCK).toBe(posix.O_NONBLOCK);
    closeSync(fd);
  });

  test('a poll says whether there is something to read, waiting or not', async () => {
    const quiet = openSync('/dev/ptmx', 'r+');
    expect(new PollWaiter(quiet, posix.POLLIN).wait(100)).toBe(false);
    expect(await new PollWaiter(quiet, posix.POLLIN).waitAsync(1)).toBe(false);
    closeSync(quiet);
    const ready = openSync('/dev/zero', 'r');
    expect(new PollWaiter(ready, posix.POLLIN).wait(0)).toBe(true);
    expect(await new PollWaiter(ready, posix.POLLIN).waitAsync(-1)).toBe(true);
    closeSync(ready);
  });

  test('syncFileSystem() resolves, and rejects for a closed descriptor', async () => {
    const fd = openSync(join(folder, 'sync'), 'w');
    await syncFileSystem(fd);
    closeSync(fd);
    await expect(syncFileSystem(-1)).rejects.toThrow('syncfs failed with EBADF');
  });
});

describe('mounts', () => {
  test('mountinfo lines are taken apart and unescaped', () => {
    const line =
      '66 29 0:58 / /mnt/a\\040b rw,noatime shared:7 master:1 - fuse.dfs /x\\134y rw,user_id=0\n';
    expect(parseMountinfo(line)).toEqual([
      {
        mountPoint: '/mnt/a b',
        fsType: 'fuse.dfs',
        source: '/x\\y',
        device: '0:58',
        options: ['rw', 'noatime', 'user_id=0'],
      },
    ]);
  });

  test('a line that is cut off is refused', () => {
    expect(() => parseMountinfo('66 29 0:58 / /mnt rw -\n')).toThrow('too few fields');
  });

  test('the mounts of this process include the root', () => {
    expect(readMountinfo().map((entry) => entry.mountPoint)).toContain('/');
  });

  test('a mount that fails throws, an unmount of nothing returns false', () => {
    const request = { source: 'x', target: folder, type: 'nosuchfs', flags: 0, data: '' };
    expect(() => mountFileSystem(request)).toThrow('mount failed with E');
    expect(unmountFileSystem(folder, { lazy: false })).toBe(false);
  });
});

describe('ResidentReader', () => {
  test('reads what is in memory into any part of a buffer, and says how much it was', () => {
    const path = join(folder, 'resident');
    const fd = openSync(path, 'w+');
    try {
      writeSync(fd, Buffer.alloc(10_000, 7));
      const reader = new ResidentReader();
      const into = Buffer.alloc(64, 1);
      const count = reader.read(fd, into.subarray(16, 32), 9_992);
      expect(reader.isSupported ? count : 8).toBe(8);
      if (reader.isSupported) {
        expect([into[15], into[16], into[23], into[24]]).toEqual([1, 7, 7, 1]);
      }
      expect(reader.read(fd, into, 20_000)).toBe(0);
    } finally {
      closeSync(fd);
    }
  });

  test('tells of a descriptor that cannot be read', () => {
    expect(new ResidentReader().read(-1, Buffer.alloc(8), 0)).toBe(-9);
  });
});

test('CpuWait tells a time that does not shrink', () => {
  const wait = new CpuWait();
  const before = wait.totalMs();
  expect(before).toBeGreaterThanOrEqual(0);
  expect(wait.totalMs()).toBeGreaterThanOrEqual(before);
  wait.close();
});
