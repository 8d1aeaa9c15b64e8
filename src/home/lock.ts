import { closeSync, openSync } from 'node:fs';
import { DfsError } from '../base/errors.ts';
import { lockExclusive } from '../base/os/mod.ts';
import { homePaths } from './paths.ts';

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
