import type { WorkFacts } from '../repair/mod.ts';
import { family, type Sample } from './metric-family.ts';

const STATES: readonly WorkFacts['state'][] = [
  'idle',
  'checking',
  'working',
  'scrubbing',
  'waiting',
  'paused',
];

/** Background work as Prometheus reads it; nothing where there is none. */
export function workFamilies(work: WorkFacts | undefined): string[] {
  if (work === undefined) return [];
  const { state, done, total, rate, lastWalk, scrub, totals } = work;
  const one = (value: number): Sample[] => [[{}, value]];
  const found = lastWalk === undefined ? [] : (['degraded', 'misplaced', 'lost'] as const);
  return [
    family(
      'work_state',
      'gauge',
      'What background work does: 1 for that.',
      STATES.map((name) => [{ state: name }, Number(name === state)]),
    ),
    family('work_chunks_done', 'gauge', 'Chunks that this piece of work has done.', one(done)),
    family('work_chunks', 'gauge', 'Chunks that it is about.', one(total)),
    family('work_bytes_per_second', 'gauge', 'Its rate.', one(rate)),
    family(
      'work_bytes_total',
      'counter',
      'Bytes written, or freed as garbage.',
      Object.entries(totals.bytes).map(([kind, bytes]) => [{ kind }, bytes]),
    ),
    family('work_failures_total', 'counter', 'Chunks it failed with.', one(totals.failures)),
    family('work_forgotten_total', 'counter', 'Dead chunks forgotten.', one(totals.forgotten)),
    family(
      'chunks_found',
      'gauge',
      'What the last walk over all chunks found.',
      found.map((condition) => [{ condition }, lastWalk?.[condition] ?? 0]),
    ),
    family(
      'walk_is_current',
      'gauge',
      'No disk has changed since the last walk.',
      one(Number(lastWalk?.isCurrent ?? false)),
    ),
    family('scrub_done_ratio', 'gauge', 'Share of the round.', one(scrub.cursorShare)),
    family('scrub_bad_pieces', 'gauge', 'Found bad in the round.', one(scrub.bad)),
    family(
      'scrub_last_full_timestamp_seconds',
      'gauge',
      'When the last round ended.',
      scrub.lastFullMs === undefined ? [] : one(scrub.lastFullMs / 1000),
    ),
  ];
}
