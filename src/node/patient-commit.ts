import { setTimeout as pause } from 'node:timers/promises';
import { DfsError } from '../base/errors.ts';
import type { Epoch } from '../base/ids.ts';
import type { Committer } from '../commit/mod.ts';

/** Waits before the attempts behind the first: at once, and when disks had time to be given up. */
const PAUSES_MS = [0, 500, 1000] as const;
/** Of these another attempt knows no more than the first. */
const FINAL: ReadonlySet<string> = new Set(['NO_SPACE', 'CLOSED', 'INVARIANT', 'BAD_ARGUMENT']);

/**
 * Commits for somebody who would be given an error. A disk that fails while it is written or synced
 * fails the commit, and is out of service then: the next attempt has the other disks, so that the
 * loss of a disk is not an error of a program as long as there are enough of them.
 */
export async function commitPatiently(
  committer: Pick<Committer, 'commit'>,
  options: { isUrgent: boolean; pausesMs?: readonly number[] },
): Promise<Epoch> {
  const { isUrgent, pausesMs = PAUSES_MS } = options;
  for (const pauseMs of pausesMs) {
    try {
      return await committer.commit({ isUrgent });
    } catch (error) {
      if (!(error instanceof DfsError) || FINAL.has(error.code)) throw error;
    }
    if (pauseMs > 0) await pause(pauseMs);
  }
  return await committer.commit({ isUrgent });
}
