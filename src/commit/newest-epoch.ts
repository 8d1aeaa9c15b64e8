import { InvariantError, messageOf } from '../base/errors.ts';
import type { Epoch } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { parseScheme } from '../chunk/mod.ts';
import { type CommittedMeta, operationsOf } from '../meta/mod.ts';
import type { ChunkStore, ChunkToRead } from '../store/mod.ts';
import type { EpochLogs, VerifyTip } from './epoch-logs.ts';
import { openEpoch } from './open-epoch.ts';
import type { ReplayProgress } from './replay.ts';
import { type CommittedSource, Snapshots } from './snapshots.ts';

/** How a committed database is opened. */
interface Opening {
  source: CommittedSource;
  logs: EpochLogs;
  chunks: ChunkStore;
  heals: boolean;
  /** Identity of a record that is known to have been published. */
  published: Buffer | undefined;
  onReplay: ReplayProgress | undefined;
}

/** The committed database at the newest epoch, or at a retained one. */
export async function openCommitted(
  options: Opening & { epoch: Epoch | undefined },
): Promise<CommittedMeta> {
  const { source, logs, epoch } = options;
  if (epoch === undefined) return openNewest(options);
  return openEpoch({ source, logs, epoch, verifyTip: tipVerifier(options) });
}

function tipVerifier({ source, chunks, heals, published }: Opening): VerifyTip {
  return async (header, body) => {
    // Of what was published even lost chunks are no reason to go back: the others are right.
    const isKnown = published !== undefined && header.id.equals(published);
    const verifies = isKnown || (await chunksVerify(chunks, body));
    if (verifies && heals) await heal(chunks, body, source.log);
    return verifies;
  };
}

/**
 * The committed database at the newest epoch that the disks have. With `heals` that epoch then has
 * its redundancy: it counts as soon as it can be read, but may never have been published, when some
 * of its pieces were not on their disks.
 */
async function openNewest(options: Opening): Promise<CommittedMeta> {
  const { source, logs, onReplay } = options;
  const verifyTip = tipVerifier(options);
  let committed = await Snapshots.openCommitted(source);
  try {
    await logs.replay(committed, verifyTip, onReplay);
    const newest = await Snapshots.newestEpoch(source);
    if ((committed.head()?.epoch ?? 0) < newest) {
      // A HOME older than its disks: their logs begin behind it, only a snapshot leads on.
      source.log('warn', 'committed metadata is older than a snapshot', { epoch: newest });
      committed.close();
      committed = await Snapshots.rebuildCommitted(source);
      await logs.replay(committed, verifyTip, onReplay);
    }
    return committed;
  } catch (error) {
    committed.close();
    throw error;
  }
}

/** Chunks in memory while the newest epoch is looked at. */
const CHUNKS_AT_ONCE = 8;

function* chunksOf(body: Buffer): Generator<ChunkToRead> {
  for (const op of operationsOf(body, 0 as Epoch)) {
    if (op.kind !== 'chunk') continue;
    yield { id: op.chunk, scheme: parseScheme(op.scheme), chunkBytes: op.lengthBytes };
  }
}

async function chunksVerify(chunks: ChunkStore, body: Buffer): Promise<boolean> {
  let isWhole = true;
  await eachOf(chunksOf(body), async (chunk) => {
    if (!isWhole) return;
    try {
      await chunks.get(chunk);
    } catch {
      isWhole = false;
    }
  });
  return isWhole;
}

/** Works on some at the same time. */
async function eachOf(
  chunks: Generator<ChunkToRead>,
  work: (chunk: ChunkToRead) => Promise<void>,
): Promise<void> {
  const take = async (): Promise<void> => {
    for (const chunk of chunks) await work(chunk);
  };
  // Nothing goes on behind the back of who hears of a failure, which ends the generator for all.
  const takers = await Promise.allSettled(Array.from({ length: CHUNKS_AT_ONCE }, take));
  for (const taker of takers) if (taker.status === 'rejected') throw taker.reason;
}

/** Puts what is missing; where a disk is gone as well, what is there has to do. */
async function heal(chunks: ChunkStore, body: Buffer, log: Log): Promise<void> {
  const session = chunks.session();
  const troubles: string[] = [];
  await eachOf(chunksOf(body), async (chunk) => {
    const { id, scheme } = chunk;
    try {
      // What is found on a disk when it is opened is synced.
      if (await isWhole(chunks, chunk)) return;
      await session.put({ id, scheme, content: await chunks.get(chunk) });
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      troubles.push(messageOf(error));
    }
  });
  const lost = await session.sync();
  if (lost.length > 0) troubles.push(`disk ${lost.join(', ')} failed`);
  const [message] = troubles;
  if (message === undefined) return;
  log('warn', 'the newest epoch stays degraded', { message, chunks: troubles.length });
}

/** Whether every piece is on a disk and verifies, read where it is. */
async function isWhole(chunks: ChunkStore, { id, scheme }: ChunkToRead): Promise<boolean> {
  const pieces = await chunks.locate({ id, scheme });
  const checks = pieces.map(async ({ index: pieceIndex, diskId, health }) => {
    if (health !== 'ok' || diskId === undefined) return false;
    const key = { chunkId: id, scheme, pieceIndex };
    const [check] = (await chunks.ask(diskId, (disk) => disk.verify([key]))) ?? [];
    return check?.health === 'ok';
  });
  return (await Promise.all(checks)).every(Boolean);
}
