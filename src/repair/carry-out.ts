import { DfsError, messageOf } from '../base/errors.ts';
import { type ChunkId, chunkKey, type DiskId } from '../base/ids.ts';
import {
  encodePieces,
  type PieceKey,
  pieceBytes,
  type Scheme,
  schemesEqual,
} from '../chunk/mod.ts';
import type { ChunkStore, PieceToStore } from '../store/mod.ts';
import type { ChunkAudit } from './audit.ts';
import type { ChunkPlan, PlannedWrite } from './plan.ts';
import type { WorkVolume } from './work-volume.ts';

/** A chunk that something is to be done about, as its metadata has it. */
export interface Task {
  readonly plan: ChunkPlan;
  readonly scheme: Scheme;
  readonly lengthBytes: number;
}

/** What carrying out came to. */
export interface Outcome {
  /** Written, or freed as garbage. */
  readonly bytes: number;
  readonly done: number;
  /** Chunks for which it did not work out; what was there of them is still there. */
  readonly failed: readonly { readonly id: ChunkId; readonly reason: string }[];
}

/** The task of a plan for what an audit found; none for a chunk without pieces. */
export function taskOf(plan: ChunkPlan, { known }: ChunkAudit): Task[] {
  const { scheme, lengthBytes = 0 } = known ?? {};
  return scheme === undefined ? [] : [{ plan, scheme, lengthBytes }];
}

/** Bytes that a task writes. */
function bytesOf({ plan, scheme, lengthBytes }: Task): number {
  return plan.writes.length * pieceBytes(scheme, lengthBytes);
}

/**
 * Carries out the plans of some chunks at once. All pieces are written, the disks synced once each,
 * what was written is read back, and only then old pieces go: of a chunk for which something did
 * not work out, none does. Ended at any point, it can be begun anew.
 */
export async function carryOut(
  volume: Pick<WorkVolume, 'chunks' | 'removeSurplus'>,
  tasks: readonly Task[],
): Promise<Outcome> {
  const { chunks } = volume;
  const failures = new Map<string, { id: ChunkId; reason: string }>();
  const fail = (id: ChunkId, error: unknown): void => {
    if (!(error instanceof DfsError) || error.code === 'INVARIANT') throw error;
    failures.set(chunkKey(id), { id, reason: messageOf(error) });
  };
  const isGood = ({ plan }: Task): boolean => !failures.has(chunkKey(plan.id));
  await writeAll(chunks, tasks, fail);
  await verifyAll(chunks, tasks.filter(isGood), fail);
  const good = tasks.filter(isGood);
  const removed = good.flatMap(({ plan }) => plan.removes);
  if (removed.length > 0) await volume.removeSurplus(removed);
  return {
    bytes: good.reduce((sum, task) => sum + bytesOf(task), 0),
    done: good.length,
    failed: [...failures.values()],
  };
}

type Fail = (id: ChunkId, error: unknown) => void;

async function writeAll(chunks: ChunkStore, tasks: readonly Task[], fail: Fail): Promise<void> {
  const byDisk = new Map<DiskId, PieceToStore[]>();
  const reads = tasks.map(async (task) => {
    const { plan, scheme, lengthBytes } = task;
    try {
      for (const [at, payload] of (await payloadsOf(chunks, task)).entries()) {
        const { diskId, bucket, pieceIndex } = plan.writes[at] as PlannedWrite;
        const key = { chunkId: plan.id, scheme, pieceIndex };
        const batch = byDisk.get(diskId) ?? [];
        // A replica is the chunk itself, and was compared with its name when it was read.
        const payloadHash = scheme.kind === 'replica' ? plan.id : undefined;
        batch.push({ ...key, bucket, chunkBytes: lengthBytes, payload, payloadHash });
        byDisk.set(diskId, batch);
      }
    } catch (error) {
      fail(plan.id, error);
    }
  });
  await Promise.all(reads);
  const session = chunks.session();
  const writes = [...byDisk].map(async ([diskId, pieces]) => {
    try {
      await session.putPieces(diskId, pieces);
    } catch (error) {
      for (const { chunkId } of pieces) fail(chunkId, error);
    }
  });
  await Promise.all(writes);
  for (const diskId of await session.sync()) {
    const state = `disk ${diskId} failed while it was synced`;
    const error = new DfsError('UNAVAILABLE', `Cannot repair a chunk: ${state}`);
    for (const { chunkId } of byDisk.get(diskId) ?? []) fail(chunkId, error);
  }
}

/** What is to be written, in the order of the plan: as other disks have it, or computed anew. */
async function payloadsOf(chunks: ChunkStore, task: Task): Promise<Buffer[]> {
  const { plan, scheme, lengthBytes } = task;
  if (plan.writes.length === 0) return [];
  const copies = await Promise.all(plan.writes.map((write) => copyOf(chunks, task, write)));
  if (copies.every((copy) => copy !== undefined)) return copies;
  const content = await chunks.get({ id: plan.id, scheme, chunkBytes: lengthBytes });
  const pieces = await encodePieces(scheme, content);
  return plan.writes.map(({ pieceIndex }) => pieces[pieceIndex] as Buffer);
}

/** The piece where the plan found it; undefined if it is not there, or not good. */
async function copyOf(
  chunks: ChunkStore,
  { plan, scheme, lengthBytes }: Task,
  { copyFrom, pieceIndex }: PlannedWrite,
): Promise<Buffer | undefined> {
  if (copyFrom === undefined) return undefined;
  try {
    const key = { chunkId: plan.id, scheme, pieceIndex };
    const piece = await chunks.ask(copyFrom, (disk) => disk.read(key));
    return piece?.chunkBytes === lengthBytes ? piece.payload : undefined;
  } catch (error) {
    if (!(error instanceof DfsError) || error.code === 'INVARIANT') throw error;
    return undefined;
  }
}

/** Reads back what was written, and of each piece that is to go the one that stays. */
async function verifyAll(chunks: ChunkStore, tasks: readonly Task[], fail: Fail): Promise<void> {
  const byDisk = new Map<DiskId, PieceKey[]>();
  for (const task of tasks) {
    for (const { diskId, pieceIndex } of toVerify(task)) {
      const keys = byDisk.get(diskId) ?? [];
      keys.push({ chunkId: task.plan.id, scheme: task.scheme, pieceIndex });
      byDisk.set(diskId, keys);
    }
  }
  const lengths = new Map(tasks.map((task) => [chunkKey(task.plan.id), task.lengthBytes]));
  const checks = [...byDisk].map(async ([diskId, keys]) => {
    try {
      const results = (await chunks.ask(diskId, (disk) => disk.verify(keys))) ?? [];
      for (const [at, { chunkId, pieceIndex }] of keys.entries()) {
        const { health, chunkBytes, trouble } = results[at] ?? { health: 'missing', trouble: '' };
        const isRight = health === 'ok' && chunkBytes === lengths.get(chunkKey(chunkId));
        if (isRight) continue;
        const state = `piece ${pieceIndex} on disk ${diskId} is ${health} ${trouble}`.trim();
        fail(chunkId, new DfsError('CORRUPT', `Cannot repair a chunk: ${state}`));
      }
    } catch (error) {
      for (const { chunkId } of keys) fail(chunkId, error);
    }
  });
  await Promise.all(checks);
}

function toVerify({ plan, scheme }: Task): { diskId: DiskId; pieceIndex: number }[] {
  const { writes, keeps, removes } = plan;
  const written = new Set(writes.map(({ pieceIndex }) => pieceIndex));
  // Pieces of another scheme are the chunk's last resort: they go when all of the new ones are good.
  const isLastResort = removes.some((piece) => !schemesEqual(piece.scheme, scheme));
  const replaced = new Set(removes.map(({ pieceIndex }) => pieceIndex));
  const kept = keeps.filter(
    ({ pieceIndex }) => !written.has(pieceIndex) && (isLastResort || replaced.has(pieceIndex)),
  );
  return [...writes, ...kept];
}
