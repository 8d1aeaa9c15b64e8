import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { GIB, MIB } from '../../src/base/limits.ts';
import { mountFileSystem, unmountFileSystem } from '../../src/base/os/mod.ts';
import { DeviceRoom } from '../../src/cache/device-room.ts';
import { BLOCK, bytesOf, CacheRig } from './fixture.ts';

const isRoot = process.getuid?.() === 0;

test.skipIf(!isRoot)('a device of 64 MiB keeps an eighth for others than the cache', () => {
  const target = mkdtempSync(join(tmpdir(), 'dfs-room-'));
  mountFileSystem({ source: 'tmpfs', target, type: 'tmpfs', flags: 0, data: 'size=64m' });
  onTestFinished(() => {
    unmountFileSystem(target, { lazy: true });
    rmSync(target, { recursive: true });
  });
  const room = new DeviceRoom(target);
  expect(room.bytes).toBe(56 * MIB);
  room.grew(3 * MIB);
  expect(room.bytes).toBe(53 * MIB);
  room.shrank(MIB);
  expect(room.bytes).toBe(54 * MIB);
  // After some growth the device itself is asked, which has all of it still.
  room.grew(MIB);
  expect(room.bytes).toBe(56 * MIB);
});

test('a device that cannot be asked does not stop anybody here', () => {
  expect(new DeviceRoom(join(tmpdir(), 'dfs-room-that-is-not')).bytes).toBeGreaterThan(GIB);
});

test('what is being fetched counts against the device until it has landed', async () => {
  const rig = new CacheRig({ limitBytes: 4 * MIB });
  onTestFinished(() => rig.close());
  const inos = [0, 1, 2, 3, 4, 5, 6].map(() => rig.file().ino);
  const content = bytesOf(1, 256 * BLOCK);
  for (const ino of inos) {
    await rig.write(ino, 0, content);
    await rig.commit();
  }
  await rig.crash({ keepClean: false });
  const reads = await Promise.all(inos.map((ino) => rig.content(ino)));
  expect(reads.every((read) => read.equals(content))).toBe(true);
  expect(rig.cache.cachedBytes).toBeLessThanOrEqual(8 * MIB);
});
