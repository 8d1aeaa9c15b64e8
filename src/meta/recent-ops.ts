import { KIB } from '../base/limits.ts';

/** A commit with more operations than this is not a small one. */
const BYTES_MAX: number = 64 * KIB;

/**
 * The journal's newest operations as bytes in memory, so that a small commit need not wait for
 * SQLite: those behind the last committed one, if they are few.
 */
export class RecentOps {
  #rows: { firstSeq: number; lastSeq: number; bytes: Buffer }[] = [];
  #bytes = 0;

  /** Operations were added to the journal; `bytes` is copied. */
  note(firstSeq: number, count: number, bytes: Buffer): void {
    if (this.#bytes + bytes.length > BYTES_MAX) return this.clear();
    const own = Buffer.from(bytes);
    this.#rows.push({ firstSeq, lastSeq: firstSeq + count - 1, bytes: own });
    this.#bytes += own.length;
  }

  /** Operations up to `seq` are committed. */
  drop(seq: number): void {
    while ((this.#rows[0]?.lastSeq ?? Number.POSITIVE_INFINITY) <= seq) {
      this.#bytes -= this.#rows.shift()?.bytes.length ?? 0;
    }
  }

  clear(): void {
    this.#rows = [];
    this.#bytes = 0;
  }

  /** The operations in (afterSeq, seq] in memory of their own; undefined if not all are here. */
  between(afterSeq: number, seq: number): Buffer | undefined {
    const rows = this.#rows.filter(({ lastSeq }) => lastSeq > afterSeq);
    let next = afterSeq + 1;
    const out = Buffer.allocUnsafeSlow(rows.reduce((sum, { bytes }) => sum + bytes.length, 0));
    let at = 0;
    for (const { firstSeq, lastSeq, bytes } of rows) {
      if (firstSeq !== next) return undefined;
      at += bytes.copy(out, at);
      next = lastSeq + 1;
    }
    return next === seq + 1 ? out : undefined;
  }
}
