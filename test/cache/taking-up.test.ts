import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import type { Ino } from '../../src/base/ids.ts';
import { CacheLayout } from '../../src/cache/layout.ts';
import { BLOCK, bytesOf, CacheRig } from './fixture.ts';

function rigOf(): { rig: CacheRig; pathOf: (ino: Ino) => string } {
  const rig = new CacheRig();
  onTestFinished(() => rig.close());
  const layout = new CacheLayout(rig.cacheFolder);
  return { rig, pathOf: (ino) => layout.file(ino) };
}

test('a cache file of an inode that is gone goes, though it is marked dirty', async () => {
  const { rig, pathOf } = rigOf();
  const { ino } = rig.file();
  await rig.write(ino, 0, bytesOf(1, BLOCK));
  rig.drop(ino);
  await rig.crash({ keepClean: false });
  writeFileSync(pathOf(ino), bytesOf(9, 3 * BLOCK)); // its removal was lost with the power
  await rig.crash({ keepClean: false });
  expect(existsSync(pathOf(ino))).toBe(false);
});

test('what a process before lent is not evicted before the kernel was asked for it', async () => {
  const { rig, pathOf } = rigOf();
  const { ino } = rig.file();
  await rig.write(ino, 0, bytesOf(1, 2 * BLOCK));
  await rig.commit();
  const lent = openSync(pathOf(ino), 'r');
  await rig.crash();
  expect(await rig.cache.evict(ino)).toBe(0);
  expect(existsSync(pathOf(ino))).toBe(true);
  closeSync(lent);
  expect(await rig.cache.evict(ino)).toBeGreaterThan(0);
});
