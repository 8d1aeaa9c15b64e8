import { existsSync, rmSync } from 'node:fs';
import { DfsError } from '../base/errors.ts';
import { type Config, readConfig } from './config.ts';
import { type HomePaths, homePaths } from './paths.ts';

/** The config of HOME; NOT_FOUND when it is no home of a volume. */
export async function requireConfig(home: string): Promise<Config> {
  const config = await readConfig(home);
  if (config !== undefined) return config;
  throw new DfsError(
    'NOT_FOUND',
    `Cannot find a volume in ${home}: it has no config; make one with "dfsctl init", or rebuild it with "dfsctl recover"`,
  );
}

/** Throws NOT_FOUND unless HOME has its metadata: opening it would make new, empty ones. */
export function requireMeta(home: string): void {
  const { meta } = homePaths(home);
  if (existsSync(meta)) return;
  const hint = 'what was not committed is lost; build a new HOME with "dfsctl recover"';
  throw new DfsError('NOT_FOUND', `Cannot open ${home}: meta.sqlite is not there; ${hint}`);
}

/** Removes what a mount left for the process that would take it over; who has the lock begins anew. */
export function forgetMount({ session, opens, failure }: HomePaths): void {
  for (const path of [session, opens, failure]) rmSync(path, { force: true });
}
