import { describe, expect, test } from 'vitest';
import {
  EEXIST,
  EFBIG,
  EINVAL,
  EISDIR,
  ENAMETOOLONG,
  ENODATA,
  ENOENT,
  ENOSPC,
  ENOTDIR,
  ENOTEMPTY,
  ENXIO,
  EOPNOTSUPP,
  EROFS,
} from '../../src/base/errno.ts';
import { type Ino, ROOT_INO } from '../../src/base/ids.ts';
import { FILE_BYTES_MAX } from '../../src/base/limits.ts';
import type { FileSystem, RequestContext } from '../../src/vfs/mod.ts';
import { BLOCK, bytesOf } from '../cache/fixture.ts';
import { attr, Rig } from './rig.ts';

const NOREPLACE = 1;
const EXCHANGE = 2;
const O_EXCL = 0o200;
const LONG = Buffer.alloc(256, 'x');

const xattr = (key: Buffer, value: Buffer, flags: number) => ({
  name: key,
  value,
  flags,
  killSgid: false,
});

const name = (text: string): Buffer => Buffer.from(text);

describe('what is not possible', () => {
  test('has its errno: names', () => {
    const rig = new Rig();
    const { fs, by } = rig;
    rig.touch(ROOT_INO, 'file');
    rig.mkdir(ROOT_INO, 'folder');
    expect(fs.lookup(ROOT_INO, name('none'))).toBe(-ENOENT);
    expect(fs.lookup(ROOT_INO, LONG)).toBe(-ENAMETOOLONG);
    expect(fs.mknod(by(), ROOT_INO, LONG, 0o100644, 0)).toBe(-ENAMETOOLONG);
    expect(fs.mknod(by(), ROOT_INO, name('file'), 0o100644, 0)).toBe(-EEXIST);
    expect(fs.mknod(by(), ROOT_INO, name('x'), 0o040755, 0)).toBe(-EINVAL);
    expect(fs.mkdir(by(), ROOT_INO, name('folder'), 0o755)).toBe(-EEXIST);
    expect(fs.create(by(), ROOT_INO, name('file'), 0o100644, O_EXCL)).toBe(-EEXIST);
    expect(fs.symlink(by(), 999 as Ino, name('l'), name('t'))).toBe(-ENOENT);
  });

  test('has its errno: removing', () => {
    const rig = new Rig();
    const { fs, by } = rig;
    rig.touch(ROOT_INO, 'file');
    rig.touch(rig.mkdir(ROOT_INO, 'full'), 'x');
    expect(fs.unlink(by(), ROOT_INO, name('none'))).toBe(-ENOENT);
    expect(fs.unlink(by(), ROOT_INO, name('full'))).toBe(-EISDIR);
    expect(fs.rmdir(by(), ROOT_INO, name('none'))).toBe(-ENOENT);
    expect(fs.rmdir(by(), ROOT_INO, name('file'))).toBe(-ENOTDIR);
    expect(fs.rmdir(by(), ROOT_INO, name('full'))).toBe(-ENOTEMPTY);
  });

  test('has its errno: renaming', () => {
    const rig = new Rig();
    const { fs, by } = rig;
    rig.touch(ROOT_INO, 'file');
    rig.mkdir(ROOT_INO, 'empty');
    rig.touch(rig.mkdir(ROOT_INO, 'full'), 'x');
    const rename = (from: string, to: string, flags = 0): unknown =>
      fs.rename(by(), ROOT_INO, name(from), ROOT_INO, name(to), flags);
    expect(rename('none', 'x')).toBe(-ENOENT);
    expect(rename('file', 'none', EXCHANGE)).toBe(-ENOENT);
    expect(rename('file', 'empty', NOREPLACE)).toBe(-EEXIST);
    expect(rename('file', 'empty', NOREPLACE | EXCHANGE)).toBe(-EINVAL);
    expect(rename('file', 'empty', 4)).toBe(-EINVAL);
    expect(rename('file', 'empty')).toBe(-EISDIR);
    expect(rename('empty', 'file')).toBe(-ENOTDIR);
    expect(rename('empty', 'full')).toBe(-ENOTEMPTY);
    expect(fs.rename(by(), ROOT_INO, name('file'), ROOT_INO, LONG, 0)).toBe(-ENAMETOOLONG);
    expect(rig.names(ROOT_INO)).toEqual(['.', '..', 'empty', 'file', 'full']);
  });

  test('has its errno: contents and links', () => {
    const rig = new Rig();
    const { fs, by } = rig;
    const file = rig.touch(ROOT_INO, 'file');
    const fifo = rig.touch(ROOT_INO, 'fifo', 0o010644);
    expect(fs.setattr(by(), ROOT_INO, { sizeBytes: 0 })).toBe(-EISDIR);
    expect(fs.setattr(by(), fifo, { sizeBytes: 0 })).toBe(-EINVAL);
    expect(fs.setattr(by(), file, { sizeBytes: FILE_BYTES_MAX + 1 })).toBe(-EFBIG);
    expect(fs.write(by(), file, FILE_BYTES_MAX, name('x'), false)).toBe(-EFBIG);
    expect(fs.read(999 as Ino, 0, 1, Buffer.alloc(1), 0)).toBe(-ENOENT);
    expect(fs.readlink(file)).toBe(-EINVAL);
    expect(fs.lseek(file, 0, 3)).toBe(-ENXIO);
    expect(fs.lseek(ROOT_INO, 0, 3)).toBe(-EINVAL);
    expect(fs.readdir(file, 0, () => true)).toBe(-ENOTDIR);
  });

  test('is nothing in a folder that was removed and is still open', () => {
    const rig = new Rig();
    const { fs, by } = rig;
    const folder = rig.mkdir(ROOT_INO, 'gone');
    rig.touch(ROOT_INO, 'file');
    expect(fs.rmdir(by(), ROOT_INO, name('gone'))).toBe(0);
    expect(fs.mknod(by(), folder, name('x'), 0o100644, 0)).toBe(-ENOENT);
    expect(fs.rename(by(), ROOT_INO, name('file'), folder, name('x'), 0)).toBe(-ENOENT);
  });

  test('is any change of a read-only mount', () => {
    const rig = new Rig({ readOnly: true });
    const { fs, by } = rig;
    expect(fs.mkdir(by(), ROOT_INO, name('x'), 0o755)).toBe(-EROFS);
    expect(fs.setattr(by(), ROOT_INO, { mode: 0o700 })).toBe(-EROFS);
    expect(fs.setxattr(by(), ROOT_INO, xattr(name('user.a'), name('b'), 0))).toBe(-EROFS);
  });

  test('is ENOSPC on a full metadata device, also when no number can be had', () => {
    const rig = new Rig();
    const { fs, by } = rig;
    const { db } = rig.cacheRig.meta.state;
    db.pragma(`max_page_count = ${db.pragma('page_count', { simple: true }) as number}`);
    const wide = Buffer.alloc(60_000, 1);
    expect(fs.setxattr(by(), ROOT_INO, xattr(name('user.wide'), wide, 0))).toBe(-ENOSPC);
    expect(fs.getxattr(ROOT_INO, name('user.wide'))).toBe(-ENODATA);
    rig.cacheRig.meta.flush();
    db.pragma('query_only = 1');
    let reply: unknown = 0;
    for (let at = 0; at < 3; at++) reply = fs.mkdir(by(), ROOT_INO, name(`f${at}`), 0o755);
    expect(reply).toBeLessThan(0);
    db.pragma('query_only = 0');
  });
});

describe('renaming', () => {
  test('of a name over another name of the same file does nothing, exchanging too', () => {
    const rig = new Rig();
    const { fs, by } = rig;
    const file = rig.touch(ROOT_INO, 'a');
    fs.link(by(), file, ROOT_INO, name('b'));
    for (const flags of [0, EXCHANGE]) {
      expect(fs.rename(by(), ROOT_INO, name('a'), ROOT_INO, name('b'), flags)).toBe(0);
      expect(fs.rename(by(), ROOT_INO, name('a'), ROOT_INO, name('a'), flags)).toBe(0);
    }
    expect(rig.names(ROOT_INO)).toEqual(['.', '..', 'a', 'b']);
    expect(attr(fs.getattr(file)).nlink).toBe(2);
  });

  test('a folder into another moves its ".."', () => {
    const rig = new Rig();
    const { fs, by } = rig;
    const [from, to] = [rig.mkdir(ROOT_INO, 'from'), rig.mkdir(ROOT_INO, 'to')];
    const moved = rig.mkdir(from, 'moved');
    expect(fs.rename(by(), from, name('moved'), to, name('here'), 0)).toBe(0);
    const parents: Ino[] = [];
    fs.readdir(moved, 1, (_name, ino) => {
      parents.push(ino);
      return true;
    });
    expect(parents).toEqual([to]);
    expect([attr(fs.getattr(from)).nlink, attr(fs.getattr(to)).nlink]).toEqual([2, 3]);
  });
});

describe('owners and modes', () => {
  test('a setgid folder gives its group, and to folders its bit', () => {
    const rig = new Rig();
    const { fs, by } = rig;
    const shared = rig.mkdir(ROOT_INO, 'shared');
    attr(fs.setattr(by(), shared, { gid: 42, mode: 0o2775 }));
    const file = attr(fs.mknod(by(7, 8), shared, name('f'), 0o100644, 0));
    const folder = attr(fs.mkdir(by(7, 8), shared, name('d'), 0o755));
    expect([file.uid, file.gid, file.mode]).toEqual([7, 42, 0o100644]);
    expect([folder.gid, folder.mode]).toEqual([42, 0o042755]);
    const plain = attr(fs.mknod(by(7, 8), ROOT_INO, name('p'), 0o100644, 0));
    expect([plain.uid, plain.gid]).toEqual([7, 8]);
  });

  test.each([
    [0o104755, 0o100755],
    [0o102755, 0o100755],
    [0o102644, 0o102644],
    [0o106711, 0o100711],
  ])('%o becomes %o when it is written, cut or given away', async (mode, left) => {
    const rig = new Rig();
    const { fs, by } = rig;
    const make = (text: string): Ino => {
      const ino = rig.touch(ROOT_INO, text);
      attr(fs.setattr(by(), ino, { mode }));
      expect(attr(fs.getattr(ino)).mode).toBe(mode);
      return ino;
    };
    const [written, cut, given] = [make('written'), make('cut'), make('given')];
    expect(await fs.write(by(), written, 0, name('x'), true)).toBe(1);
    attr(await fs.setattr(by(), cut, { sizeBytes: 0, killSuidGid: true }));
    attr(fs.setattr(by(), given, { uid: 5 }));
    for (const ino of [written, cut, given]) expect(attr(fs.getattr(ino)).mode).toBe(left);
    const kept = make('kept');
    await fs.write(by(), kept, 0, name('x'), false);
    expect(attr(fs.getattr(kept)).mode).toBe(mode);
  });

  test('setuid goes with a hole or a clone made by others than root, and the kernel is told', async () => {
    const rig = new Rig();
    const { fs, by } = rig;
    const stale: Ino[] = [];
    const forgetPages = (): Promise<void> => Promise.resolve();
    fs.connect({ forgetAttributes: (ino) => void stale.push(ino), forgetPages });
    const source = rig.touch(ROOT_INO, 'source');
    await rig.cacheRig.write(source, 0, bytesOf(1, BLOCK));
    await rig.cacheRig.commit();
    const range = { mode: 1, offset: 0, lengthBytes: 10 };
    const copy = (to: Ino) => ({
      from: source,
      fromOffset: 0,
      to,
      toOffset: 0,
      lengthBytes: BLOCK,
    });
    for (const uid of [0, 5]) {
      const left = uid === 0 ? 0o106755 : 0o100755;
      const [allocated, cloned, written] = ['a', 'c', 'w'].map((text) => {
        const ino = rig.touch(ROOT_INO, `${text}${uid}`);
        attr(fs.setattr(by(), ino, { mode: 0o106755 }));
        return ino;
      }) as [Ino, Ino, Ino];
      expect(await fs.fallocate(by(uid, uid), allocated, range)).toBe(0);
      expect(await fs.copyRange(by(uid, uid), copy(cloned))).toBe(BLOCK);
      expect(await fs.write(by(uid, uid), written, 0, name('x'), uid !== 0)).toBe(1);
      for (const ino of [allocated, cloned, written]) {
        expect(attr(fs.getattr(ino)).mode).toBe(left);
        expect(stale.includes(ino)).toBe(uid !== 0);
      }
    }
  });

  test('setgid without execution goes when a caller outside of the group changes the file', async () => {
    const rig = new Rig();
    const { fs, by } = rig;
    const ino = rig.touch(ROOT_INO, 'f');
    attr(fs.setattr(by(), ino, { mode: 0o102664, gid: 42 }));
    expect(await fs.write(by(7, 42), ino, 0, name('x'), true)).toBe(1);
    expect(attr(fs.getattr(ino)).mode).toBe(0o102664);
    expect(await fs.write({ ...by(7, 8), pid: 0 }, ino, 0, name('x'), true)).toBe(1);
    expect(attr(fs.getattr(ino)).mode).toBe(0o100664);
  });

  test('chmod changes nothing but permissions, chown of a folder not even those', () => {
    const rig = new Rig();
    const { fs, by } = rig;
    const folder = rig.mkdir(ROOT_INO, 'd', 0o2755);
    expect(attr(fs.setattr(by(), folder, { mode: 0o100000 | 0o2700 })).mode).toBe(0o042700);
    expect(attr(fs.setattr(by(), folder, { gid: 9 })).mode).toBe(0o042700);
  });
});

describe('extended attributes', () => {
  test('are created and replaced as asked, and only in spaces that exist', () => {
    const rig = new Rig();
    const { fs, by } = rig;
    const set = (key: string, value: string, flags = 0): unknown =>
      fs.setxattr(by(), ROOT_INO, xattr(name(key), name(value), flags));
    expect(set('user.a', '1', 2)).toBe(-ENODATA);
    expect(set('user.a', '1', 1)).toBe(0);
    expect(set('user.a', '2', 1)).toBe(-EEXIST);
    expect(set('user.a', '3', 2)).toBe(0);
    expect(fs.getxattr(ROOT_INO, name('user.a'))).toEqual(name('3'));
    expect(set('strange.a', '1')).toBe(-EOPNOTSUPP);
    expect(fs.setxattr(by(), ROOT_INO, xattr(name('user.b'), Buffer.alloc(65_537), 0))).toBe(
      -EINVAL,
    );
    expect(fs.getxattr(ROOT_INO, name('user.none'))).toBe(-ENODATA);
    expect(fs.getxattr(ROOT_INO, name('system.posix_acl_access'))).toBe(-ENODATA);
    expect(fs.getxattr(ROOT_INO, name('system.other'))).toBe(-EOPNOTSUPP);
    expect(fs.listxattr(by(), ROOT_INO)).toEqual(name('user.a\0'));
    expect(fs.removexattr(by(), ROOT_INO, name('user.a'))).toBe(0);
    expect(fs.removexattr(by(), ROOT_INO, name('user.a'))).toBe(-ENODATA);
    expect(fs.listxattr(by(), ROOT_INO)).toEqual(Buffer.alloc(0));
  });

  test('need a name behind their space; an ACL that is not there may be removed', () => {
    const rig = new Rig();
    const { fs, by } = rig;
    const ino = rig.touch(ROOT_INO, 'f');
    expect(fs.setxattr(by(), ino, xattr(name('user.'), name('1'), 0))).toBe(-EINVAL);
    expect(fs.removexattr(by(), ino, name('system.posix_acl_access'))).toBe(0);
    expect(fs.removexattr(by(), ino, name('user.none'))).toBe(-ENODATA);
  });

  test('the receipt is read, and not listed', () => {
    const { fs, by } = new Rig();
    expect(fs.getxattr(ROOT_INO, name('user.dfs.commit'))).toEqual(name('receipt of 1'));
    expect(fs.listxattr(by(), ROOT_INO)).toEqual(Buffer.alloc(0));
  });
});

describe('a request sent again to a new process', () => {
  type Call = (fs: FileSystem, context: RequestContext, at: { file: Ino; folder: Ino }) => unknown;
  const CALLS: [string, Call][] = [
    ['mknod', (fs, by) => fs.mknod(by, ROOT_INO, name('new'), 0o100644, 0)],
    ['mkdir', (fs, by) => fs.mkdir(by, ROOT_INO, name('new'), 0o755)],
    ['symlink', (fs, by) => fs.symlink(by, ROOT_INO, name('new'), name('to'))],
    ['create', (fs, by) => fs.create(by, ROOT_INO, name('new'), 0o100644, O_EXCL)],
    ['link', (fs, by, { file }) => fs.link(by, file, ROOT_INO, name('new'))],
    ['unlink', (fs, by) => fs.unlink(by, ROOT_INO, name('file'))],
    ['rmdir', (fs, by) => fs.rmdir(by, ROOT_INO, name('folder'))],
    ['rename', (fs, by) => fs.rename(by, ROOT_INO, name('file'), ROOT_INO, name('new'), 0)],
    ['exchange', (fs, by) => fs.rename(by, ROOT_INO, name('file'), ROOT_INO, name('folder'), 2)],
    ['setxattr', (fs, by, { file }) => fs.setxattr(by, file, xattr(name('user.n'), name('1'), 1))],
    ['removexattr', (fs, by, { file }) => fs.removexattr(by, file, name('user.a'))],
    ['setattr', (fs, by, { file }) => fs.setattr(by, file, { mode: 0o600, sizeBytes: 10 })],
  ];
  test.each(CALLS)('is answered and not carried out twice: %s', async (_kind, call) => {
    const rig = new Rig();
    const file = rig.touch(ROOT_INO, 'file');
    const folder = rig.mkdir(ROOT_INO, 'folder');
    expect(rig.fs.setxattr(rig.by(), file, xattr(name('user.a'), name('1'), 0))).toBe(0);
    const context = rig.by();
    const first = replyOf(await call(rig.fs, context, { file, folder }));
    const before = stateOf(rig, file);
    await rig.takeOver();
    const again = replyOf(await call(rig.fs, { ...context, resent: true }, { file, folder }));
    expect(again).toEqual(first);
    expect(stateOf(rig, file)).toEqual(before);
  });

  test.each(CALLS)('is carried out when the first process did not: %s', async (_kind, call) => {
    const rig = new Rig();
    const file = rig.touch(ROOT_INO, 'file');
    const folder = rig.mkdir(ROOT_INO, 'folder');
    expect(rig.fs.setxattr(rig.by(), file, xattr(name('user.a'), name('1'), 0))).toBe(0);
    await rig.takeOver();
    const before = stateOf(rig, file);
    const reply = await call(rig.fs, { ...rig.by(), resent: true }, { file, folder });
    expect(typeof reply === 'number' ? reply : 0).toBe(0);
    expect(stateOf(rig, file)).not.toEqual(before);
  });

  test('opens a file that somebody else made meanwhile, unless it must be new', async () => {
    const rig = new Rig();
    const file = rig.touch(ROOT_INO, 'file');
    await rig.takeOver();
    const again = { ...rig.by(), resent: true };
    expect(rig.fs.create(again, ROOT_INO, name('file'), 0o100644, 0)).toMatchObject({
      attr: { ino: file },
    });
    expect(rig.fs.create(again, ROOT_INO, name('file'), 0o100644, O_EXCL)).toBe(-EEXIST);
  });

  function replyOf(reply: unknown): unknown {
    if (typeof reply !== 'object' || reply === null) return reply;
    const whose = 'attr' in reply ? attr(reply.attr) : attr(reply);
    return [whose.ino, whose.mode, whose.nlink, whose.sizeBytes];
  }

  /** All that a mutation might change twice; not the times, which setattr sets again. */
  function stateOf(rig: Rig, file: Ino): unknown {
    const { nlink, sizeBytes, mode } = rig.cacheRig.inode(file);
    const xattrs = rig.fs.listxattr(rig.by(), file);
    const totals = rig.cacheRig.meta.state.totals();
    const entries = rig.cacheRig.meta.state.entries(ROOT_INO, -1, 100).map(([, text, ino]) => {
      return [text.toString('latin1'), ino];
    });
    return { nlink, sizeBytes, mode, xattrs, totals, entries };
  }
});

describe('an inode without a name', () => {
  test('lives until the kernel forgets it', async () => {
    const rig = new Rig();
    const file = rig.touch(ROOT_INO, 'file');
    await rig.fs.write(rig.by(), file, 0, bytesOf(1, BLOCK), false);
    attr(rig.fs.lookup(ROOT_INO, name('file')));
    rig.fs.unlink(rig.by(), ROOT_INO, name('file'));
    rig.fs.forget(file, 1);
    await nextTurns();
    expect(attr(rig.fs.getattr(file)).nlink).toBe(0);
    expect(await rig.cacheRig.content(file)).toEqual(bytesOf(1, BLOCK));
    rig.fs.forget(file, 1);
    await nextTurns();
    expect(rig.fs.getattr(file)).toBe(-ENOENT);
    expect(rig.cacheRig.cache.dirtyBytes).toBe(0);
    expect(rig.cacheRig.meta.state.orphans()).toEqual([]);
  });

  test('is reaped at the next mount when its forget was lost', async () => {
    const rig = new Rig();
    const file = rig.touch(ROOT_INO, 'file');
    rig.fs.unlink(rig.by(), ROOT_INO, name('file'));
    await rig.takeOver();
    expect(attr(rig.fs.getattr(file)).nlink).toBe(0);
    rig.fs.mounted();
    await nextTurns();
    expect(rig.fs.getattr(file)).toBe(-ENOENT);
  });

  test('that cannot be reaped waits for the next mount', async () => {
    const rig = new Rig();
    const file = rig.touch(ROOT_INO, 'file');
    rig.fs.unlink(rig.by(), ROOT_INO, name('file'));
    const { db } = rig.cacheRig.meta.state;
    rig.cacheRig.meta.flush();
    db.pragma('query_only = 1');
    rig.fs.forget(file, 1);
    await nextTurns();
    db.pragma('query_only = 0');
    expect(rig.cacheRig.meta.state.orphans()).toEqual([file]);
    rig.fs.mounted();
    await nextTurns();
    expect(rig.cacheRig.meta.state.orphans()).toEqual([]);
  });

  async function nextTurns(): Promise<void> {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
});

describe('durability', () => {
  test('weak: fsync is local, and close needs nothing', async () => {
    const rig = new Rig();
    const file = rig.touch(ROOT_INO, 'file');
    await rig.fs.write(rig.by(), file, 0, name('x'), false);
    expect(await rig.fs.fsync(file, false)).toBe(0);
    expect(await rig.fs.flush(file)).toBe(0);
    expect(rig.commits).toBe(0);
    expect(rig.fs.open(rig.by(), file, 0)).toMatchObject({ noFlush: true });
  });

  test('weak: fsync of a file makes its new name last', async () => {
    const rig = new Rig();
    const file = rig.touch(ROOT_INO, 'file');
    await rig.fs.fsync(file, false);
    const { wal } = rig.cacheRig.meta;
    expect(wal.sync(file)).toBeUndefined();
    expect(rig.fs.rename(rig.by(), ROOT_INO, name('file'), ROOT_INO, name('new'), 0)).toBe(0);
    const before = wal.syncCount;
    expect(await rig.fs.fsync(file, false)).toBe(0);
    expect(wal.syncCount).toBe(before + 1);
  });

  test('strong: fsync and close wait for a commit, unless there is nothing to wait for', async () => {
    const rig = new Rig({ mode: 'strong' });
    const file = rig.touch(ROOT_INO, 'file');
    await rig.fs.write(rig.by(), file, 0, name('x'), false);
    expect(await rig.fs.fsync(file, true)).toBe(0);
    expect(rig.commits).toBe(1);
    expect(await rig.fs.flush(file)).toBe(0);
    expect(rig.commits).toBe(1);
    expect(rig.fs.open(rig.by(), file, 1)).toMatchObject({ noFlush: false });
    expect(rig.fs.open(rig.by(), file, 0)).toMatchObject({ noFlush: true });
  });

  test('statfs counts in blocks of 4 KiB', () => {
    expect(new Rig().fs.statfs()).toMatchObject({
      blockBytes: 4096,
      blocks: 244,
      blocksFree: 122,
      blocksAvailable: 122,
      nameBytesMax: 255,
    });
  });
});
