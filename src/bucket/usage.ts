import type { BucketTotals, PieceLocation } from './bucket-index.ts';

/** What pieces take, records with headers and padding. */
export interface PieceTotals {
  pieces: number;
  bytes: number;
}

/** What the pieces of a disk take. */
export interface DiskUsage extends PieceTotals {
  readonly perBucket: ReadonlyMap<number, Readonly<PieceTotals>>;
}

/** Counts along with the index, which would have to read every row to know. */
export class UsageCounter {
  readonly #perBucket = new Map<number, PieceTotals>();

  constructor(totals: readonly BucketTotals[]) {
    for (const { bucket, pieces, bytes } of totals) this.#perBucket.set(bucket, { pieces, bytes });
  }

  add({ bucket, bytes }: PieceLocation): void {
    const totals = this.#perBucket.get(bucket) ?? { pieces: 0, bytes: 0 };
    totals.pieces++;
    totals.bytes += bytes;
    this.#perBucket.set(bucket, totals);
  }

  remove({ bucket, bytes }: PieceLocation): void {
    const totals = this.#perBucket.get(bucket);
    if (totals === undefined) return;
    totals.pieces--;
    totals.bytes -= bytes;
    if (totals.pieces === 0) this.#perBucket.delete(bucket);
  }

  usage(): DiskUsage {
    const perBucket = new Map<number, PieceTotals>();
    let [pieces, bytes] = [0, 0];
    for (const [bucket, totals] of this.#perBucket) {
      perBucket.set(bucket, { ...totals });
      pieces += totals.pieces;
      bytes += totals.bytes;
    }
    return { pieces, bytes, perBucket };
  }
}
