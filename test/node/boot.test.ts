import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { homePaths } from '../../src/home/mod.ts';
import { TestVolume } from '../harness/volume.ts';

test('a new boot is noted when the cache is taken up, not by who fails before', async () => {
  const volume = await TestVolume.create();
  onTestFinished(() => volume.dispose());
  await volume.mount();
  await volume.unmount();
  const noted = join(volume.home, 'boot-id');
  const boot = readFileSync(noted, 'utf8');
  writeFileSync(noted, 'another\n');
  const { cache } = homePaths(volume.home);
  const folder = join(cache, '00');
  renameSync(folder, `${folder}.kept`);
  writeFileSync(folder, 'no folder');
  await expect(volume.mount()).rejects.toThrow();
  expect(readFileSync(noted, 'utf8')).toBe('another\n');
  rmSync(folder);
  expect(existsSync(folder)).toBe(false);
  renameSync(`${folder}.kept`, folder);
  await volume.mount();
  expect(readFileSync(noted, 'utf8')).toBe(boot);
  await volume.unmount();
}, 60_000);
