import { beforeEach, describe, expect, test, vi } from 'vitest';
import { ROOT_INO } from '../../src/base/ids.ts';
import type { LiveMeta } from '../../src/meta/mod.ts';
import { listFolder } from '../../src/vfs/folders.ts';
import { temporaryMeta } from '../harness/temporary-meta.ts';

/** How many different hashes names have here. */
const hashes = vi.hoisted(() => ({ count: 2 ** 30 }));
vi.mock(import('../../src/meta/name-hash.ts'), async (original) => {
  const { nameHash } = await original();
  return { nameHash: (name: Uint8Array) => nameHash(name) % hashes.count };
});

beforeEach(() => {
  hashes.count = 2 ** 30;
});

function folderWith(count: number): LiveMeta {
  const live = temporaryMeta();
  live.state.format({ uid: 0, gid: 0, time: { sec: 1, nsec: 0 } });
  for (let index = 0; index < count; index++) add(live, `f${index}`);
  return live;
}

function add(live: LiveMeta, name: string): void {
  const owner = { mode: 0o100644, uid: 0, gid: 0, rdev: 0, target: Buffer.alloc(0) };
  const time = { sec: 2, nsec: 0 };
  const place = { parent: ROOT_INO, name: Buffer.from(name), ino: live.allocateIno() };
  live.run([{ kind: 'create', ...place, ...owner, time }]);
}

function remove(live: LiveMeta, name: string): void {
  const time = { sec: 3, nsec: 0 };
  live.run([{ kind: 'unlink', parent: ROOT_INO, name: Buffer.from(name), time }]);
}

/** Lists the root with replies of `size` entries; `between` is called after each. */
function list(
  live: LiveMeta,
  size: number,
  between: (call: number) => void = () => {},
  inodes = false,
): string[] {
  const names: string[] = [];
  let cookie = 0;
  for (let call = 0; ; call++) {
    let room = size;
    const before = names.length;
    listFolder(
      live,
      { ino: ROOT_INO, parent: ROOT_INO },
      { cookie, inodes },
      (name, _ino, _type, next) => {
        if (room-- === 0) return false;
        names.push(name.toString('latin1'));
        cookie = next;
        return true;
      },
    );
    if (names.length === before) return names;
    expect(call).toBeLessThan(5000);
    between(call);
  }
}

function all(count: number): Set<string> {
  return new Set(['.', '..', ...Array.from({ length: count }, (_, index) => `f${index}`)]);
}

describe('listFolder()', () => {
  test.each([1, 2, 7, 127, 128, 129, 1000])('has every name once in replies of %i', (size) => {
    const names = list(folderWith(300), size);
    expect(names).toHaveLength(302);
    expect(new Set(names)).toEqual(all(300));
    expect(names.slice(0, 2)).toEqual(['.', '..']);
    expect(list(folderWith(300), size, undefined, true)).toEqual(names);
  });

  test.each([
    { inodes: true, most: 150 },
    { inodes: false, most: 1000 },
  ])('gives at most $most names in a call with inodes: $inodes', ({ inodes, most }) => {
    const live = folderWith(1300);
    const counts: number[] = [];
    let before = 0;
    for (let cookie = 0; counts.at(-1) !== 0; ) {
      listFolder(live, { ino: ROOT_INO, parent: ROOT_INO }, { cookie, inodes }, (...entry) => {
        cookie = entry[3];
        before++;
        expect(entry[4]?.ino).toBe(inodes && before > 2 ? entry[1] : undefined);
        return true;
      });
      counts.push(before - counts.reduce((sum, count) => sum + count, 0));
    }
    expect(counts[0]).toBe(most + 2);
    expect(Math.max(...counts.slice(1))).toBe(Math.min(most, 1300 - most));
    expect(before).toBe(1302);
  });

  test('gives inodes as they are in memory', () => {
    const live = folderWith(2);
    const inode = live.inode(live.state.lookup(ROOT_INO, Buffer.from('f1'))?.ino ?? ROOT_INO);
    if (inode !== undefined) inode.sizeBytes = 77;
    const sizes: Record<string, number | undefined> = {};
    const from = { cookie: 2, inodes: true };
    listFolder(
      live,
      { ino: ROOT_INO, parent: ROOT_INO },
      from,
      (name, _ino, _type, _next, attr) => {
        sizes[name.toString()] = attr?.sizeBytes;
        return true;
      },
    );
    expect(sizes).toEqual({ f0: 0, f1: 77 });
  });

  test('names the folders themselves, without attributes', () => {
    const live = folderWith(1);
    const seen: unknown[] = [];
    const from = { cookie: 0, inodes: true };
    listFolder(live, { ino: ROOT_INO, parent: ROOT_INO }, from, (name, ino, type, _next, attr) => {
      seen.push([name.toString(), ino, type, attr?.ino]);
      return true;
    });
    expect(seen).toEqual([
      ['.', 1, 4, undefined],
      ['..', 1, 4, undefined],
      ['f0', 2, 8, 2],
    ]);
  });

  test('keeps its place while names come and go', () => {
    const live = folderWith(200);
    const names = list(live, 10, (call) => {
      add(live, `new-${call}`);
      remove(live, `f${199 - call}`);
    });
    expect(new Set(names).size).toBe(names.length);
    for (let index = 0; index < 170; index++) expect(names).toContain(`f${index}`);
  });

  // Names of one hash share a place: a reply that ends among them may bring some of them twice.
  test.each([
    { count: 300, different: 100, size: 20 },
    { count: 300, different: 7, size: 100 },
    { count: 400, different: 1, size: 1000 },
    { count: 129, different: 3, size: 130 },
  ])('skips none of $count names with $different hashes', ({ count, different, size }) => {
    hashes.count = different;
    const live = folderWith(count);
    expect(new Set(list(live, size))).toEqual(all(count));
    for (let index = 0; index < count; index++) {
      expect(live.state.lookup(ROOT_INO, Buffer.from(`f${index}`))).toBeDefined();
    }
    remove(live, 'f5');
    expect(live.state.lookup(ROOT_INO, Buffer.from('f5'))).toBeUndefined();
    expect(live.state.lookup(ROOT_INO, Buffer.from('f6'))).toBeDefined();
  });
});
