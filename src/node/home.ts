import { closeSync, existsSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DfsError } from '../base/errors.ts';
import { lockExclusive } from '../base/os/mod.ts';
import { type Config, readConfig } from './config.ts';

/** Where things are in HOME. */
export interface HomePaths {
  home: string;
  config: string;
  diskmap: string;
  /** The live metadata. */
  meta: string;
  /** The metadata of the newest published epoch. */
  committed: string;
  cache: string;
  socket: string;
  lock: string;
  /** How far background work is. */
  work: string;
  log: string;
  /** What INIT agreed on, for the daemon that takes over. */
  session: string;
  /** Opens that were passed to the kernel, for the same. */
  opens: string;
  /** Why the last daemon could not start, or could not commit at its end. */
  failure: string;
}

export function homePaths(home: string): HomePaths {
  return {
    home,
    config: join(home, 'config'),
    diskmap: join(home, 'diskmap'),
    meta: join(home, 'meta.sqlite'),
    committed: join(home, 'committed.sqlite'),
    cache: join(home, 'cache'),
    socket: join(home, 'control.sock'),
    lock: join(home, 'lock'),
    work: join(home, 'work'),
    log: join(home, 'daemon.log'),
    session: join(home, 'session.json'),
    opens: join(home, 'opens'),
    failure: join(home, 'failure.json'),
  };
}

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

/**
 * Takes HOME for this process until the descriptor is closed everywhere; BUSY when another one has
 * it.
 */
export function lockHome(home: string): number {
  const fd = openSync(homePaths(home).lock, 'a', 0o600);
  if (lockExclusive(fd)) return fd;
  closeSync(fd);
  throw new DfsError(
    'BUSY',
    `Cannot use ${home}: it is mounted or in use by another command; see "dfsctl status ${home}"`,
  );
}

/** Removes what a mount left for the process that would take it over; who has the lock begins anew. */
export function forgetMount({ session, opens, failure }: HomePaths): void {
  for (const path of [session, opens, failure]) rmSync(path, { force: true });
}
