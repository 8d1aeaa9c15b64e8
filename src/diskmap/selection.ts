/**
 * The pieces' disks for one key: of all disks in the order in which their clocks ring, each is
 * taken that no limit forbids, until there are enough. Limits nest (a machine lies in one rack), so
 * they form a matroid, for which greed has these properties:
 *  1. a ring that was refused stays refused whatever rings before or after, so only what is
 *     taken needs to be kept, and rings may come in any order;
 *  2. taking one disk away brings in at most one other and moves none of the rest.
 */
import type { Limit, Plan } from './plan.ts';

/** What is taken so far for one key; kept and cleared, since lookups are too many for garbage. */
export class Selection {
  /** Number of disks taken. */
  length = 0;
  /** Disks taken, by rising rank. */
  readonly diskIds: Int32Array;
  /** [0]: no ring from this time on changes the selection; infinite until it is full. */
  readonly end: Float64Array = new Float64Array(1);
  readonly #plan: Plan;
  /** Disks in the order {@link withoutPosition} found. */
  readonly waiting: Int32Array;
  /** When each taken disk rang. */
  readonly times: Float64Array;
  /** The same with the gain of its domain: what is compared. */
  readonly #ranks: Float64Array;
  size = 0;
  #limits: readonly Limit[] = [];

  constructor(plan: Plan) {
    this.#plan = plan;
    this.diskIds = new Int32Array(plan.count + 1);
    this.waiting = new Int32Array(plan.count + 1);
    this.times = new Float64Array(plan.count + 1);
    this.#ranks = new Float64Array(plan.count + 1);
  }

  /** Begins with nothing. */
  clear(): void {
    this.length = 0;
  }

  /** Drops the disks that do not pass; by property 2 the rest belongs to what is selected next. */
  retain(keep: (diskId: number) => boolean): void {
    let kept = 0;
    for (let at = 0; at < this.length; at++) {
      const diskId = this.diskIds[at] as number;
      if (keep(diskId)) this.diskIds[kept++] = diskId;
    }
    this.length = kept;
  }

  /** From now on takes up to `size` disks within the limits; those it has rank before others. */
  extend(size: number, limits: readonly Limit[]): void {
    this.size = size;
    this.#limits = limits;
    this.times.fill(0, 0, this.length);
    this.#ranks.fill(0, 0, this.length);
    this.end[0] = Number.POSITIVE_INFINITY;
  }

  /** Puts the disks that are not among these into `waiting`, first ring first; their number. */
  withoutPosition(positions: readonly number[]): number {
    const { diskIds, times, waiting } = this;
    const isSome = positions.some((id) => id !== 0);
    let count = 0;
    for (let at = 0; at < this.length; at++) {
      if (isSome && positions.includes(diskIds[at] as number)) continue;
      let turn = count++;
      while (turn > 0 && (times[waiting[turn - 1] as number] as number) > (times[at] as number)) {
        waiting[turn] = waiting[turn - 1] as number;
        turn--;
      }
      waiting[turn] = at;
    }
    for (let turn = 0; turn < count; turn++) {
      waiting[turn] = diskIds[waiting[turn] as number] as number;
    }
    return count;
  }

  /** Takes the disk that rang at `time[0]` if it belongs here, and drops what it displaces. */
  offer(diskId: number, time: Float64Array): void {
    const { domainOf, gains } = this.#plan;
    const rang = time[0] as number;
    const rank = rang / (gains[domainOf[diskId] as number] as number);
    const ranks = this.#ranks;
    let at = this.length;
    if (at >= this.size && rank >= (ranks[at - 1] as number)) return;
    while (at > 0 && (ranks[at - 1] as number) > rank) at--;
    if (!this.#fits(diskId, at)) return;
    for (let to = this.length; to > at; to--) this.#move(to - 1, to);
    this.diskIds[at] = diskId;
    this.times[at] = rang;
    ranks[at] = rank;
    this.length++;
    for (let later = at + 1; later < this.length; later++) {
      // At most one of the later ones is in the way of the new one (property 2).
      if (this.#fits(this.diskIds[later] as number, later)) continue;
      for (let from = later + 1; from < this.length; from++) this.#move(from, from - 1);
      this.length--;
      break;
    }
    if (this.length > this.size) this.length = this.size;
    if (this.length === this.size) this.#setEnd();
  }

  #move(from: number, to: number): void {
    this.diskIds[to] = this.diskIds[from] as number;
    this.times[to] = this.times[from] as number;
    this.#ranks[to] = this.#ranks[from] as number;
  }

  #setEnd(): void {
    let last = 0;
    for (let at = 0; at < this.length; at++) last = Math.max(last, this.times[at] as number);
    this.end[0] = last;
    // A domain that is in is only changed by a ring before its own. One that is out must beat
    // the last rank, and the fastest of them has the most time for it.
    const { byGain, gains } = this.#plan;
    for (let at = 0; at < byGain.length; at++) {
      const domain = byGain[at] as number;
      if (this.#hasDomain(domain)) continue;
      const latest = (this.#ranks[this.length - 1] as number) * (gains[domain] as number);
      this.end[0] = Math.max(last, latest);
      return;
    }
  }

  #hasDomain(domain: number): boolean {
    const { domainOf } = this.#plan;
    for (let at = 0; at < this.length; at++) {
      if (domainOf[this.diskIds[at] as number] === domain) return true;
    }
    return false;
  }

  /** Whether the disk may join those taken before position `end`. */
  #fits(diskId: number, end: number): boolean {
    const diskIds = this.diskIds;
    for (let at = 0; at < end; at++) if (diskIds[at] === diskId) return false;
    for (let index = 0; index < this.#limits.length; index++) {
      const { nodeOf, cap } = this.#limits[index] as Limit;
      const node = nodeOf[diskId] as number;
      let count = 0;
      for (let at = 0; at < end; at++) if (nodeOf[diskIds[at] as number] === node) count++;
      if (count >= cap) return false;
      // Nodes below hold one piece at most when this one does.
      if (cap === 1) return true;
    }
    return true;
  }
}
