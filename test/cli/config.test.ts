import { readFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import type { Settings } from '../../src/base/settings.ts';
import { dfsctl, facts, Scene } from './run.ts';

const DEFAULTS: Settings = {
  rebuildAfterMs: 900_000,
  retentionMs: 86_400_000,
  garbageGraceMs: 600_000,
  scrubDays: 30,
  workShare: 0.5,
};

test('config shows and changes settings, of a mounted volume and of one that is not', async () => {
  const scene = new Scene();
  onTestFinished(() => scene.clean());
  await scene.init();
  expect(await facts('config', scene.home)).toEqual(DEFAULTS);
  const first = { ...DEFAULTS, rebuildAfterMs: 90_000, workShare: 0.25 };
  const words = ['rebuildAfterMs=1.5min', 'workShare=0.25'];
  expect(await facts('config', scene.home, ...words)).toEqual(first);

  await scene.mounted();
  expect(await facts('config', scene.mount)).toEqual(first);
  const second = { ...first, scrubDays: 7, retentionMs: 0 };
  expect(await facts('config', scene.mount, 'scrubDays=7', 'retentionMs=0')).toEqual(second);
  expect(await facts('config', scene.home)).toEqual(second);
  expect((await dfsctl('umount', scene.mount)).status).toBe(0);
  expect(await facts('config', scene.home)).toEqual(second);
  const { stdout } = await dfsctl('config', scene.home);
  expect(stdout).toContain('rebuildAfterMs  90000 (90 s)');
});

test.each([
  ['sizeBytes=1'],
  ['workShare'],
  ['workShare=2'],
  ['workShare=1s'],
  ['workShare='],
  ['scrubDays=-1'],
  ['retentionMs=1week'],
  ['rebuildAfterMs=0'],
])('config refuses %s and changes nothing', async (word) => {
  const scene = new Scene();
  onTestFinished(() => scene.clean());
  await scene.init();
  const before = readFileSync(scene.path('home', 'config'), 'utf8');
  const { status, stdout, stderr } = await dfsctl('config', scene.home, 'scrubDays=9', word);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toMatch(/^dfsctl: Cannot (set|use) [^\n]+\n$/);
  expect(readFileSync(scene.path('home', 'config'), 'utf8')).toBe(before);
});
