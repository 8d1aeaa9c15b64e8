import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkApart, diskBytes, existingFolder } from './disk-checks.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'dfs-checks-'));
  for (const name of ['a', 'a/inner', 'ab', '..c']) mkdirSync(join(root, name));
  symlinkSync(join(root, 'a'), join(root, 'link'));
  writeFileSync(join(root, 'file'), '');
});
afterEach(() => rmSync(root, { recursive: true }));

function apart(...names: string[]): () => void {
  return () => checkApart(names.map((name) => ({ path: join(root, name), what: `disk ${name}` })));
}

describe('existingFolder()', () => {
  test('answers the folder behind symlinks', () => {
    expect(existingFolder(join(root, 'link'), 'disk')).toBe(
      existingFolder(join(root, 'a'), 'disk'),
    );
  });

  test.each(['none', 'file'])('refuses %s', (name) => {
    expect(() => existingFolder(join(root, name), 'disk')).toThrow(
      expect.objectContaining({ code: 'BAD_ARGUMENT' }),
    );
  });
});

describe('checkApart()', () => {
  test('goes by the paths of folders that cannot be looked at any more', () => {
    symlinkSync('dead', join(root, 'dead'));
    expect(apart('dead', 'a', 'ab')).not.toThrow();
    expect(apart('dead', 'dead')).toThrow(/is the same folder as/);
  });

  test.each([
    ['a', 'a/inner'],
    ['a/inner', 'a'],
    ['link', 'a/inner'],
    ['a', 'link'],
    ['.', '..c'],
    ['a', 'link/not there yet/home'],
  ])('refuses %s beside %s', (one, other) => {
    expect(apart(one, other)).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }));
  });

  test.each([
    ['a', 'ab'],
    ['a', '..c'],
    ['a', 'not there yet/home'],
  ])('takes %s beside %s', (one, other) => {
    expect(apart(one, other)).not.toThrow();
  });
});

test('the size of a disk is that of its file system', async () => {
  expect(await diskBytes(root)).toBeGreaterThan(64 * 1024 * 1024);
});
