/** A snapshot, as far as its age decides whether it stays. */
export interface AgedSnapshot {
  epoch: number;
  /** When its epoch was cut, in ms since 1970. */
  cutTimeMs: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS: number = 60 * MINUTE_MS;
const DAY_MS: number = 24 * HOUR_MS;
/** Of snapshots up to an age, the newest of each of these spans stays. */
const SPANS: readonly { ageMs: number; spanMs: number }[] = [
  { ageMs: HOUR_MS, spanMs: 5 * MINUTE_MS },
  { ageMs: DAY_MS, spanMs: HOUR_MS },
  { ageMs: Number.POSITIVE_INFINITY, spanMs: DAY_MS },
];
/** One that is known to be good stays until the one after the next is published. */
const ALWAYS_KEPT = 2;
const INTERVAL_MS_MIN = 1000;
const INTERVALS_KEPT = 24;

/** How long after a snapshot the next one is due, if something has changed. */
export function snapshotIntervalMs(retentionMs: number): number {
  if (retentionMs === 0) return MINUTE_MS;
  return Math.min(HOUR_MS, Math.max(INTERVAL_MS_MIN, retentionMs / INTERVALS_KEPT));
}

/**
 * The epochs whose snapshots stay: the newest two whatever their age; of the others not older than
 * `retentionMs` the newest of every five minutes of the last hour, of every hour of the last day,
 * of every day before. Spans begin at fixed times, each lies in one of the next size, and a newer
 * snapshot takes the place of an older one in its span whatever its own age asks for: so what stays
 * does not depend on how often somebody looks.
 */
export function keptEpochs(
  snapshots: readonly AgedSnapshot[],
  { nowMs, retentionMs }: { nowMs: number; retentionMs: number },
): Set<number> {
  const newestFirst = snapshots.toSorted((a, b) => b.epoch - a.epoch);
  const kept = new Set<number>();
  const taken = new Set<string>();
  const spanOf = (spanMs: number, timeMs: number): string =>
    `${spanMs} ${Math.floor(timeMs / spanMs)}`;
  for (const [index, { epoch, cutTimeMs }] of newestFirst.entries()) {
    const ageMs = nowMs - cutTimeMs;
    const wantedMs = SPANS.find((span) => ageMs <= span.ageMs)?.spanMs ?? DAY_MS;
    const isNewest = !taken.has(spanOf(wantedMs, cutTimeMs));
    for (const { spanMs } of SPANS) taken.add(spanOf(spanMs, cutTimeMs));
    if (index < ALWAYS_KEPT || (isNewest && ageMs <= retentionMs)) kept.add(epoch);
  }
  return kept;
}
