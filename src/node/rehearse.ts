import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { InvariantError, messageOf } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import { silentLog } from '../base/log.ts';
import { type RehearsalProgress, type RehearsalReport, rehearse } from '../commit/mod.ts';
import { homePaths } from '../home/mod.ts';
import type { VolumeDrill } from './drill.ts';

/** How the rehearsal of a recovery ended. */
export type RehearsalOutcome =
  | ({ failure: undefined } & RehearsalReport)
  /** Why a recovery would fail as well. */
  | { failure: string };

/** Behind all that is done for somebody who waits. */
const PRIORITY = 10;
const FOLDER = /^drill-(\d+)$/;

/**
 * Builds the metadata of a volume from its disks as a recovery would, in a folder of HOME that is
 * removed again, at low priority: on the thread of its caller, which waits for nothing else.
 */
export async function rehearseRecovery(
  home: string,
  { volumeUuid, disks }: VolumeDrill,
  onProgress: (progress: RehearsalProgress) => void,
): Promise<RehearsalOutcome> {
  removeLeftovers(home);
  setPriority(PRIORITY);
  const folder = join(home, `drill-${process.pid}`);
  const asked = disks.flatMap(({ id, path, problem }) =>
    path === undefined || problem !== undefined ? [] : [{ id: id as DiskId, path }],
  );
  try {
    mkdirSync(folder, { mode: 0o700 });
    const { committed: committedPath } = homePaths(home);
    const where = { volumeUuid, disks: asked, folder, committedPath };
    return { failure: undefined, ...(await rehearse({ ...where, log: silentLog, onProgress })) };
  } catch (error) {
    if (error instanceof InvariantError) throw error;
    return { failure: messageOf(error) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What drills left whose process was killed. */
function removeLeftovers(home: string): void {
  for (const name of readdirSync(home)) {
    const pid = FOLDER.exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    rmSync(join(home, name), { recursive: true, force: true });
  }
}
