/** Buckets of a factor of two: a value is known to an eighth. */
const STEPS = 8;
/** Times are counted in eighths of a microsecond, the finest a clock reading is good for. */
const TICKS_A_MS = 8000;
const TICKS_MAX: number = 2 ** 30 - 1; // 134 s; what took longer counts as that.
const BUCKETS = 28 * STEPS;

/** How many of some times lie at or below `upToMs`, and above the bucket before. */
export type LatencyBucket = [upToMs: number, count: number];

/**
 * Histograms of times, one a row, in buckets that grow by an eighth (as HdrHistogram's, by Gil
 * Tene). A record is two array accesses and no allocation.
 */
export class LatencyTable {
  readonly #counts: Float64Array;

  constructor(rows: number) {
    this.#counts = new Float64Array(rows * BUCKETS);
  }

  record(row: number, ms: number): void {
    const at = row * BUCKETS + bucketOf(ms);
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  /** The buckets of a row that count something, in order. */
  buckets(row: number): LatencyBucket[] {
    const found: LatencyBucket[] = [];
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = this.#counts[row * BUCKETS + bucket] ?? 0;
      if (count > 0) found.push([upperMs(bucket), count]);
    }
    return found;
  }
}

function bucketOf(ms: number): number {
  const ticks = Math.min(TICKS_MAX, Math.max(0, Math.round(ms * TICKS_A_MS)));
  if (ticks < STEPS) return ticks;
  const shift = 28 - Math.clz32(ticks); // The three bits below the highest choose the step.
  return (shift + 1) * STEPS + (ticks >>> shift) - STEPS;
}

/** The longest time of a bucket. */
function upperMs(bucket: number): number {
  if (bucket < STEPS) return bucket / TICKS_A_MS;
  const shift = Math.floor(bucket / STEPS) - 1;
  return (((bucket % STEPS) + STEPS + 1) * 2 ** shift - 1) / TICKS_A_MS;
}

/**
 * The time that a share of all (0.99: 99 of 100) did not exceed, rounded up to a bucket; undefined
 * of nothing.
 */
export function percentileMs(buckets: readonly LatencyBucket[], share: number): number | undefined {
  const total = buckets.reduce((sum, [, count]) => sum + count, 0);
  let left = Math.ceil(total * share);
  for (const [upTo, count] of buckets) {
    left -= count;
    if (left <= 0) return upTo;
  }
  return undefined;
}

/** What `later` counts and `earlier`, taken before of the same row, does not. */
export function latenciesSince(
  later: readonly LatencyBucket[],
  earlier: readonly LatencyBucket[],
): LatencyBucket[] {
  const before = new Map(earlier);
  return later
    .map(([upTo, count]): LatencyBucket => [upTo, count - (before.get(upTo) ?? 0)])
    .filter(([, count]) => count > 0);
}
