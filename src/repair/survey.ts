import { pieceBytes, pieceCount } from '../chunk/mod.ts';
import { audit, type ChunkAudit } from './audit.ts';
import { lookAt } from './look.ts';
import { type ChunkPlan, planChunk } from './plan.ts';
import type { Throttle } from './throttle.ts';
import type { WorkView } from './work-volume.ts';

/** Kinds of work that a survey finds, in the order in which they are done. */
export const KINDS = ['rebuild', 'reencode', 'rebalance', 'garbage'] as const;

export type Kind = (typeof KINDS)[number];

/** What is to be done of a kind: chunks, and bytes to write or, for garbage, to free. */
export interface Amount {
  chunks: number;
  bytes: number;
}

/** What a complete walk over all chunks found. */
export interface Survey {
  chunks: number;
  pieces: number;
  degraded: number;
  misplaced: number;
  lost: number;
  otherScheme: number;
  /** Chunks that wait for a disk that is full or away. */
  waiting: number;
  readonly todo: Record<Kind, Amount>;
}

/** What of a plan is to be done now; undefined if nothing is. */
export function kindOf(plan: ChunkPlan): Kind | undefined {
  const { condition, isOfOtherScheme, writes, removes } = plan;
  if (condition === 'unknown') return removes.length > 0 ? 'garbage' : undefined;
  if (condition === 'degraded' && writes.length > 0) return 'rebuild';
  if (condition === 'lost' || condition === 'doomed') return undefined;
  if (isOfOtherScheme) return 'reencode';
  if (condition === 'whole') return removes.length > 0 ? 'garbage' : undefined;
  return writes.length > 0 || removes.length > 0 ? 'rebalance' : undefined;
}

/**
 * The plan for what an audit found. A chunk that seems to lack pieces is looked at once more: the
 * epoch that stored it may have come between the pages of the disks and that of the metadata.
 */
export async function planFor(view: WorkView, entry: ChunkAudit): Promise<ChunkPlan> {
  const plan = planChunk(entry, view.hardware, view.target);
  const isDoubtful = view.hasNews && (plan.condition === 'degraded' || plan.condition === 'lost');
  if (!isDoubtful) return plan;
  return planChunk(await lookAt(view, entry.id), view.hardware, view.target);
}

/**
 * Walks over all chunks and says how they are; changes nothing. Undefined when it was over before
 * the end. It takes the processor more than the disks, of the thread that also serves commits: so
 * it rests between pages as other work does.
 */
export async function survey(
  view: WorkView,
  options: {
    onPage: (chunks: number) => void;
    throttle: Pick<Throttle, 'worked' | 'rest'>;
    isOver: () => boolean;
  },
): Promise<Survey | undefined> {
  const { onPage, throttle, isOver } = options;
  const found = emptySurvey();
  let startMs = performance.now();
  for await (const page of audit(view.sources)) {
    for (const entry of page) count(found, entry, await planFor(view, entry), view);
    onPage(page.length);
    throttle.worked(performance.now() - startMs, 0);
    await throttle.rest(isOver);
    if (isOver()) return undefined;
    startMs = performance.now();
  }
  return found;
}

function emptySurvey(): Survey {
  const todo = Object.fromEntries(
    KINDS.map((kind): [Kind, Amount] => [kind, { chunks: 0, bytes: 0 }]),
  ) as Record<Kind, Amount>;
  const conditions = { degraded: 0, misplaced: 0, lost: 0, otherScheme: 0, waiting: 0 };
  return { chunks: 0, pieces: 0, ...conditions, todo };
}

function count(found: Survey, entry: ChunkAudit, plan: ChunkPlan, view: WorkView): void {
  const { condition, isOfOtherScheme, waitsFor, writes, removes } = plan;
  const { known, pieces } = entry;
  found.pieces += pieces.length;
  if (known !== undefined) found.chunks++;
  if (condition === 'degraded' || condition === 'misplaced' || condition === 'lost') {
    found[condition]++;
  }
  if (isOfOtherScheme) found.otherScheme++;
  if (waitsFor.length > 0) found.waiting++;
  const kind = kindOf(plan);
  if (kind === undefined) return;
  const { scheme, lengthBytes = 0 } = known ?? {};
  const amount = found.todo[kind];
  amount.chunks++;
  if (kind === 'garbage') amount.bytes += removes.reduce((sum, { bytes }) => sum + bytes, 0);
  else if (kind === 'reencode') amount.bytes += stored(view, lengthBytes);
  else if (scheme !== undefined) amount.bytes += writes.length * pieceBytes(scheme, lengthBytes);
}

function stored({ target }: WorkView, lengthBytes: number): number {
  return pieceBytes(target, lengthBytes) * pieceCount(target);
}
