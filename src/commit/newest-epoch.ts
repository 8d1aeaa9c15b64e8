import type { Epoch } from '../base/ids.ts';
import { parseScheme } from '../chunk/mod.ts';
import { type CommittedMeta, operationsOf } from '../meta/mod.ts';
import type { ChunkStore } from '../store/mod.ts';
import type { EpochLogs, VerifyTip } from './epoch-logs.ts';
import { type CommittedSource, Snapshots } from './snapshots.ts';

/** The committed database at the newest epoch that the disks have. */
export async function openNewest(
  source: CommittedSource,
  logs: EpochLogs,
  chunks: ChunkStore,
): Promise<CommittedMeta> {
  const verifyTip: VerifyTip = (_header, body) => chunksVerify(chunks, body);
  let committed = await Snapshots.openCommitted(source);
  try {
    await logs.replay(committed, verifyTip);
    const newest = await Snapshots.newestEpoch(source);
    if ((committed.head()?.epoch ?? 0) < newest) {
      // A HOME older than its disks: their logs begin behind it, only a snapshot leads on.
      source.log('warn', 'committed metadata is older than a snapshot', { epoch: newest });
      committed.close();
      committed = await Snapshots.rebuildCommitted(source);
      await logs.replay(committed, verifyTip);
    }
    return committed;
  } catch (error) {
    committed.close();
    throw error;
  }
}

async function chunksVerify(chunks: ChunkStore, body: Buffer): Promise<boolean> {
  for (const op of operationsOf(body, 0 as Epoch)) {
    if (op.kind !== 'chunk') continue;
    const chunk = { id: op.chunk, scheme: parseScheme(op.scheme), chunkBytes: op.lengthBytes };
    try {
      await chunks.get(chunk);
    } catch {
      return false;
    }
  }
  return true;
}
