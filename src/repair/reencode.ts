import { DfsError, messageOf } from '../base/errors.ts';
import type { ChunkId } from '../base/ids.ts';
import { formatScheme, pieceBytes, pieceCount } from '../chunk/mod.ts';
import { carryOut, type Outcome, type Task, taskOf } from './carry-out.ts';
import { lookAt } from './look.ts';
import { planFor } from './survey.ts';
import type { WorkView } from './work-volume.ts';

/** A chunk with its content, and its length again. */
interface Loaded {
  readonly id: ChunkId;
  readonly content: Buffer;
}

type Failures = { id: ChunkId; reason: string }[];

/**
 * Stores chunks anew under the scheme of the map and has an epoch say so. Only when that is
 * published, and all new pieces were read back, the old ones go. Ended before the epoch, the new
 * pieces are found there the next time; after it, the old ones are surplus.
 */
export async function reencode(view: WorkView, tasks: readonly Task[]): Promise<Outcome> {
  const failed: Failures = [];
  const loaded = await load(view, tasks, failed);
  const isStored = loaded.length > 0 && (await store(view, loaded, failed));
  if (!isStored) return { bytes: 0, done: 0, failed };
  const { target } = view;
  const bytes = loaded.map(({ content }) => pieceBytes(target, content.length));
  const storedBytes = bytes.reduce((sum, one) => sum + one * pieceCount(target), 0);
  const looks = loaded.map(async ({ id }) => {
    const entry = await lookAt(view, id);
    return taskOf(await planFor(view, entry), entry);
  });
  const outcome = await carryOut(view.volume, (await Promise.all(looks)).flat());
  return {
    bytes: storedBytes + outcome.bytes,
    done: outcome.done,
    failed: [...failed, ...outcome.failed],
  };
}

async function load(
  { volume }: WorkView,
  tasks: readonly Task[],
  failed: Failures,
): Promise<Loaded[]> {
  const reads = tasks.map(async ({ plan: { id }, scheme, lengthBytes }): Promise<Loaded[]> => {
    try {
      return [{ id, content: await volume.chunks.get({ id, scheme, chunkBytes: lengthBytes }) }];
    } catch (error) {
      if (!(error instanceof DfsError) || error.code === 'INVARIANT') throw error;
      failed.push({ id, reason: messageOf(error) });
      return [];
    }
  });
  return (await Promise.all(reads)).flat();
}

/** Whether all of them are on disks under the new scheme, and published so. */
async function store(
  { volume, target }: WorkView,
  loaded: readonly Loaded[],
  failed: Failures,
): Promise<boolean> {
  try {
    await volume.storeAll(loaded.map(({ id, content }) => ({ id, content, scheme: target })));
    const scheme = formatScheme(target);
    const stored = loaded.map(({ id, content }) => ({ id, lengthBytes: content.length, scheme }));
    await volume.maintain({ forget: [], stored });
    return true;
  } catch (error) {
    if (!(error instanceof DfsError) || error.code === 'INVARIANT') throw error;
    for (const { id } of loaded) failed.push({ id, reason: messageOf(error) });
    return false;
  }
}
