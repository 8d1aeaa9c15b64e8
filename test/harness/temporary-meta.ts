import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { LiveMeta } from '../../src/meta/mod.ts';

/** Live metadata with nothing in it, which ends with the test. */
export function temporaryMeta(): LiveMeta {
  const folder = mkdtempSync(join(tmpdir(), 'dfs-meta-'));
  const meta = new LiveMeta(join(folder, 'meta.sqlite'));
  onTestFinished(async () => {
    await meta.close();
    rmSync(folder, { recursive: true });
  });
  return meta;
}
