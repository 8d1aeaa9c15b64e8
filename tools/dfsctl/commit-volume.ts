import type { ControlClient } from './client.ts';
import { createProgress } from './progress.ts';

/** Commits everything up to now, with a progress bar: the epoch that has it. */
export async function commitVolume(client: ControlClient): Promise<{ epoch: number }> {
  const progress = createProgress('Committing', 'bytes');
  try {
    return await client.post<{ epoch: number }, { bytesDone: number; bytesTotal: number }>(
      '/commit',
      ({ bytesDone, bytesTotal }) => progress.update({ done: bytesDone, total: bytesTotal }),
    );
  } finally {
    progress.stop();
  }
}
