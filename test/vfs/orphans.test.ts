import { beforeEach, expect, test } from 'vitest';
import type { ChunkId, Ino } from '../../src/base/ids.ts';
import { ROOT_INO } from '../../src/base/ids.ts';
import { untimed } from '../../src/base/pauses.ts';
import type { LiveMeta } from '../../src/meta/mod.ts';
import { Orphans } from '../../src/vfs/orphans.ts';
import { temporaryMeta } from '../harness/temporary-meta.ts';

const TIME = { sec: 1, nsec: 0 };
let meta: LiveMeta;
let orphans: Orphans;
let dropped: Ino[];

beforeEach(() => {
  meta = temporaryMeta();
  meta.state.format({ uid: 0, gid: 0, time: TIME });
  dropped = [];
  orphans = new Orphans({ meta, dropData: (ino) => void dropped.push(ino), timed: untimed });
});

/** A file without a name, which the kernel still knows. */
function orphan(name: string, extents = 0): Ino {
  const ino = meta.allocateIno();
  const entry = { parent: ROOT_INO, name: Buffer.from(name), time: TIME };
  const owner = { mode: 0o100644, uid: 0, gid: 0, rdev: 0, target: Buffer.alloc(0) };
  meta.run([{ kind: 'create', ...entry, ino, ...owner }]);
  const range = { lengthBytes: 4096, chunk: Buffer.alloc(32, 1) as ChunkId, chunkOffset: 0 };
  const ranges = Array.from({ length: extents }, (_, at) => ({ offset: at * 8192, ...range }));
  meta.publishes.extents([{ ino, ranges }], meta.cut([]).erased);
  meta.run([{ kind: 'unlink', ...entry }]);
  orphans.known(ino);
  return ino;
}

test('many inodes are removed a few a turn of the event loop', async () => {
  const inos = Array.from({ length: 120 }, (_, index) => orphan(`f${index}`));
  for (const ino of inos) orphans.forget(ino, 1);
  for (const ino of inos) orphans.forget(ino, 1);
  const left = [meta.state.orphans().length];
  while (orphans.reapSome()) left.push(meta.state.orphans().length);
  expect(left).toEqual([120, 70, 20]);
  expect(meta.state.orphans()).toEqual([]);
  expect(dropped).toEqual(inos);
  await new Promise((done) => setImmediate(done));
  expect(dropped).toEqual(inos);
});

test('a file of many extents is cut in steps before it goes', () => {
  const small = orphan('small', 3);
  const large = orphan('large', 9000);
  const last = orphan('last');
  for (const ino of [small, large, last]) orphans.forget(ino, 1);
  const seen: [number, number][] = [];
  const note = (): void => {
    seen.push([meta.state.extents.countInside(large, 0, 1e12), meta.state.orphans().length]);
  };
  while (orphans.reapSome()) note();
  expect(seen).toEqual([
    [9000, 2],
    [5000, 2],
    [1000, 2],
  ]);
  expect(meta.state.orphans()).toEqual([]);
  expect(dropped).toEqual([small, large, last]);
});

test('what cannot be removed waits for the next mount', () => {
  const inos = [orphan('a', 5000), orphan('b')];
  for (const ino of inos) orphans.forget(ino, 1);
  meta.flush();
  meta.state.db.pragma('query_only = 1');
  while (orphans.reapSome());
  meta.state.db.pragma('query_only = 0');
  expect(meta.state.orphans()).toEqual(inos);
  orphans.reapAll();
  orphans.flush();
  expect(meta.state.orphans()).toEqual([]);
});
