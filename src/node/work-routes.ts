import { DfsError } from '../base/errors.ts';
import type { WorkFacts } from '../repair/mod.ts';
import type { WorkOrder } from './background.ts';
import type { LiveVolume } from './live-volume.ts';

/** Writes one line of a streamed answer. */
export type Say = (event: object) => void;
/** Answers a call of the control API. */
export type Route = (query: URLSearchParams, say: Say) => unknown;

const PROGRESS_MS = 200;

/** The calls of the control API that are about background work and what it works towards. */
export function workRoutes({ store }: LiveVolume): Record<string, Route> {
  return {
    'GET /scheme': () => store.scheme(),
    'POST /scheme': (query) => store.setScheme(query.get('scheme') ?? ''),
    'GET /work': () => store.work(),
    'POST /work': (query, say) => {
      const order = query.get('order');
      if (order === 'wait') return waited(store, say, store.workWait());
      return store.workOrder(orderIn(order, query));
    },
    'POST /scrub': async (query, say) => {
      const begun = await store.workOrder({ kind: 'scrub' });
      if (query.get('wait') !== 'true') return begun;
      return waited(store, say, scrubbed(store, begun));
    },
  };
}

/** Says how far the work is until `work` has ended. */
async function waited(
  store: LiveVolume['store'],
  say: Say,
  work: Promise<WorkFacts>,
): Promise<WorkFacts> {
  const timer = setInterval(() => {
    // Whoever waits hears of a failure from the work itself.
    void store.work().then(
      (facts) => say({ progress: facts ?? null }),
      () => undefined,
    );
  }, PROGRESS_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}

/** Until the round that was just asked for is over, and what it found is repaired. */
async function scrubbed(store: LiveVolume['store'], begun: WorkFacts): Promise<WorkFacts> {
  for (;;) {
    const facts = await store.work();
    if (facts?.scrub.startedMs !== begun.scrub.startedMs) return store.workWait();
    if (facts.pausedBy !== undefined) {
      throw new DfsError('BUSY', 'Cannot wait for the scrub: background work was paused');
    }
    await new Promise((resolve) => setTimeout(resolve, PROGRESS_MS));
  }
}

function orderIn(name: string | null, query: URLSearchParams): WorkOrder {
  if (name === 'pause' || name === 'resume') return { kind: name };
  if (name === 'limit') return { kind: name, bytesPerSecond: limitIn(query) };
  throw new DfsError('BAD_ARGUMENT', `Cannot order "${name}" of background work: no such order`);
}

function limitIn(query: URLSearchParams): number | undefined {
  const text = query.get('bytes');
  if (text === null || text === 'none') return undefined;
  const bytes = Number(text);
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new DfsError('BAD_ARGUMENT', `Cannot limit background work to "${text}" bytes a second`);
}
