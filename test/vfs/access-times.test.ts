import { expect, test } from 'vitest';
import { type Ino, ROOT_INO } from '../../src/base/ids.ts';
import type { Kernel } from '../../src/vfs/mod.ts';
import { attr, Rig } from './rig.ts';

const O_WRONLY = 1;
const O_RDWR = 2;
const O_NOATIME = 0o1000000;
const OLD = { sec: 1_000_000_000, nsec: 0 };

interface Times {
  rig: Rig;
  ino: Ino;
  /** What the kernel was told to forget. */
  forgotten: { kernel: string[] };
}

/** A file of some bytes whose access time is as old as its content. */
function stale(sizeBytes = 10, options: { updatesAtime?: () => boolean } = {}): Times {
  const rig = new Rig(options);
  const forgotten = { kernel: [] as string[] };
  const kernel: Kernel = {
    forgetAttributes: () => void forgotten.kernel.push('attributes'),
    forgetPages: () => Promise.resolve(forgotten.kernel.push('pages')),
  };
  rig.fs.connect(kernel);
  const ino = rig.touch(ROOT_INO, 'f');
  expect(rig.fs.write(rig.by(), ino, 0, Buffer.alloc(sizeBytes, 1), false)).toBe(sizeBytes);
  void rig.fs.setattr(rig.by(), ino, { atime: OLD, mtime: OLD });
  nextTick();
  return { rig, ino, forgotten };
}

/** Timestamps have milliseconds: what comes next has a later one. */
function nextTick(): void {
  for (const start = Date.now(); Date.now() === start; );
}

function atime({ rig, ino }: Times): number {
  return attr(rig.fs.getattr(ino)).atimeSec;
}

function keepsCache({ rig, ino }: Times, flags: number): boolean {
  const opened = rig.fs.open(rig.by(), ino, flags);
  if (typeof opened === 'number') throw new Error(`open failed with ${opened}`);
  return opened.keepCache;
}

test('a read updates an access time that is not newer than the last change, once', () => {
  const times = stale();
  times.rig.fs.accessed(times.ino);
  const first = attr(times.rig.fs.getattr(times.ino));
  expect(first.atimeSec).toBeGreaterThan(OLD.sec);
  const [sec, nsec] = [first.atimeSec, first.atimeNsec];
  times.rig.fs.accessed(times.ino);
  expect(times.rig.fs.getattr(times.ino)).toMatchObject({ atimeSec: sec, atimeNsec: nsec });
});

test('a read updates an access time that is a day old, and not one of an hour ago', () => {
  const times = stale();
  const nowSec = Math.floor(Date.now() / 1000);
  const set = (ageSeconds: number): void => {
    const atimeOf = { sec: nowSec - ageSeconds, nsec: 0 };
    void times.rig.fs.setattr(times.rig.by(), times.ino, { atime: atimeOf, mtime: OLD });
    // The change has a newer ctime; as if it were long ago:
    const inode = times.rig.cacheRig.meta.inode(times.ino);
    if (inode !== undefined) inode.ctimeSec = OLD.sec;
  };
  set(3600);
  times.rig.fs.accessed(times.ino);
  expect(atime(times)).toBe(nowSec - 3600);
  set(2 * 86_400);
  times.rig.fs.accessed(times.ino);
  expect(atime(times)).toBeGreaterThanOrEqual(nowSec);
});

test('whoever opens a small file to read it reads it anew when that has to be noted', () => {
  const times = stale();
  expect(keepsCache(times, O_WRONLY)).toBe(true);
  expect(keepsCache(times, O_NOATIME)).toBe(true);
  expect(keepsCache(times, 0)).toBe(false);
  expect(keepsCache(times, O_RDWR)).toBe(false);
  expect(atime(times)).toBe(OLD.sec);
  times.rig.fs.accessed(times.ino);
  expect(keepsCache(times, 0)).toBe(true);
  expect(times.forgotten.kernel).toEqual([]);
});

test('to open a large file counts as reading it', () => {
  const times = stale(200_000);
  expect(keepsCache(times, O_NOATIME)).toBe(true);
  expect(atime(times)).toBe(OLD.sec);
  expect(keepsCache(times, 0)).toBe(true);
  expect(atime(times)).toBeGreaterThan(OLD.sec);
  expect(times.forgotten.kernel).toEqual(['attributes']);
});

test('nothing is updated when the mount wants none', () => {
  let wanted = false;
  const times = stale(10, { updatesAtime: () => wanted });
  times.rig.fs.accessed(times.ino);
  expect(keepsCache(times, 0)).toBe(true);
  expect(atime(times)).toBe(OLD.sec);
  wanted = true;
  expect(keepsCache(times, 0)).toBe(false);
});

test('a folder or symlink whose times are set is read anew, if that must be noted', async () => {
  const times = stale();
  const { rig, forgotten } = times;
  const folder = rig.mkdir(ROOT_INO, 'd');
  const link = attr(rig.fs.symlink(rig.by(), ROOT_INO, Buffer.from('s'), Buffer.from('f')));
  const newer = { sec: Math.floor(Date.now() / 1000) + 60, nsec: 0 };
  await rig.fs.setattr(rig.by(), folder, { atime: newer, mtime: OLD });
  expect(forgotten.kernel).toEqual([]);
  for (const ino of [folder, link.ino]) await rig.fs.setattr(rig.by(), ino, { atime: OLD });
  expect(forgotten.kernel).toEqual(['pages', 'pages']);
  for (const ino of [folder, link.ino]) {
    rig.fs.accessed(ino);
    expect(attr(rig.fs.getattr(ino)).atimeSec).toBeGreaterThan(OLD.sec);
  }
});
