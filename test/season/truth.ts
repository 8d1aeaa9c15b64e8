/**
 * What "status tells the truth" means, looked at after every event:
 *  1. a disk that does not work is not said to be up, one that works is (up, or full);
 *  2. health is not "healthy" while a piece of a chunk in use is not on the disks that work, by an
 *     independent reading of their bucket files. Turned over bits are excepted until the next scrub:
 *     nobody can know of them before the piece is read;
 *  3. the version of the map never goes back, and the scheme is the one that was set;
 *  4. a disk above 95% is full. Garbage that goes may bring it below: it is looked at meanwhile.
 */
import { statfsSync } from 'node:fs';
import type { StatusReport } from '../../src/node/mod.ts';
import type { Bed, SeasonDisk } from './bed.ts';

const RIGHT: readonly string[] = ['up', 'full'];
const WRONG: readonly string[] = ['down', 'missing'];

/** The limit is at 0.05; a commit that runs writes a little. */
const FREE_IF_FULL = 0.045;

/** What the last look saw, for the next one. */
export interface Seen {
  mapVersion: number;
}

function expectedStates(disk: SeasonDisk): readonly string[] {
  if (disk.rule !== undefined) return WRONG;
  if (disk.ballast === undefined) return RIGHT;
  const { blocks, bavail } = statfsSync(disk.folder);
  return bavail / blocks < FREE_IF_FULL ? ['full'] : RIGHT;
}

/** Pieces that are missing while status says healthy, before and after two readings. */
async function missingInHealth(bed: Bed): Promise<readonly string[]> {
  const first = new Set((await bed.pieces()).missing);
  if (first.size === 0) return [];
  // Work that goes on may have moved a piece from a disk not read yet to one already read.
  if ((await bed.statusNow()).health !== 'healthy') return [];
  const { missing } = await bed.pieces();
  const again = missing.filter((chunk) => first.has(chunk));
  return (await bed.statusNow()).health === 'healthy' ? again : [];
}

/** Looks at status; what is not true in it. Waits for what a daemon notices a little later. */
export async function findUntruths(bed: Bed, seen: Seen): Promise<string[]> {
  const untruths = await bed.disksNotAs(expectedStates);
  const status: StatusReport = await bed.status();
  if (status.mapVersion < seen.mapVersion) {
    untruths.push(`the map went back from ${seen.mapVersion} to ${status.mapVersion}`);
  }
  seen.mapVersion = status.mapVersion;
  if (status.scheme !== bed.scheme) untruths.push(`the scheme is ${status.scheme}`);
  const isKnown = !bed.members.some((disk) => disk.isFlipped);
  if (isKnown && status.health === 'healthy') {
    const missing = await missingInHealth(bed);
    if (missing.length > 0) untruths.push(`healthy, but of ${missing.length}: ${missing[0]}`);
  }
  return untruths;
}
