import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ioError } from '../base/publish.ts';
import { epochFolder } from '../commit/mod.ts';
import { type Config, homePaths, writeConfig } from '../home/mod.ts';
import { LiveMeta } from '../meta/mod.ts';

/** What is read of an epoch is kept up to here: the cache's device is that of the volume. */
const CACHE_BYTES_MAX: number = 2 ** 30;

/**
 * Makes a HOME for one mount of a retained epoch, inside the HOME of the volume: without metadata,
 * which the mount takes from the disks. The mount removes it at its end.
 */
export async function makeEpochHome(home: string, config: Config, epoch: number): Promise<string> {
  const all = epochFolder(home);
  let made: string;
  try {
    mkdirSync(all, { recursive: true, mode: 0o700 });
    made = mkdtempSync(join(all, `${epoch}-`));
  } catch (error) {
    throw ioError(`Cannot make a folder in ${all}`, error);
  }
  try {
    const cacheBytes = Math.min(config.cacheBytes, CACHE_BYTES_MAX);
    await writeConfig(made, { ...config, cacheBytes });
    const { meta, cache } = homePaths(made);
    mkdirSync(cache, { mode: 0o700 });
    await new LiveMeta(meta).close();
    return made;
  } catch (error) {
    rmSync(made, { recursive: true, force: true });
    throw error;
  }
}
