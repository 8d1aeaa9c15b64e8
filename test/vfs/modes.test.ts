import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EINVAL, EPERM } from '../../src/base/errno.ts';
import { type Ino, ROOT_INO } from '../../src/base/ids.ts';
import { MODE_XATTR } from '../../src/base/xattr-names.ts';
import type { Mode } from '../../src/vfs/mod.ts';
import { gate } from '../cache/fixture.ts';
import { attr, Rig } from './rig.ts';

const NAME = Buffer.from(MODE_XATTR);
const O_WRONLY = 1;
const EXCHANGE = 2;
const NAMES = ['a', 'b', 'c'];

const name = (text: string): Buffer => Buffer.from(text);

function mark(rig: Rig, ino: Ino, value: string, uid = 0): unknown {
  const change = { name: NAME, value: Buffer.from(value), flags: 0, killSgid: false };
  return rig.fs.setxattr(rig.by(uid), ino, change);
}

/** Whether an fsync of the file, changed just now, waits for a commit. */
async function isStrong(rig: Rig, ino: Ino): Promise<boolean> {
  await rig.cacheRig.commit();
  await rig.fs.write(rig.by(), ino, 0, name('x'), false);
  const before = rig.commits;
  expect(await rig.fs.fsync(ino, false)).toBe(0);
  return rig.commits > before;
}

describe('the mode of a folder', () => {
  test('holds for all below it that has no nearer one, and goes with the mark', async () => {
    const rig = new Rig();
    const outer = rig.mkdir(ROOT_INO, 'outer');
    const inner = rig.mkdir(outer, 'inner');
    const [file, deep] = [rig.touch(outer, 'file'), rig.touch(inner, 'deep')];
    expect(await isStrong(rig, file)).toBe(false);
    expect(mark(rig, outer, 'strong')).toBe(0);
    expect([await isStrong(rig, file), await isStrong(rig, deep)]).toEqual([true, true]);
    expect(mark(rig, inner, 'weak')).toBe(0);
    expect([await isStrong(rig, file), await isStrong(rig, deep)]).toEqual([true, false]);
    expect(mark(rig, deep, 'strong')).toBe(0);
    expect(await isStrong(rig, deep)).toBe(true);
    expect(rig.fs.removexattr(rig.by(), deep, NAME)).toBe(0);
    expect(rig.fs.removexattr(rig.by(), outer, NAME)).toBe(0);
    expect([await isStrong(rig, file), await isStrong(rig, deep)]).toEqual([false, false]);
  });

  test('a mark on the root takes the place of what the mount was asked for', async () => {
    const rig = new Rig({ mode: 'strong' });
    const file = rig.touch(ROOT_INO, 'file');
    expect(await isStrong(rig, file)).toBe(true);
    expect(mark(rig, ROOT_INO, 'weak')).toBe(0);
    expect(await isStrong(rig, file)).toBe(false);
  });

  test('is changed by the owner and by root, and is one of two words', () => {
    const rig = new Rig();
    const folder = rig.mkdir(ROOT_INO, 'folder');
    for (const word of ['', 'Strong', 'strong\0', 'inherit', 'strong ']) {
      expect(mark(rig, folder, word)).toBe(-EINVAL);
    }
    expect(mark(rig, folder, 'strong', 7)).toBe(-EPERM);
    expect(mark(rig, folder, 'strong')).toBe(0);
    expect(rig.fs.removexattr(rig.by(7), folder, NAME)).toBe(-EPERM);
    attr(rig.fs.setattr(rig.by(), folder, { uid: 7 }));
    expect(mark(rig, folder, 'weak', 7)).toBe(0);
    expect(rig.fs.getxattr(folder, NAME)).toEqual(name('weak'));
    expect(rig.fs.removexattr(rig.by(7), folder, NAME)).toBe(0);
  });

  test('is known to the process that takes over', async () => {
    const rig = new Rig();
    const folder = rig.mkdir(ROOT_INO, 'folder');
    mark(rig, folder, 'strong');
    const file = rig.touch(folder, 'file');
    await rig.takeOver();
    expect(await isStrong(rig, file)).toBe(true);
  });

  test('close waits where the file was opened to be written, and strong', async () => {
    const rig = new Rig();
    const folder = rig.mkdir(ROOT_INO, 'folder');
    const [inside, outside] = [rig.touch(folder, 'file'), rig.touch(ROOT_INO, 'file')];
    mark(rig, folder, 'strong');
    expect(rig.fs.open(rig.by(), inside, O_WRONLY)).toMatchObject({ noFlush: false });
    expect(rig.fs.open(rig.by(), inside, 0)).toMatchObject({ noFlush: true });
    expect(rig.fs.open(rig.by(), outside, O_WRONLY)).toMatchObject({ noFlush: true });
    await rig.fs.write(rig.by(), inside, 0, name('x'), false);
    expect(await rig.fs.flush(inside)).toBe(0);
    expect(rig.commits).toBe(1);
    expect(await rig.fs.flush(inside)).toBe(0);
    expect(rig.commits).toBe(1);
  });

  test('what has no name any more needs no disk', async () => {
    const rig = new Rig({ mode: 'strong' });
    const file = rig.touch(ROOT_INO, 'file');
    rig.fs.lookup(ROOT_INO, name('file'));
    rig.fs.unlink(rig.by(), ROOT_INO, name('file'));
    expect(await isStrong(rig, file)).toBe(false);
  });
});

describe('a file with several names', () => {
  test('is strong as soon as anything is; with one name left, as its folder', async () => {
    const rig = new Rig();
    const [here, there] = [rig.mkdir(ROOT_INO, 'here'), rig.mkdir(ROOT_INO, 'there')];
    const file = rig.touch(here, 'file');
    rig.fs.link(rig.by(), file, there, name('link'));
    expect(await isStrong(rig, file)).toBe(false);
    mark(rig, there, 'strong');
    expect(await isStrong(rig, file)).toBe(true);
    rig.fs.unlink(rig.by(), there, name('link'));
    expect(await isStrong(rig, file)).toBe(false);
    rig.fs.link(rig.by(), file, there, name('link'));
    rig.fs.unlink(rig.by(), here, name('file'));
    expect(await isStrong(rig, file)).toBe(true);
    mark(rig, file, 'weak');
    rig.fs.link(rig.by(), file, here, name('file'));
    expect(await isStrong(rig, file)).toBe(false);
  });
});

describe('a write to what was opened with O_SYNC', () => {
  const DIRECT = 2;

  test('is synced by us where the kernel does not: beside mappings of the cache file', async () => {
    const rig = new Rig({ mode: 'strong' });
    const file = rig.touch(ROOT_INO, 'file');
    const write = (handle: number): unknown =>
      rig.fs.writeBy(rig.by(), file, 0, name('xy'), { killSuidGid: false, handle, isSync: true });
    expect(write(0)).toBe(2);
    expect(rig.commits).toBe(0);
    expect(await write(DIRECT)).toBe(2);
    expect(rig.commits).toBe(1);
  });

  test('that is called off while it waits for the commit has happened', async () => {
    const rig = new Rig({ mode: 'strong' });
    const file = rig.touch(ROOT_INO, 'file');
    rig.beforeCommit = gate().opened; // And stays shut.
    const context = rig.by();
    const how = { killSuidGid: false, handle: DIRECT, isSync: true };
    const written = rig.fs.writeBy(context, file, 0, name('xy'), how);
    rig.fs.cancel(context.unique);
    expect(await written).toBe(2);
  });
});

describe('fcommit', () => {
  test('waits for what is not committed, by ioctl and by attribute', async () => {
    const rig = new Rig();
    const file = rig.touch(ROOT_INO, 'file');
    await rig.fs.write(rig.by(), file, 0, name('x'), false);
    const epoch = await rig.fs.commit(file);
    expect(rig.commits).toBe(1);
    expect(epoch).toBe(rig.cacheRig.meta.committedEpoch);
    expect(await rig.fs.commit(file)).toBe(epoch);
    expect(rig.commits).toBe(1);
    await rig.fs.write(rig.by(), file, 0, name('y'), false);
    const change = { name: name('user.dfs.commit'), value: name('1'), flags: 0, killSgid: false };
    expect(await rig.fs.setxattr(rig.by(), file, change)).toBe(0);
    expect(rig.commits).toBe(2);
    expect(await rig.fs.commit(ROOT_INO)).toBeGreaterThan(Number(epoch));
  });
});

/** A folder, and what it would say if all files were asked for the way from the root to them. */
interface Node {
  ino: Ino;
  mark: Mode | undefined;
  entries: Map<string, Node> | undefined;
}

type Step = { kind: number; from: number; to: number; name: number; newName: number; mark: number };

const STEP = fc.record({
  kind: fc.nat(9),
  from: fc.nat(),
  to: fc.nat(),
  name: fc.nat(2),
  newName: fc.nat(2),
  mark: fc.nat(2),
}) as fc.Arbitrary<Step>;

/** Carries out random steps on the file system and on a tree of plain objects. */
class Twin {
  readonly rig: Rig;
  readonly root: Node = { ino: ROOT_INO, mark: undefined, entries: new Map() };

  constructor(mode: Mode) {
    this.rig = new Rig({ mode });
  }

  folders(at: Node = this.root): Node[] {
    const below = [...(at.entries?.values() ?? [])].filter((node) => node.entries !== undefined);
    return [at, ...below.flatMap((node) => this.folders(node))];
  }

  /** Files with what holds for them. */
  *files(at: Node, inherited: Mode): Generator<[Node, Mode]> {
    const mode = at.mark ?? inherited;
    if (at.entries === undefined) yield [at, mode];
    for (const node of at.entries?.values() ?? []) yield* this.files(node, mode);
  }

  step({ kind, from, to, name: at, newName, mark: word }: Step): void {
    const { rig } = this;
    const folders = this.folders();
    const folder = folders[from % folders.length] as Node;
    const target = folders[to % folders.length] as Node;
    const [key, newKey] = [NAMES[at] as string, NAMES[newName] as string];
    const node = folder.entries?.get(key);
    if (kind <= 2 && node === undefined) {
      const isFolder = kind > 0;
      const ino = isFolder ? rig.mkdir(folder.ino, key) : rig.touch(folder.ino, key);
      const made = { ino, mark: undefined, entries: isFolder ? new Map() : undefined };
      folder.entries?.set(key, made);
    } else if (kind <= 6 && node !== undefined) {
      const other = target.entries?.get(newKey);
      const isExchange = other !== undefined;
      const moves = [node, ...(other === undefined ? [] : [other])];
      if (moves.some((one) => this.folders(one).some((sub) => sub === folder || sub === target))) {
        return;
      }
      const flags = isExchange ? EXCHANGE : 0;
      const [a, b] = [name(key), name(newKey)];
      expect(rig.fs.rename(rig.by(), folder.ino, a, target.ino, b, flags)).toBe(0);
      folder.entries?.delete(key);
      if (other !== undefined) folder.entries?.set(key, other);
      target.entries?.set(newKey, node);
    } else {
      const marked = node ?? folder;
      const mode = ([undefined, 'weak', 'strong'] as const)[word];
      if (mode !== undefined) expect(mark(rig, marked.ino, mode)).toBe(0);
      else if (marked.mark !== undefined) {
        expect(rig.fs.removexattr(rig.by(), marked.ino, NAME)).toBe(0);
      }
      marked.mark = mode;
    }
  }
}

test('is the nearest mark above a file, whatever moved, exchanged or marked', async () => {
  const steps = fc.array(STEP, { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom<Mode>('weak', 'strong'), steps, async (mode, list) => {
      const twin = new Twin(mode);
      for (const [at, one] of list.entries()) {
        twin.step(one);
        if (at % 10 === 9) await check(twin, mode);
      }
      await check(twin, mode);
    }),
    { numRuns: 30 },
  );
}, 60_000);

async function check(twin: Twin, mode: Mode): Promise<void> {
  for (const [file, expected] of twin.files(twin.root, mode)) {
    expect(await isStrong(twin.rig, file.ino)).toBe(expected === 'strong');
  }
}
