/** What can be worked out once per map and number of pieces, before any key is known. */
import type { DiskEntry } from './diskmap.ts';
import {
  capsFor,
  groupDisks,
  LEVELS,
  type Level,
  nodeName,
  rankOf,
  weightOf,
} from './failure-domain.ts';
import { ratesFor } from './inclusion.ts';
import { mix32 } from './mix.ts';

/** At most `cap` pieces of a chunk in one node; `nodeOf[disk id]` is its number. */
export interface Limit {
  readonly level: Level;
  readonly cap: number;
  readonly nodeOf: Int32Array;
}

/** A plan for chunks of a number of pieces; arrays with "Of" are indexed by disk id. */
export interface Plan {
  /** Number of pieces, and so of positions. */
  readonly count: number;
  /** Disks selected when all are usable, those that are failed or draining included. */
  readonly size: number;
  /** Room first; only those that forbid something. */
  readonly limits: readonly Limit[];
  /** How many disks that are in can be selected with the first 0, 1, 2, ... limits given up. */
  readonly liveSizes: readonly number[];
  /** The highest level whose nodes hold one piece at most. */
  readonly domainLevel: Level;
  readonly domainOf: Int32Array;
  /** A stable number of the domain, the same in every map. */
  readonly domainSaltOf: Int32Array;
  /** By domain: its clocks run this much faster than the weights say; the largest is 1. */
  readonly gains: Float64Array;
  /** Domains by falling gain. */
  readonly byGain: Int32Array;
}

/**
 * Makes the plan for `count` pieces on disks in order of their ids. Limits follow from all disks,
 * also those that are failed or draining: the loss of a room must not move the pieces in the other rooms.
 */
export function createPlan(disks: readonly DiskEntry[], count: number): Plan {
  const live = disks.filter((disk) => disk.state === 'in');
  const size = Math.min(count, disks.length);
  const caps = size === 0 ? LEVELS.map(() => 1) : capsFor(disks, size);
  const domainLevel = LEVELS[caps.indexOf(1)] as Level;
  const limits = LEVELS.flatMap((level, index): Limit[] => {
    const cap = caps[index] as number;
    if (level === 'disk' || cap >= size) return [];
    return [{ level, cap, nodeOf: numberNodes(disks, level).nodeOf }];
  });
  const liveSizes = Array.from({ length: limits.length + 1 }, (_, given) => {
    const kept = LEVELS.map((level, index) => {
      const gone = limits.slice(0, given).some((limit) => limit.level === level);
      return gone ? size : (caps[index] as number);
    });
    return Math.min(count, rankOf(live, kept));
  });
  const { nodeOf: domainOf, names } = numberNodes(disks, domainLevel);
  const domainSaltOf = new Int32Array(domainOf.length);
  for (const disk of disks) domainSaltOf[disk.id] = saltOf(disk, domainLevel);
  const gains = gainsFor({ live, caps, want: Math.min(count, live.length), names });
  const byGain = Int32Array.from(names.keys());
  byGain.sort((a, b) => (gains[b] as number) - (gains[a] as number) || a - b);
  const sizes = { count, size, liveSizes };
  return { ...sizes, limits, domainLevel, domainOf, domainSaltOf, gains, byGain };
}

function numberNodes(
  disks: readonly DiskEntry[],
  level: Level,
): { nodeOf: Int32Array; names: string[] } {
  const nodeOf = new Int32Array((disks.at(-1)?.id ?? 0) + 1).fill(-1);
  const names: string[] = [];
  for (const [name, group] of groupDisks(disks, level)) {
    for (const disk of group) nodeOf[disk.id] = names.length;
    names.push(name);
  }
  return { nodeOf, names };
}

/** A disk is known by its id, which survives a move to another rack; other nodes by their path. */
function saltOf(disk: DiskEntry, level: Level): number {
  if (level === 'disk') return mix32(disk.id);
  const text = `${level} ${nodeName(disk, level)}`;
  return Buffer.from(text).reduce((salt, byte) => mix32(salt + byte), 0);
}

/**
 * Rate over weight for every domain. Where a level above gives each of its nodes the same fixed
 * number of pieces (six pieces on three machines), domains compete inside of their node only.
 */
function gainsFor(task: {
  live: readonly DiskEntry[];
  caps: readonly number[];
  want: number;
  names: readonly string[];
}): Float64Array {
  const { live, caps, want, names } = task;
  const gains = new Float64Array(names.length).fill(1);
  if (want < 2) return gains;
  const domain = caps.indexOf(1);
  let arenas = [live as DiskEntry[]];
  let count = want;
  for (let index = 0; index < domain; index++) {
    const groups = [...groupDisks(live, LEVELS[index] as Level).values()];
    const cap = caps[index] as number;
    if (groups.length * cap === want) {
      arenas = groups;
      count = cap;
    }
  }
  const numberOf = new Map(names.map((name, index) => [name, index]));
  for (const arena of arenas) {
    const groups = groupDisks(arena, LEVELS[domain] as Level);
    const weights = [...groups.values()].map(weightOf);
    const rates = ratesFor(weights, Math.min(count, weights.length));
    const ratios = rates.map((rate, index) => rate / (weights[index] as number));
    const largest = ratios.reduce((max, ratio) => Math.max(max, ratio), 0);
    [...groups.keys()].forEach((name, index) => {
      gains[numberOf.get(name) as number] = (ratios[index] as number) / largest;
    });
  }
  return gains;
}
