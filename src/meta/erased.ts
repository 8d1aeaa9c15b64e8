import type { Ino } from '../base/ids.ts';
import { IntervalSet } from '../base/interval-set.ts';
import type { ExtentRange, MetaOp } from './ops.ts';

/**
 * Ranges of files that operations erased or replaced since a cut: what a commit in flight stored for
 * them must not come back.
 */
export class Erased {
  readonly #ranges = new Map<Ino, IntervalSet>();

  /** Takes note of what `op` does to the content of its file. */
  note(op: MetaOp): void {
    if (op.kind === 'truncate') this.#add(op.ino, op.sizeBytes, Number.MAX_SAFE_INTEGER);
    else if (op.kind === 'punch' || op.kind === 'clone') {
      this.#add(op.ino, op.offset, op.offset + op.lengthBytes);
    }
  }

  #add(ino: Ino, start: number, end: number): void {
    let ranges = this.#ranges.get(ino);
    if (ranges === undefined) {
      ranges = new IntervalSet();
      this.#ranges.set(ino, ranges);
    }
    ranges.add(start, end);
  }

  /** The parts of `ranges` that were not erased. */
  clip(ino: Ino, ranges: ExtentRange[]): ExtentRange[] {
    const erased = this.#ranges.get(ino);
    if (erased === undefined) return ranges;
    return ranges.flatMap((range) =>
      erased.gaps(range.offset, range.offset + range.lengthBytes).map(({ start, end }) => ({
        ...range,
        offset: start,
        lengthBytes: end - start,
        chunkOffset: range.chunkOffset + (start - range.offset),
      })),
    );
  }
}
