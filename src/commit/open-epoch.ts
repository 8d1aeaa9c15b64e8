import { existsSync, rmSync } from 'node:fs';
import { assert, DfsError, messageOf } from '../base/errors.ts';
import type { Epoch } from '../base/ids.ts';
import { CommittedMeta, listSnapshots, readSnapshot } from '../meta/mod.ts';
import type { EpochLogs, VerifyTip } from './epoch-logs.ts';
import { retainedEpochs } from './retained-snapshots.ts';
import type { CommittedSource } from './snapshots.ts';

/**
 * The committed database as it was at a retained epoch: its snapshot, or the newest one before it
 * and the records from there on. NOT_FOUND when the epoch is not retained.
 */
export async function openEpoch(options: {
  source: CommittedSource;
  logs: EpochLogs;
  epoch: Epoch;
  verifyTip: VerifyTip;
}): Promise<CommittedMeta> {
  const { source, logs, epoch, verifyTip } = options;
  const before = existingAt(source.path, epoch);
  if (before !== undefined) return before;
  const { tag, log } = source;
  const { snapshots, windowStart } = await retainedEpochs({ disks: logs.healthy, tag, log });
  const base = snapshots.find((snapshot) => snapshot.epoch <= epoch);
  const isRetained = base !== undefined && (base.epoch === epoch || epoch >= windowStart);
  if (!isRetained) throw notRetained(epoch, 'it is not retained');
  await restore(source, base.epoch);
  const committed = new CommittedMeta(source.path);
  try {
    if (base.epoch < epoch) await logs.replay(committed, verifyTip, undefined, epoch);
    const found = committed.head()?.epoch;
    if (found === epoch) return committed;
    throw notRetained(epoch, `there is none of this number; epoch ${found} is the one before it`);
  } catch (error) {
    committed.close();
    throw error;
  }
}

/** What a process that served the same epoch has left. */
function existingAt(path: string, epoch: Epoch): CommittedMeta | undefined {
  if (!existsSync(path)) return undefined;
  const committed = new CommittedMeta(path);
  if (committed.head()?.epoch === epoch) return committed;
  committed.close();
  return undefined;
}

/** Puts the snapshot of an epoch at the path, from the first disk where it verifies. */
async function restore({ path, tag, folders, log }: CommittedSource, epoch: number): Promise<void> {
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true });
  const problems: string[] = [];
  const found = await Promise.all(folders.map((folder) => listSnapshots(folder)));
  for (const snapshot of found.flat()) {
    if (snapshot.epoch !== epoch) continue;
    try {
      await readSnapshot({ path: snapshot.path, targetPath: path, volumeTag: tag });
      return;
    } catch (error) {
      log('warn', 'snapshot not usable', { path: snapshot.path, message: messageOf(error) });
      problems.push(messageOf(error));
    }
  }
  assert(problems.length > 0, 'a retained snapshot is on some disk');
  throw new DfsError('UNAVAILABLE', `Cannot read snapshot ${epoch}: ${problems.join('; ')}`);
}

function notRetained(epoch: Epoch, state: string): DfsError {
  const hint = '"dfsctl epochs" lists those that can be mounted';
  return new DfsError('NOT_FOUND', `Cannot open epoch ${epoch}: ${state}; ${hint}`);
}
