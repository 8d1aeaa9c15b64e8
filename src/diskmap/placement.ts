import { assert, DfsError } from '../base/errors.ts';
import { Clocks } from './clocks.ts';
import type { DiskEntry, DiskMap } from './diskmap.ts';
import { createDiskMap, presentDisks } from './diskmap.ts';
import type { Level } from './failure-domain.ts';
import { jumpHash } from './jump-hash.ts';
import { ln } from './logarithm.ts';
import { mix32, unit } from './mix.ts';
import { createPlan, type Plan } from './plan.ts';
import { Selection } from './selection.ts';

/** A piece's bucket: the disk and the bucket in it, 1..weight. */
export interface Placement {
  readonly disk: DiskEntry;
  readonly bucket: number;
}

/** Whether a disk can take or give a piece just now; what is not `in` in the map is never asked. */
export type Usable = (disk: DiskEntry) => boolean;

/** How the pieces of a chunk may share nodes: `domain` is the highest level that separates them. */
export interface Spread {
  readonly domain: Level;
  /** Most pieces of one chunk in a node, for the levels above `domain` that limit it. */
  readonly most: readonly { readonly level: Level; readonly pieces: number }[];
}

/** Computes where pieces are, for one version of the map. */
export interface Placer {
  readonly map: DiskMap;
  /**
   * A placement for each of `count` pieces of a key of 32 bytes (a hash), by position. Positions
   * are undefined when there are fewer disks than pieces. Disks that are not `in` or not usable
   * are replaced, those that are `removed` do not count at all; the other pieces stay in their positions. Same map and key, same answer, everywhere.
   * `usable` must not place anything itself.
   */
  place(key: Buffer, count: number, usable?: Usable): (Placement | undefined)[];
  /** How the pieces of chunks of `count` pieces are kept apart, as far as disks are usable. */
  spread(count: number): Spread;
}

export const PLACEMENT_KEY_BYTES = 32;
export const PIECES_MAX = 255;

/** After this many arrivals of the clocks, the disks still missing are drawn one by one. */
const ARRIVALS_MAX = 65_536;
/** Fewer here: that too few usable disks are left is common, and their order is soon forgotten. */
const ARRIVALS_MAX_OF_USABLE = 1024;

interface Draw {
  readonly key: Buffer;
  /** When to stop waiting for rings. */
  readonly lastTime: number;
  readonly fit?: Usable;
}

interface Choice {
  readonly plan: Plan;
  readonly selection: Selection;
  /** Disk ids, 0 for none yet. */
  readonly positions: number[];
}

/** Prepares a map for lookups; throws BAD_ARGUMENT when the map is not valid. */
export function createPlacer(map: DiskMap): Placer {
  return new ClockPlacer(createDiskMap(map));
}

class ClockPlacer implements Placer {
  readonly map: DiskMap;
  /** Without those that are removed. */
  readonly #disks: readonly DiskEntry[];
  readonly #disksById: DiskEntry[] = [];
  readonly #clocks: Clocks;
  readonly #weights: Int32Array;
  readonly #totalWeight: number;
  readonly #lastTime: number;
  readonly #lastTimeOfUsable: number;
  readonly #hasOut: boolean;
  readonly #plans = new Map<number, { plan: Plan; selection: Selection }>();
  readonly #limit: Float64Array = new Float64Array(1);
  /** Clocks and selections serve one lookup at a time. */
  #isPlacing = false;

  constructor(map: DiskMap) {
    this.map = map;
    this.#disks = presentDisks(map);
    this.#weights = new Int32Array((this.#disks.at(-1)?.id ?? 0) + 1);
    for (const disk of this.#disks) {
      this.#disksById[disk.id] = disk;
      this.#weights[disk.id] = disk.weight;
    }
    this.#clocks = new Clocks(this.#disks);
    this.#lastTime = drawEnd(this.#clocks.rate, ARRIVALS_MAX);
    this.#lastTimeOfUsable = drawEnd(this.#clocks.rate, ARRIVALS_MAX_OF_USABLE);
    this.#totalWeight = this.#disks.reduce((sum, disk) => sum + disk.weight, 0);
    this.#hasOut = !this.#disks.every(isIn);
  }

  #planFor(count: number): { plan: Plan; selection: Selection } {
    const known = this.#plans.get(count);
    if (known !== undefined) return known;
    if (!Number.isInteger(count) || count < 1 || count > PIECES_MAX) {
      throw new DfsError(
        'BAD_ARGUMENT',
        `Cannot place ${count} pieces: 1 to ${PIECES_MAX} are allowed`,
      );
    }
    const plan = createPlan(this.#disks, count);
    const planned = { plan, selection: new Selection(plan) };
    this.#plans.set(count, planned);
    return planned;
  }

  /** Runs the clocks until the selection is full or all disks that fit were offered. */
  #fill(selection: Selection, draw: Draw): void {
    const { key, lastTime, fit } = draw;
    this.#clocks.start(key);
    for (let until = (selection.size + 2) / this.#totalWeight; ; until *= 2) {
      const explored = Math.min(until, lastTime);
      this.#limit[0] = Math.min(explored, selection.end[0] as number);
      for (let id = this.#clocks.next(this.#limit); id !== 0; id = this.#clocks.next(this.#limit)) {
        if (fit !== undefined && !fit(this.#disksById[id] as DiskEntry)) continue;
        selection.offer(id, this.#clocks.time);
        this.#limit[0] = Math.min(this.#limit[0], selection.end[0] as number);
      }
      if ((selection.end[0] as number) <= explored) return;
      if (explored === lastTime) break;
    }
    // Clocks have no memory: what has not rung by now rings after another exponential time.
    const time = new Float64Array(1);
    for (const disk of this.#disks) {
      if (fit !== undefined && !fit(disk)) continue;
      const wait = -ln(unit(this.#clocks.bits(mix32(disk.id) ^ 0x77616974))) / disk.weight;
      time[0] = lastTime + wait;
      selection.offer(disk.id, time);
    }
  }

  /**
   * Replaces the disks that do not fit and leaves the others in their positions, giving up limits
   * from the top when there are too few disks for them.
   */
  #replace(choice: Choice, draw: Draw & { fit: Usable }): void {
    const { plan, selection, positions } = choice;
    const stays = (id: number): boolean => draw.fit(this.#disksById[id] as DiskEntry);
    if (positions.every((id) => id === 0 || stays(id))) return;
    positions.forEach((id, at) => {
      if (id !== 0 && !stays(id)) positions[at] = 0;
    });
    selection.retain(stays);
    for (let given = 0; given <= plan.limits.length; given++) {
      const size = plan.liveSizes[given] as number;
      if (size <= selection.length) continue;
      selection.extend(size, plan.limits.slice(given));
      this.#fill(selection, draw);
    }
    assign(choice, this.#clocks);
  }

  /** The disks of the positions, 0 for none. */
  #choose(key: Buffer, count: number, usable: Usable | undefined): number[] {
    const { plan, selection } = this.#planFor(count);
    const positions = new Array<number>(count).fill(0);
    if (plan.size === 0) return positions;
    const choice = { plan, selection, positions };
    selection.clear();
    selection.extend(plan.size, plan.limits);
    this.#fill(selection, { key, lastTime: this.#lastTime });
    assign(choice, this.#clocks);
    // First all disks, then those that are in, then those usable: each step moves what it must.
    if (this.#hasOut) this.#replace(choice, { key, lastTime: this.#lastTime, fit: isIn });
    if (usable === undefined) return positions;
    const fit: Usable = (disk) => isIn(disk) && usable(disk);
    this.#replace(choice, { key, lastTime: this.#lastTimeOfUsable, fit });
    return positions;
  }

  place(key: Buffer, count: number, usable?: Usable): (Placement | undefined)[] {
    if (key.length !== PLACEMENT_KEY_BYTES) {
      const state = `it has ${key.length} of ${PLACEMENT_KEY_BYTES} bytes`;
      throw new DfsError('BAD_ARGUMENT', `Cannot place a key: ${state}`);
    }
    assert(!this.#isPlacing, 'usable() does not place');
    this.#isPlacing = true;
    try {
      const diskIds = this.#choose(key, count, usable);
      const placements = new Array<Placement | undefined>(count).fill(undefined);
      for (let at = 0; at < count; at++) {
        const diskId = diskIds[at] as number;
        if (diskId === 0) continue;
        const weight = this.#weights[diskId] as number;
        const bucket = 1 + jumpHash(this.#clocks.bits(mix32(diskId)), weight);
        placements[at] = { disk: this.#disksById[diskId] as DiskEntry, bucket };
      }
      return placements;
    } finally {
      this.#isPlacing = false;
    }
  }

  spread(count: number): Spread {
    const { limits, liveSizes } = this.#planFor(count).plan;
    const given = liveSizes.findIndex((size) => size === liveSizes.at(-1));
    const kept = limits.slice(given);
    const domain = kept.find((limit) => limit.cap === 1)?.level ?? 'disk';
    const above = kept.filter((limit) => limit.cap > 1);
    return { domain, most: above.map(({ level, cap }) => ({ level, pieces: cap })) };
  }
}

function isIn(disk: DiskEntry): boolean {
  return disk.state === 'in';
}

/** A power of four, so that it is the same for maps that differ by little. */
function drawEnd(rate: number, arrivalsMax: number): number {
  let end = arrivalsMax;
  while (end * rate > arrivalsMax) end /= 4;
  return end;
}

/**
 * Gives every selected disk that has no position yet a free one: the one its domain prefers for
 * this key, so that it mostly keeps it when another map puts other disks beside it. In the order in
 * which they rang and not by rank, because ranks shift with the weights of others.
 */
function assign(choice: Choice, clocks: Clocks): void {
  const { plan, selection, positions } = choice;
  let free = 0;
  for (let at = 0; at < plan.count; at++) if (positions[at] === 0) free++;
  const waiting = selection.withoutPosition(positions);
  for (let turn = 0; turn < waiting; turn++) {
    const diskId = selection.waiting[turn] as number;
    positions[free === 1 ? positions.indexOf(0) : preferred(choice, clocks, diskId)] = diskId;
    free--;
  }
}

function preferred(choice: Choice, clocks: Clocks, diskId: number): number {
  const { plan, positions } = choice;
  let bits = clocks.bits(plan.domainSaltOf[diskId] as number);
  let at = (bits >>> 0) % plan.count;
  while (positions[at] !== 0) {
    bits = mix32(bits + 1);
    at = (bits >>> 0) % plan.count;
  }
  return at;
}
