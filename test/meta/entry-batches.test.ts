import { expect, test, vi } from 'vitest';
import { ROOT_INO } from '../../src/base/ids.ts';
import { entryBatches } from '../../src/meta/mod.ts';
import { temporaryMeta } from '../harness/temporary-meta.ts';

/** Names have five different hashes here. */
vi.mock(import('../../src/meta/name-hash.ts'), async (original) => {
  const { nameHash } = await original();
  return { nameHash: (name: Uint8Array) => nameHash(name) % 5 };
});

test('batches have every name once, however many share a hash at their ends', () => {
  const live = temporaryMeta();
  const time = { sec: 1, nsec: 0 };
  live.state.format({ uid: 0, gid: 0, time });
  const owner = { mode: 0o100644, uid: 0, gid: 0, rdev: 0, target: Buffer.alloc(0), time };
  const names = Array.from({ length: 40 }, (_, index) => `file-${index}`).sort();
  for (const name of names) {
    const place = { parent: ROOT_INO, name: Buffer.from(name), ino: live.allocateIno() };
    live.run([{ kind: 'create', ...place, ...owner }]);
  }
  for (const count of [1, 3, 10, 39, 40, 41]) {
    const batches = [...entryBatches(live.state, ROOT_INO, count)];
    const found = batches.flat().map(([, name]) => name.toString());
    expect(found.sort()).toEqual(names);
  }
});
