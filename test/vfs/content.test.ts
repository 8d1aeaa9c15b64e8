import { describe, expect, test } from 'vitest';
import { EFBIG, EINVAL, EISDIR, ENOSPC, EOPNOTSUPP, EROFS } from '../../src/base/errno.ts';
import { type Ino, ROOT_INO } from '../../src/base/ids.ts';
import { FILE_BYTES_MAX } from '../../src/base/limits.ts';
import { BLOCK, bytesOf } from '../cache/fixture.ts';
import { attr, Rig } from './rig.ts';

const KEEP_SIZE = 1;
const PUNCH = 2 | KEEP_SIZE;
const ZERO = 16;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/** A rig with one file of `blocks` blocks and what is in it. */
async function fileOf(blocks: number): Promise<{ rig: Rig; ino: Ino; model: Buffer }> {
  const rig = new Rig();
  const ino = rig.touch(ROOT_INO, 'file');
  const model = bytesOf(3, blocks * BLOCK);
  await rig.cacheRig.write(ino, 0, model);
  return { rig, ino, model };
}

function allocate(rig: Rig, ino: Ino, mode: number, offset: number, lengthBytes: number) {
  return rig.fs.fallocate(rig.by(), ino, { mode, offset, lengthBytes });
}

async function expectContent(rig: Rig, ino: Ino, model: Buffer): Promise<void> {
  const content = await rig.cacheRig.content(ino);
  expect(content.length).toBe(model.length);
  expect(content.equals(model)).toBe(true);
}

describe('fallocate()', () => {
  test('refuses what it cannot do', async () => {
    const { rig, ino } = await fileOf(1);
    expect(allocate(rig, ino, 2, 0, BLOCK)).toBe(-EOPNOTSUPP);
    expect(allocate(rig, ino, 8, 0, BLOCK)).toBe(-EOPNOTSUPP);
    expect(allocate(rig, ROOT_INO, 0, 0, BLOCK)).toBe(-EISDIR);
    expect(allocate(rig, ino, 0, FILE_BYTES_MAX, 1)).toBe(-EFBIG);
    expect(allocate(rig, ino, 0, 0, 600_000)).toBe(-ENOSPC);
    expect(allocate(new Rig({ readOnly: true }), ROOT_INO, 0, 0, 1)).toBe(-EROFS);
  });

  test('grows a file, or leaves its size', async () => {
    const { rig, ino, model } = await fileOf(1);
    expect(await allocate(rig, ino, KEEP_SIZE, 0, 3 * BLOCK)).toBe(0);
    expect(rig.cacheRig.inode(ino).sizeBytes).toBe(BLOCK);
    expect(await allocate(rig, ino, 0, 100, 3 * BLOCK)).toBe(0);
    await expectContent(rig, ino, Buffer.concat([model, Buffer.alloc(2 * BLOCK + 100)]));
  });

  test('a punched range reads as zeros, is a hole, and takes no blocks', async () => {
    const { rig, ino, model } = await fileOf(8);
    await rig.cacheRig.commit();
    expect(await allocate(rig, ino, PUNCH, BLOCK + 10, 4 * BLOCK)).toBe(0);
    model.fill(0, BLOCK + 10, 5 * BLOCK + 10);
    await expectContent(rig, ino, model);
    expect(rig.fs.lseek(ino, 0, SEEK_HOLE)).toBe(2 * BLOCK);
    expect(rig.fs.lseek(ino, 2 * BLOCK, SEEK_DATA)).toBe(5 * BLOCK);
    await rig.cacheRig.commit();
    expect(attr(rig.fs.getattr(ino)).blocks).toBe((5 * BLOCK) / 512);
    await rig.takeOver();
    await expectContent(rig, ino, model);
  });

  test('zeroing the end of a file grows it, unless told not to', async () => {
    const { rig, ino, model } = await fileOf(2);
    expect(await allocate(rig, ino, ZERO | KEEP_SIZE, 2 * BLOCK - 5, BLOCK)).toBe(0);
    model.fill(0, 2 * BLOCK - 5);
    await expectContent(rig, ino, model);
    expect(await allocate(rig, ino, ZERO, BLOCK + 7, 3 * BLOCK)).toBe(0);
    model.fill(0, BLOCK + 7);
    await expectContent(rig, ino, Buffer.concat([model, Buffer.alloc(2 * BLOCK + 7)]));
  });

  test('the cut keeps what was punched behind it, and its commit brings nothing back', async () => {
    const { rig, ino, model } = await fileOf(6);
    const cut = rig.cacheRig.cut();
    const atCut = Buffer.from(model);
    expect(await allocate(rig, ino, PUNCH, BLOCK, 3 * BLOCK)).toBe(0);
    model.fill(0, BLOCK, 4 * BLOCK);
    const files = await rig.cacheRig.store(rig.segments(cut));
    expect(rig.cacheRig.contentOf(files, ino, atCut.length).equals(atCut)).toBe(true);
    rig.cacheRig.publish(cut, files);
    expect(rig.fs.lseek(ino, 0, SEEK_HOLE)).toBe(BLOCK);
    await rig.cacheRig.cache.evict(ino);
    await expectContent(rig, ino, model);
  });

  test('a commit that fails makes nothing dirty that was punched meanwhile', async () => {
    const { rig, ino, model } = await fileOf(4);
    rig.cacheRig.cut();
    expect(await allocate(rig, ino, PUNCH, BLOCK, 2 * BLOCK)).toBe(0);
    rig.cacheRig.abandon();
    expect(rig.cacheRig.cache.uncommittedBytes(ino)).toEqual({ dirty: 2 * BLOCK, frozen: 0 });
    model.fill(0, BLOCK, 3 * BLOCK);
    await rig.cacheRig.commit();
    await expectContent(rig, ino, model);
  });

  test('sent again to a process that took over before the cache had followed', async () => {
    const { rig, ino, model } = await fileOf(4);
    await rig.cacheRig.commit();
    const context = rig.by();
    const range = { mode: PUNCH, offset: 0, lengthBytes: 2 * BLOCK };
    await rig.cacheRig.cache.holes.prepare(rig.cacheRig.inode(ino), 0, 2 * BLOCK);
    const time = { sec: 1, nsec: 1 };
    rig.cacheRig.meta.run(
      [{ kind: 'punch', ino, offset: 0, lengthBytes: 2 * BLOCK, time }],
      context,
      0,
    );
    await rig.takeOver();
    expect(await rig.fs.fallocate({ ...context, resent: true }, ino, range)).toBe(0);
    model.fill(0, 0, 2 * BLOCK);
    await expectContent(rig, ino, model);
    await rig.cacheRig.commit();
    await rig.takeOver();
    await expectContent(rig, ino, model);
  });

  test.each([PUNCH, ZERO])(
    'a page that a mapping changed meanwhile does not bring old bytes back (mode %d)',
    async (mode) => {
      const { rig, ino, model } = await fileOf(3);
      const old = Buffer.from(model.subarray(BLOCK, 2 * BLOCK));
      let forgotten = 0;
      rig.fs.connect({
        forgetAttributes: () => undefined,
        // The kernel sends what is dirty first: as it was, with a byte that a mapping changed.
        forgetPages: async (_ino, range) => {
          forgotten++;
          if (range?.start !== BLOCK) return;
          old[1000] = 0xaa;
          expect(await rig.fs.write(rig.by(), ino, BLOCK, Buffer.from(old), false)).toBe(BLOCK);
        },
      });
      expect(await allocate(rig, ino, mode, 100, BLOCK)).toBe(0);
      expect(forgotten).toBe(2);
      model.fill(0, 100, BLOCK + 100);
      model[BLOCK + 1000] = 0xaa;
      await expectContent(rig, ino, model);
      // What is written later is not taken for an old page.
      expect(await rig.fs.write(rig.by(), ino, BLOCK, Buffer.from('new'), false)).toBe(3);
      model.write('new', BLOCK);
      await expectContent(rig, ino, model);
    },
  );
});

describe('copyRange()', () => {
  async function pair(blocks: number) {
    const { rig, ino: from, model } = await fileOf(blocks);
    return { rig, from, to: rig.touch(ROOT_INO, 'copy'), model };
  }

  test('shares what is committed, and reads it from the chunks', async () => {
    const { rig, from, to, model } = await pair(5);
    await rig.cacheRig.write(from, 5 * BLOCK, Buffer.from('tail'));
    await rig.cacheRig.commit();
    const whole = Buffer.concat([model, Buffer.from('tail')]);
    const copy = { from, fromOffset: 0, to, toOffset: 0, lengthBytes: 1e12 };
    expect(await rig.fs.copyRange(rig.by(), copy)).toBe(whole.length);
    expect(rig.cacheRig.cache.uncommittedBytes(to)).toEqual({ dirty: 0, frozen: 0 });
    await expectContent(rig, to, whole);
    await rig.cacheRig.write(from, 0, Buffer.alloc(BLOCK, 1));
    await rig.cacheRig.commit();
    await expectContent(rig, to, whole);
  });

  test('shares no byte that only the cache has, and no part of a block', async () => {
    const { rig, from, to, model } = await pair(4);
    const copy = { from, fromOffset: 0, to, toOffset: 0, lengthBytes: 4 * BLOCK };
    expect(rig.fs.copyRange(rig.by(), copy)).toBe(-EOPNOTSUPP);
    const cut = rig.cacheRig.cut();
    expect(rig.fs.copyRange(rig.by(), copy)).toBe(-EOPNOTSUPP);
    rig.cacheRig.publish(cut, await rig.cacheRig.store(rig.segments(cut)));
    await rig.cacheRig.write(from, 2 * BLOCK, Buffer.alloc(1));
    expect(await rig.fs.copyRange(rig.by(), copy)).toBe(2 * BLOCK);
    await expectContent(rig, to, model.subarray(0, 2 * BLOCK));
    expect(rig.fs.copyRange(rig.by(), { ...copy, fromOffset: 1 })).toBe(-EOPNOTSUPP);
    expect(rig.fs.copyRange(rig.by(), { ...copy, lengthBytes: 100 })).toBe(-EOPNOTSUPP);
    expect(rig.fs.copyRange(rig.by(), { ...copy, fromOffset: 9 * BLOCK })).toBe(0);
    expect(rig.fs.copyRange(rig.by(), { ...copy, to: ROOT_INO })).toBe(-EINVAL);
  });

  test('takes the place of what the target had once that is committed, and not before', async () => {
    const { rig, from, to, model } = await pair(4);
    await rig.cacheRig.commit();
    await rig.cacheRig.write(to, 0, bytesOf(9, 6 * BLOCK));
    const wanted = bytesOf(9, 6 * BLOCK);
    const copy = { from, fromOffset: BLOCK, to, toOffset: 0, lengthBytes: 3 * BLOCK };
    // A power cut might keep the hole in the cache file and lose the clone, and with both an fsync.
    expect(rig.fs.copyRange(rig.by(), copy)).toBe(-EOPNOTSUPP);
    const cut = rig.cacheRig.cut();
    expect(rig.fs.copyRange(rig.by(), copy)).toBe(-EOPNOTSUPP);
    await expectContent(rig, to, wanted);
    rig.cacheRig.publish(cut, await rig.cacheRig.store(rig.segments(cut)));
    // Only what stands before the first byte that is dirty again.
    await rig.cacheRig.write(to, 2 * BLOCK + 5, bytesOf(10, 7));
    bytesOf(10, 7).copy(wanted, 2 * BLOCK + 5);
    expect(await rig.fs.copyRange(rig.by(), copy)).toBe(2 * BLOCK);
    model.copy(wanted, 0, BLOCK, 3 * BLOCK);
    await expectContent(rig, to, wanted);
    await rig.cacheRig.cache.evict(to);
    await expectContent(rig, to, wanted);
    await rig.cacheRig.commit();
    await rig.takeOver();
    await expectContent(rig, to, wanted);
  });

  test('is answered as before to a request sent again, and the cache follows', async () => {
    const { rig, from, to, model } = await pair(3);
    await rig.cacheRig.commit();
    await rig.cacheRig.write(to, 0, bytesOf(11, 3 * BLOCK));
    const context = rig.by();
    const lengthBytes = 2 * BLOCK;
    await rig.cacheRig.cache.holes.prepare(rig.cacheRig.inode(to), 0, lengthBytes);
    const time = { sec: 1, nsec: 1 };
    const range = { offset: 0, source: from, sourceOffset: 0, lengthBytes };
    rig.cacheRig.meta.run([{ kind: 'clone', ino: to, ...range, time }], context, lengthBytes);
    await rig.takeOver();
    const copy = { from, fromOffset: 0, to, toOffset: 0, lengthBytes };
    expect(rig.fs.copyRange({ ...context, resent: true }, copy)).toBe(lengthBytes);
    const wanted = bytesOf(11, 3 * BLOCK);
    model.copy(wanted, 0, 0, lengthBytes);
    await expectContent(rig, to, wanted);
  });

  test.each(['at once', 'after a commit'])(
    'sent again %s, where the cache file was still shorter: the copy is whole',
    async (when) => {
      const { rig, from, to, model } = await pair(4);
      await rig.cacheRig.commit();
      await rig.cacheRig.write(to, 0, bytesOf(12, 3 * BLOCK));
      const context = rig.by();
      const lengthBytes = 4 * BLOCK;
      await rig.cacheRig.cache.holes.prepare(rig.cacheRig.inode(to), 2 * BLOCK, 6 * BLOCK);
      const time = { sec: 1, nsec: 1 };
      const range = { offset: 2 * BLOCK, source: from, sourceOffset: 0, lengthBytes };
      rig.cacheRig.meta.run([{ kind: 'clone', ino: to, ...range, time }], context, lengthBytes);
      await rig.takeOver();
      if (when === 'after a commit') await rig.cacheRig.commit();
      const copy = { from, fromOffset: 0, to, toOffset: 2 * BLOCK, lengthBytes };
      const again = await rig.fs.copyRange({ ...context, resent: true }, copy);
      expect(again).toBe(lengthBytes);
      const wanted = Buffer.concat([bytesOf(12, 3 * BLOCK).subarray(0, 2 * BLOCK), model]);
      await expectContent(rig, to, wanted);
      await rig.cacheRig.commit();
      await rig.cacheRig.cache.evict(to);
      await expectContent(rig, to, wanted);
    },
  );
});

describe('tmpfile()', () => {
  test('has no name, may get one, and goes when it is forgotten without', () => {
    const rig = new Rig();
    const made = rig.fs.tmpfile(rig.by(1000, 1000), ROOT_INO, 0o100640, 0);
    const { ino, nlink } = attr((made as { attr: unknown }).attr);
    expect(nlink).toBe(0);
    expect(rig.cacheRig.meta.state.orphans()).toEqual([ino]);
    expect(attr(rig.fs.link(rig.by(), ino, ROOT_INO, Buffer.from('named'))).nlink).toBe(1);
    expect(rig.cacheRig.meta.state.orphans()).toEqual([]);
    expect(rig.names(ROOT_INO)).toContain('named');
    const other = rig.fs.tmpfile(rig.by(), ROOT_INO, 0o100640, 0) as { attr: { ino: Ino } };
    rig.fs.forget(other.attr.ino, 1);
    rig.fs.unmounted();
    expect(rig.cacheRig.meta.inode(other.attr.ino)).toBeUndefined();
  });
});
