import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { MountEntry } from '../../src/base/os/mod.ts';
import { findMountedPath, findTarget } from './target.ts';

let folder: string;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'dfs-target-')));
  for (const name of ['home', 'home2', 'mnt', 'mnt/deep', 'mnt2', 'beside']) {
    mkdirSync(join(folder, name), { recursive: true });
  }
  writeFileSync(join(folder, 'home', 'config'), '');
  writeFileSync(join(folder, 'home2', 'config'), '');
});

afterEach(() => rmSync(folder, { recursive: true }));

function mountOf(home: string, at: string, fsType = 'fuse.dfs'): MountEntry {
  const [source, mountPoint] = [join(folder, home), join(folder, at)];
  return { source, mountPoint, fsType, device: '0:99', options: [] };
}
const ROOT: MountEntry = {
  source: 'root',
  mountPoint: '/',
  fsType: 'ext4',
  device: '8:1',
  options: [],
};

function place(mounts: MountEntry[], cwd = folder) {
  return { mounts: [ROOT, ...mounts], cwd: () => cwd };
}

test('findTarget() takes a HOME, mounted or not, or a mountpoint, also by a symlink', () => {
  const home = join(folder, 'home');
  const mountPoint = join(folder, 'mnt');
  const mounted = place([mountOf('home', 'mnt')]);
  symlinkSync('mnt', join(folder, 'link'));
  expect(findTarget(home, place([]))).toEqual({ home, mountPoint: undefined });
  for (const name of [home, mountPoint, `${mountPoint}/`, join(folder, 'link')]) {
    expect(findTarget(name, mounted)).toEqual({ home, mountPoint });
  }
});

test('findTarget() takes no folder that is neither', () => {
  const mounted = place([mountOf('home', 'mnt')]);
  for (const name of ['beside', 'mnt/deep', 'nowhere']) {
    expect(() => findTarget(join(folder, name), mounted)).toThrow(/Cannot find a volume at/);
  }
});

test('findTarget() without a name takes the mount one stands in, or the only one', () => {
  const one = mountOf('home', 'mnt');
  const two = mountOf('home2', 'mnt2');
  expect(findTarget(undefined, place([one])).mountPoint).toBe(one.mountPoint);
  const inside = join(two.mountPoint, 'some', 'folder');
  expect(findTarget(undefined, place([one, two], inside)).mountPoint).toBe(two.mountPoint);
  // What is mounted over our mount is not ours.
  const over = mountOf('home', 'mnt2/some', 'tmpfs');
  expect(() => findTarget(undefined, place([one, two, over], inside))).toThrow(/2 are mounted/);
  expect(() => findTarget(undefined, place([one, two]))).toThrow(`${one.mountPoint}, `);
  expect(() => findTarget(undefined, place([]))).toThrow(/none is mounted; give its HOME/);
});

test('findMountedPath() finds the volume of a file, and refuses what is on none', () => {
  const mounted = place([mountOf('home', 'mnt')]);
  symlinkSync('mnt/deep', join(folder, 'link'));
  const path = join(folder, 'mnt', 'deep');
  const home = join(folder, 'home');
  for (const name of [path, join(folder, 'link')]) {
    expect(findMountedPath(name, mounted)).toMatchObject({ home, path });
  }
  const refused = (name: string) => () => findMountedPath(join(folder, name), mounted);
  expect(refused('beside')).toThrow(/not on a mounted DFS volume/);
  expect(refused('nowhere')).toThrow(/no such file or folder/);
});
