import type { ChunkId } from '../base/ids.ts';
import { MIB } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import { audit, type ChunkAudit } from './audit.ts';
import { carryOut, type Outcome, taskOf } from './carry-out.ts';
import { Lanes } from './lanes.ts';
import { lookAt } from './look.ts';
import type { ChunkPlan } from './plan.ts';
import type { Progress } from './progress.ts';
import { reencode } from './reencode.ts';
import { type Kind, kindOf, planFor } from './survey.ts';
import type { Throttle } from './throttle.ts';
import type { WorkView } from './work-volume.ts';

/** Content that one batch may have in memory, and how many batches run at once. */
const BATCH_BYTES: number = 16 * MIB;
const LANES = 4;
/** The same while the foreground is busy: its calls wait for a batch at most. */
const BATCH_BYTES_BUSY: number = 4 * MIB;
const LANES_BUSY = 1;
/** Chunks in a batch, however small they are. */
const BATCH_CHUNKS = 256;

/** What a pass works with. */
export interface PassParts {
  readonly view: WorkView;
  readonly throttle: Throttle;
  readonly isBusy: () => boolean;
  /** The pass is to end: it is paused, or the hardware has changed. */
  readonly isOver: () => boolean;
  readonly progress: Progress;
  readonly log: Log;
}

/** What a pass came to. */
export interface PassResult {
  done: number;
  failed: number;
  /** Why the first of them failed; '' if none did. */
  reason: string;
}

interface Item {
  readonly plan: ChunkPlan;
  readonly entry: ChunkAudit;
}

/** Does all there is to do of one kind, walking over all chunks. */
export async function runPass(kind: Kind, parts: PassParts): Promise<PassResult> {
  const batches = new Batches(kind, parts);
  for await (const page of audit(parts.view.sources)) {
    for (const entry of page) {
      if (parts.isOver()) break;
      const plan = await planFor(parts.view, entry);
      if (kindOf(plan) === kind) await batches.add({ plan, entry });
    }
    if (parts.isOver()) break;
  }
  return batches.end();
}

/** Does what there is to do about some chunks, of whatever kind; again until nothing is. */
export async function repairChunks(ids: readonly ChunkId[], parts: PassParts): Promise<PassResult> {
  const total: PassResult = { done: 0, failed: 0, reason: '' };
  for (const id of ids) {
    const entry = await lookAt(parts.view, id);
    const plan = await planFor(parts.view, entry);
    const kind = kindOf(plan);
    if (kind === undefined) continue;
    const batches = new Batches(kind, parts);
    await batches.add({ plan, entry });
    const { done, failed, reason } = await batches.end();
    total.done += done;
    total.failed += failed;
    if (total.reason === '') total.reason = reason;
  }
  return total;
}

/** Collects chunks into batches and carries those out, several at once. */
class Batches {
  readonly #kind: Kind;
  readonly #parts: PassParts;
  readonly #lanes: Lanes;
  readonly #result: PassResult = { done: 0, failed: 0, reason: '' };
  #items: Item[] = [];
  #bytes = 0;

  constructor(kind: Kind, parts: PassParts) {
    this.#kind = kind;
    this.#parts = parts;
    this.#lanes = new Lanes(() => (parts.isBusy() ? LANES_BUSY : LANES));
  }

  async add(item: Item): Promise<void> {
    this.#items.push(item);
    if (this.#kind !== 'garbage') this.#bytes += item.entry.known?.lengthBytes ?? 0;
    const bytesMax = this.#parts.isBusy() ? BATCH_BYTES_BUSY : BATCH_BYTES;
    if (this.#bytes >= bytesMax || this.#items.length >= BATCH_CHUNKS) await this.#start();
  }

  async end(): Promise<PassResult> {
    if (this.#items.length > 0 && !this.#parts.isOver()) await this.#start();
    await this.#lanes.end();
    return this.#result;
  }

  async #start(): Promise<void> {
    const { throttle, isOver } = this.#parts;
    const items = this.#items;
    this.#items = [];
    this.#bytes = 0;
    await throttle.rest(isOver);
    if (isOver()) return;
    await this.#lanes.start(() => this.#run(items));
  }

  async #run(items: readonly Item[]): Promise<void> {
    const { throttle, progress, log } = this.#parts;
    const startMs = performance.now();
    const outcome = await this.#carryOut(items);
    throttle.worked(performance.now() - startMs, this.#kind === 'garbage' ? 0 : outcome.bytes);
    progress.add(outcome.done, outcome.bytes);
    const [first] = outcome.failed;
    this.#result.done += outcome.done;
    this.#result.failed += outcome.failed.length;
    if (first === undefined) return;
    if (this.#result.reason === '') this.#result.reason = first.reason;
    const facts = { kind: this.#kind, chunks: outcome.failed.length, reason: first.reason };
    log('warn', 'work.failed', facts);
  }

  #carryOut(items: readonly Item[]): Promise<Outcome> {
    const { volume } = this.#parts.view;
    if (this.#kind === 'garbage') return removeAll(this.#parts.view, items);
    const tasks = items.flatMap(({ plan, entry }) => taskOf(plan, entry));
    if (this.#kind === 'reencode') return reencode(this.#parts.view, tasks);
    return carryOut(volume, tasks);
  }
}

async function removeAll({ volume }: WorkView, items: readonly Item[]): Promise<Outcome> {
  const pieces = items.flatMap(({ plan }) => plan.removes);
  const removed = await volume.removeUnneeded(pieces);
  // What was needed after all is one of them as any other.
  const bytes = pieces.reduce((sum, piece) => sum + piece.bytes, 0) * (removed / pieces.length);
  return { bytes: Math.round(bytes), done: items.length, failed: [] };
}
