import { constants } from 'node:fs';
import { badArgument } from './errors.ts';

const { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_SYNC, O_TRUNC, O_WRONLY } = constants;
const WRITE = O_WRONLY | O_CREAT | O_TRUNC;
const READ_WRITE = O_RDWR | O_CREAT | O_TRUNC;
const APPEND = O_WRONLY | O_CREAT | O_APPEND;
const READ_APPEND = O_RDWR | O_CREAT | O_APPEND;
const FLAGS: ReadonlyMap<string, number> = new Map([
  ['r', O_RDONLY],
  ['rs', O_RDONLY | O_SYNC],
  ['r+', O_RDWR],
  ['rs+', O_RDWR | O_SYNC],
  ['w', WRITE],
  ['wx', WRITE | O_EXCL],
  ['w+', READ_WRITE],
  ['wx+', READ_WRITE | O_EXCL],
  ['a', APPEND],
  ['ax', APPEND | O_EXCL],
  ['as', APPEND | O_SYNC],
  ['a+', READ_APPEND],
  ['ax+', READ_APPEND | O_EXCL],
  ['as+', READ_APPEND | O_SYNC],
]);

/** The flags of open(2) for the words node:fs has for them; numbers stay as they are. */
export function openFlags(flags: string | number): number {
  const known = typeof flags === 'number' ? flags : FLAGS.get(flags);
  if (known !== undefined && Number.isSafeInteger(known) && known >= 0) return known;
  throw badArgument('open a file', `the flags "${flags}" are none of open(2) or of node:fs`);
}

/** Permission bits: a number, or its octal digits as node:fs takes them. */
export function modeBits(mode: string | number): number {
  const isOctal = typeof mode === 'string' && /^[0-7]{1,6}$/.test(mode);
  const bits = isOctal ? Number.parseInt(mode, 8) : mode;
  if (typeof bits === 'number' && Number.isSafeInteger(bits) && bits >= 0) return bits & 0o7777;
  throw badArgument('set a mode', `"${mode}" are no permission bits`);
}

/** What an open may do. */
export interface Access {
  reads: boolean;
  writes: boolean;
  appends: boolean;
  /** Every write waits as for an fsync (O_SYNC, O_DSYNC). */
  syncs: boolean;
}

/** What an open with `flags` may do. */
export function accessOf(flags: number): Access {
  const mode = flags & (O_WRONLY | O_RDWR);
  return {
    reads: mode !== O_WRONLY,
    writes: mode !== O_RDONLY,
    appends: (flags & O_APPEND) !== 0,
    // O_SYNC has the bit of O_DSYNC in it.
    syncs: (flags & constants.O_DSYNC) !== 0,
  };
}
