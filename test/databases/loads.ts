import { LEVEL } from './level.ts';
import type { Load } from './load.ts';
import { hasPostgres, POSTGRES } from './postgres.ts';
import { SQLITE_DELETE, SQLITE_WAL } from './sqlite.ts';
import { TWO_FILES, UNSYNCED } from './two-files.ts';

/** All databases that run on one volume at the same time. */
export const LOADS: readonly Load[] = [SQLITE_WAL, SQLITE_DELETE, LEVEL, TWO_FILES, UNSYNCED];

/** Those that take longer to start than to work, where they are installed. */
export const LARGE_LOADS: readonly Load[] = hasPostgres ? [POSTGRES] : [];

export function loadNamed(name: string): Load {
  const load = [...LOADS, ...LARGE_LOADS].find((one) => one.name === name);
  if (load === undefined) throw new Error(`Cannot find the load "${name}"`);
  return load;
}
