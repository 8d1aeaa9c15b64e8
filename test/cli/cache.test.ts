import { join } from 'node:path';
import { Client } from 'undici';
import { expect, onTestFinished, test } from 'vitest';
import type { CacheDropReport } from '../../src/node/mod.ts';
import { dfsctl, facts, must, Scene } from './run.ts';

const MIB = 2 ** 20;

interface Stats {
  cache: { fetches: number };
}

async function fetches(scene: Scene): Promise<number> {
  const client = new Client('http://localhost', {
    socketPath: scene.path('home', 'control.sock'),
  });
  const { body } = await client.request({ method: 'GET', path: '/stats' });
  const { cache } = (await body.json()) as Stats;
  await client.close();
  return cache.fetches;
}

test('cache drop takes what is committed out of the cache and leaves the rest', async () => {
  const scene = new Scene();
  onTestFinished(() => scene.clean());
  await scene.init();
  await scene.mounted();
  const [kept, dropped] = [join(scene.mount, 'folder', 'kept'), join(scene.mount, 'dropped')];
  await must(['mkdir', join(scene.mount, 'folder')]);
  for (const path of [kept, dropped]) {
    await must(['dd', 'if=/dev/urandom', `of=${path}`, 'bs=1M', 'count=3', 'status=none']);
  }
  const hashes = await must(['sha256sum', kept, dropped]);
  await facts('commit', scene.mount);
  // One block that no commit has, unless the next one comes before the drop.
  const write = ['dd', 'if=/dev/zero', `of=${kept}`, 'bs=4096', 'count=1', 'conv=notrunc'];
  await must([...write, 'oflag=append']);

  const one = await facts<CacheDropReport>('cache', 'drop', scene.mount, dropped);
  expect(one).toMatchObject({ files: 1, freedBytes: 3 * MIB });
  expect(one.cachedBytes).toBeGreaterThanOrEqual(3 * MIB);
  const before = await fetches(scene);
  const { status, stdout } = await dfsctl('cache', 'drop', scene.home);
  expect({ status, stdout }).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^Dropped 3.* MiB of 1 file from the cache/) as string,
  });
  await must(['truncate', '-s', String(3 * MIB), kept]);
  expect(await must(['sha256sum', kept, dropped])).toBe(hashes);
  expect(await fetches(scene)).toBeGreaterThanOrEqual(before + 2);

  const elsewhere = await dfsctl('cache', 'drop', scene.mount, scene.home);
  expect(elsewhere.status).toBe(1);
  expect(elsewhere.stderr).toMatch(/^dfsctl: Cannot/);
});
