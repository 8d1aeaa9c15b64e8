import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { Removals } from './removals.ts';

test('a file is removed after the metadata that says so is on its device', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dfs-removals-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, '7');
  writeFileSync(path, 'bytes');
  let synced = (): void => undefined;
  const sync = vi.fn(() => new Promise<void>((resolve) => (synced = resolve)));
  const removals = new Removals(sync);
  removals.add(path);
  await vi.waitFor(() => expect(sync).toHaveBeenCalled());
  expect(existsSync(path)).toBe(true);
  synced();
  await vi.waitFor(() => expect(existsSync(path)).toBe(false));
});

test('what waits goes at the end', () => {
  const folder = mkdtempSync(join(tmpdir(), 'dfs-removals-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, '7');
  writeFileSync(path, 'bytes');
  const removals = new Removals(() => Promise.resolve());
  removals.add(path);
  removals.close();
  expect(existsSync(path)).toBe(false);
});
