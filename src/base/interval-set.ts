/** A half-open range of numbers, [start, end). */
export interface Interval {
  start: number;
  end: number;
}

/**
 * A set of numbers as sorted, disjoint, non-touching intervals. Lookups are binary searches;
 * changes copy the tail of an array, which is cheap for the few hundred intervals a file has.
 */
export class IntervalSet {
  #starts: number[] = [];
  #ends: number[] = [];
  #total = 0;

  /** How many numbers are in the set. */
  get total(): number {
    return this.#total;
  }

  get count(): number {
    return this.#starts.length;
  }

  get isEmpty(): boolean {
    return this.#starts.length === 0;
  }

  /** Index of the first interval that ends behind `at`. */
  #firstEndingAfter(at: number): number {
    let low = 0;
    let high = this.#ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ends[middle] as number) > at) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  covers(start: number, end: number): boolean {
    if (start >= end) return true;
    const index = this.#firstEndingAfter(start);
    if (index === this.#starts.length) return false;
    return (this.#starts[index] as number) <= start && end <= (this.#ends[index] as number);
  }

  intersects(start: number, end: number): boolean {
    if (start >= end) return false;
    const index = this.#firstEndingAfter(start);
    return index < this.#starts.length && (this.#starts[index] as number) < end;
  }

  /** What is left behind `at` of the first interval that ends there, or undefined. */
  next(at: number): Interval | undefined {
    const index = this.#firstEndingAfter(at);
    if (index === this.#starts.length) return undefined;
    const start = Math.max(at, this.#starts[index] as number);
    return { start, end: this.#ends[index] as number };
  }

  /** Adds [start, end); returns how many numbers are new. */
  add(start: number, end: number): number {
    if (start >= end) return 0;
    // Touching neighbours are merged: an interval ending at `start` counts.
    const first = this.#firstEndingAfter(start - 1);
    let last = first;
    let from = start;
    let to = end;
    let known = 0;
    while (last < this.#starts.length && (this.#starts[last] as number) <= end) {
      const s = this.#starts[last] as number;
      const e = this.#ends[last] as number;
      known += e - s;
      if (s < from) from = s;
      if (e > to) to = e;
      last++;
    }
    const added = to - from - known;
    if (last - first === 1) {
      this.#starts[first] = from;
      this.#ends[first] = to;
    } else if (this.#starts.length === 0) {
      // Most sets have one interval all their life: arrays that grow keep room for sixteen more.
      this.#starts = [from];
      this.#ends = [to];
    } else {
      this.#starts.splice(first, last - first, from);
      this.#ends.splice(first, last - first, to);
    }
    this.#total += added;
    return added;
  }

  /** Removes [start, end); returns how many numbers were in the set. */
  remove(start: number, end: number): number {
    if (start >= end) return 0;
    const first = this.#firstEndingAfter(start);
    let last = first;
    let removed = 0;
    const starts: number[] = [];
    const ends: number[] = [];
    while (last < this.#starts.length && (this.#starts[last] as number) < end) {
      const s = this.#starts[last] as number;
      const e = this.#ends[last] as number;
      removed += Math.min(e, end) - Math.max(s, start);
      if (s < start) {
        starts.push(s);
        ends.push(start);
      }
      if (e > end) {
        starts.push(end);
        ends.push(e);
      }
      last++;
    }
    if (last > first) {
      this.#starts.splice(first, last - first, ...starts);
      this.#ends.splice(first, last - first, ...ends);
      this.#total -= removed;
    }
    return removed;
  }

  /** What of [start, end) is in the set, in order. */
  inside(start: number, end: number): Interval[] {
    const found: Interval[] = [];
    for (let index = this.#firstEndingAfter(start); index < this.#starts.length; index++) {
      const s = this.#starts[index] as number;
      if (s >= end) break;
      found.push({
        start: Math.max(s, start),
        end: Math.min(this.#ends[index] as number, end),
      });
    }
    return found;
  }

  /** What of [start, end) is not in the set, in order. */
  gaps(start: number, end: number): Interval[] {
    const missing: Interval[] = [];
    let at = start;
    for (const interval of this.inside(start, end)) {
      if (interval.start > at) missing.push({ start: at, end: interval.start });
      at = interval.end;
    }
    if (at < end) missing.push({ start: at, end });
    return missing;
  }

  /** A set of its own with the same numbers. */
  copy(): IntervalSet {
    const copy = new IntervalSet();
    copy.#starts = [...this.#starts];
    copy.#ends = [...this.#ends];
    copy.#total = this.#total;
    return copy;
  }

  *[Symbol.iterator](): Generator<Interval> {
    for (let index = 0; index < this.#starts.length; index++) {
      yield { start: this.#starts[index] as number, end: this.#ends[index] as number };
    }
  }

  clear(): void {
    this.#starts = [];
    this.#ends = [];
    this.#total = 0;
  }
}
