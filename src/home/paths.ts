import { join } from 'node:path';

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
