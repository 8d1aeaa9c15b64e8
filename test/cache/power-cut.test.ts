import { chmodSync, copyFileSync, rmSync, statSync, truncateSync, utimesSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import type { Ino } from '../../src/base/ids.ts';
import { CacheLayout } from '../../src/cache/layout.ts';
import { segmentsOf } from '../../src/commit/segments.ts';
import { BLOCK, bytesOf, CacheRig } from './fixture.ts';

function rigOf(): { rig: CacheRig; pathOf: (ino: Ino) => string } {
  const rig = new CacheRig();
  onTestFinished(() => rig.close());
  const layout = new CacheLayout(rig.cacheFolder);
  return { rig, pathOf: (ino) => layout.file(ino) };
}

test('power cut: committed bytes are not replaced by older ones of the cache file', async () => {
  const { rig, pathOf } = rigOf();
  const { ino } = rig.file();
  await rig.write(ino, 0, bytesOf(1, 4 * BLOCK));
  await rig.commit();
  copyFileSync(pathOf(ino), `${rig.folder}/old`); // what the device has
  await rig.write(ino, 0, bytesOf(2, 2 * BLOCK));
  await rig.commit();
  await rig.write(ino, 3 * BLOCK, bytesOf(3, BLOCK)); // mark of the next epoch is durable
  await rig.crash({ keepClean: false });
  copyFileSync(`${rig.folder}/old`, pathOf(ino));
  rig.cache.close();
  await rig.crash({ keepClean: false });
  const found = await rig.read(ino, 0, 2 * BLOCK);
  expect(found.equals(bytesOf(1, 2 * BLOCK)), 'older than committed').toBe(false);
  expect(found.equals(bytesOf(2, 2 * BLOCK))).toBe(true);
});

test('power cut: what an fsync brought to the device behind the commit stays', async () => {
  const { rig } = rigOf();
  const { ino } = rig.file();
  await rig.write(ino, 0, bytesOf(1, 4 * BLOCK));
  await rig.commit();
  await rig.write(ino, BLOCK, bytesOf(2, BLOCK));
  await rig.cache.sync(ino);
  await rig.write(ino, 5 * BLOCK, bytesOf(3, BLOCK));
  await rig.crash({ keepClean: false });
  const model = Buffer.alloc(6 * BLOCK);
  bytesOf(1, 4 * BLOCK).copy(model);
  bytesOf(2, BLOCK).copy(model, BLOCK);
  bytesOf(3, BLOCK).copy(model, 5 * BLOCK);
  expect((await rig.content(ino)).equals(model)).toBe(true);
});

test('power cut: a sync from before the newest commit says nothing of the time behind it', async () => {
  const { rig, pathOf } = rigOf();
  const { ino } = rig.file();
  await rig.write(ino, 0, bytesOf(1, 2 * BLOCK));
  await rig.commit();
  await rig.write(ino, 0, bytesOf(2, BLOCK));
  await rig.cache.sync(ino);
  copyFileSync(pathOf(ino), `${rig.folder}/old`); // what the device has
  await rig.write(ino, 0, bytesOf(3, BLOCK));
  await rig.commit();
  await rig.write(ino, BLOCK, bytesOf(4, BLOCK));
  copyFileSync(`${rig.folder}/old`, pathOf(ino));
  await rig.crash({ keepClean: false });
  const model = bytesOf(1, 2 * BLOCK);
  bytesOf(3, BLOCK).copy(model);
  expect((await rig.content(ino)).equals(model)).toBe(true);
});

test('power cut: a file of which the disks have nothing keeps its cache file', async () => {
  const { rig } = rigOf();
  const { ino } = rig.file();
  await rig.commit();
  await rig.write(ino, 0, bytesOf(1, 2 * BLOCK));
  await rig.cache.sync(ino);
  expect(rig.meta.wal.syncCount).toBe(0);
  await rig.crash({ keepClean: false });
  expect((await rig.content(ino)).equals(bytesOf(1, 2 * BLOCK))).toBe(true);
});

test('power cut: a file whose cache file is gone keeps its time when it is opened again', async () => {
  const { rig, pathOf } = rigOf();
  const { ino } = rig.file();
  await rig.write(ino, 0, bytesOf(1, 2 * BLOCK));
  await rig.commit();
  await rig.write(ino, 0, bytesOf(2, BLOCK));
  rmSync(pathOf(ino)); // what was written behind the commit is lost
  await rig.crash({ keepClean: false });
  const before = rig.meta.inode(ino)?.mtimeSec;
  expect((await rig.content(ino)).equals(bytesOf(1, 2 * BLOCK))).toBe(true);
  const far = new Date(0);
  utimesSync(pathOf(ino), far, far);
  await rig.crash();
  expect(rig.meta.inode(ino)?.mtimeSec).toBe(before);
});

test('power cut: fsync brings a truncation to the device', async () => {
  const { rig, pathOf } = rigOf();
  const { ino } = rig.file();
  await rig.write(ino, 0, bytesOf(1, 2 * BLOCK));
  await rig.cache.sync(ino);
  await rig.truncate(ino, 0);
  expect(statSync(pathOf(ino)).size).toBe(0);
  expect(rig.cache.sync(ino)).toBeInstanceOf(Promise);
});

test('power cut: what was synced while the first commit of a file ran stays', async () => {
  const { rig } = rigOf();
  const { ino } = rig.file();
  await rig.write(ino, 0, bytesOf(1, BLOCK));
  const cut = rig.cut();
  await rig.write(ino, BLOCK, bytesOf(2, BLOCK));
  await rig.cache.sync(ino);
  rig.publish(cut, await rig.store([...segmentsOf(cut.frozen)]));
  await rig.crash({ keepClean: false });
  const found = await rig.content(ino);
  expect(found.equals(Buffer.concat([bytesOf(1, BLOCK), bytesOf(2, BLOCK)]))).toBe(true);
});

test('power cut: bytes from before a committed truncation do not come back', async () => {
  const { rig, pathOf } = rigOf();
  const { ino } = rig.file();
  await rig.write(ino, 0, bytesOf(1, 2 * BLOCK));
  await rig.cache.sync(ino);
  copyFileSync(pathOf(ino), `${rig.folder}/old`); // what the device has
  await rig.truncate(ino, 0);
  await rig.commit();
  await rig.write(ino, 0, bytesOf(2, BLOCK)); // its mark is durable, its bytes are not
  await rig.meta.wal.syncAll();
  copyFileSync(`${rig.folder}/old`, pathOf(ino));
  await rig.crash({ keepClean: false });
  expect((await rig.content(ino)).length).toBe(0);
});

test('power cut: a size that only a row has is in the journal', async () => {
  const { rig } = rigOf();
  const { ino } = rig.file();
  await rig.write(ino, 0, bytesOf(1, BLOCK));
  await rig.commit();
  rig.meta.run([{ kind: 'setattr', ino, change: { uid: 7 }, time: { sec: 1, nsec: 0 } }]);
  await rig.write(ino, BLOCK, bytesOf(2, 100));
  rig.meta.flush(); // A row is written at the end of its transaction.
  await rig.crash({ keepClean: false });
  expect(rig.inode(ino).sizeBytes).toBe(BLOCK + 100);
  const sizes = [...rig.meta.journal()].map(({ op }) => (op.kind === 'grow' ? op.sizeBytes : 0));
  expect(sizes).toContain(BLOCK + 100);
});

test('power cut: a truncation that only the cache file has is carried out', async () => {
  const { rig, pathOf } = rigOf();
  const { ino } = rig.file();
  await rig.write(ino, 0, bytesOf(1, 2 * BLOCK));
  await rig.commit();
  await rig.truncate(ino, 3 * BLOCK); // the row has a size that was right for a while
  await rig.write(ino, 0, bytesOf(2, 5 * BLOCK));
  await rig.cache.sync(ino);
  truncateSync(pathOf(ino), 0); // and the device lost what the metadata should have noted
  await rig.crash({ keepClean: false });
  expect((await rig.content(ino)).length).toBe(0);
});

test.each([true, false])(
  'a cache file that was not given its length takes nothing (same boot: %s)',
  async (keepClean) => {
    const { rig, pathOf } = rigOf();
    const { ino } = rig.file();
    await rig.write(ino, 0, bytesOf(1, 3 * BLOCK));
    await rig.commit();
    await rig.write(ino, 0, bytesOf(1, BLOCK));
    await rig.cache.sync(ino); // the mark that what follows is newer than the commit
    truncateSync(pathOf(ino), 0);
    chmodSync(pathOf(ino), 0o700);
    await rig.crash({ keepClean });
    expect((await rig.content(ino)).equals(bytesOf(1, 3 * BLOCK))).toBe(true);
    expect(statSync(pathOf(ino)).mode & 0o777).toBe(0o600);
  },
);
