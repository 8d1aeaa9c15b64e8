import type { StatusReport } from '../../src/node/mod.ts';
import type { ControlClient } from './client.ts';
import { createProgress, type Progress } from './progress.ts';

type CommitProgress = NonNullable<StatusReport['commitRunning']>;

/** Commits everything up to now, with a progress bar: the epoch that has it. */
export async function commitVolume(client: ControlClient): Promise<{ epoch: number }> {
  const progress = createProgress('Committing', 'bytes');
  try {
    return await client.post<{ epoch: number }, CommitProgress>('/commit', (running) =>
      showCommit(progress, running),
    );
  } finally {
    progress.stop();
  }
}

/** Shows how far a commit is. */
export function showCommit(progress: Progress, running: CommitProgress): void {
  const { bytesDone, bytesTotal, filesDone, filesTotal } = running;
  const files = { done: filesDone, total: filesTotal };
  progress.update({ done: bytesDone, total: bytesTotal, files });
}
