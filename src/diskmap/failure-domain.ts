/**
 * Which disks may hold pieces of one chunk together: for every level of the tree, how many pieces
 * of a chunk one node of it may hold, as few as the hardware allows, from the top down. It allows
 * a number when the tree can then still take all pieces, and when no more than half of what the
 * volume could hold is wasted by it: with rooms of 100, 1 and 1 buckets, "three different rooms"
 * would leave 97 of 102 buckets empty.
 */
import type { DiskEntry } from './diskmap.ts';

/** The levels of the tree from the top. */
export const LEVELS = ['room', 'row', 'rack', 'machine', 'disk'] as const;
export type Level = (typeof LEVELS)[number];

const CAPACITY_KEPT_MIN = 0.5;

/** The name of the disk's node at a level; nodes below different parents have different names. */
export function nodeName(disk: DiskEntry, level: Level): string {
  const path: readonly number[] = [disk.room, disk.row, disk.rack, disk.machine, disk.disk];
  return path.slice(0, LEVELS.indexOf(level) + 1).join('.');
}

/** Disks by their node at a level, in the order of the disks. */
export function groupDisks(disks: readonly DiskEntry[], level: Level): Map<string, DiskEntry[]> {
  const groups = new Map<string, DiskEntry[]>();
  for (const disk of disks) {
    const name = nodeName(disk, level);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [disk]);
    else group.push(disk);
  }
  return groups;
}

/** Sum of the weights. */
export function weightOf(disks: readonly DiskEntry[]): number {
  return disks.reduce((sum, disk) => sum + disk.weight, 0);
}

/** Most pieces of a chunk in one node of each level, room first; needs `count` disks. */
export function capsFor(disks: readonly DiskEntry[], count: number): number[] {
  const caps = LEVELS.map((level) => (level === 'disk' ? 1 : count));
  const weights = LEVELS.map((level) => [...groupDisks(disks, level).values()].map(weightOf));
  const best = chunksThatFit(weights.at(-1) ?? [], { count, cap: 1 });
  LEVELS.forEach((level, index) => {
    if (level === 'disk') return;
    const highest = index === 0 ? count : (caps[index - 1] as number);
    for (let cap = 1; cap <= highest; cap++) {
      caps[index] = cap;
      const kept = chunksThatFit(weights[index] ?? [], { count, cap });
      if (kept >= best * CAPACITY_KEPT_MIN && rankOf(disks, caps) >= count) return;
    }
  });
  return caps;
}

/** How many pieces of one chunk the tree takes when no node gets more than its level's cap. */
export function rankOf(disks: readonly DiskEntry[], caps: readonly number[]): number {
  const rank = (part: readonly DiskEntry[], index: number): number => {
    const level = LEVELS[index];
    if (level === undefined) return part.length;
    let sum = 0;
    for (const group of groupDisks(part, level).values()) {
      sum += Math.min(caps[index] as number, rank(group, index + 1));
    }
    return sum;
  };
  return rank(disks, 0);
}

/**
 * How many chunks of `count` pieces fit into nodes of these weights when a node takes at most `cap`
 * pieces of each: the largest n with sum(min(weight, cap * n)) >= count * n.
 */
function chunksThatFit(weights: readonly number[], limit: { count: number; cap: number }): number {
  const { count, cap } = limit;
  const sorted = [...weights].sort((a, b) => b - a);
  let rest = sorted.reduce((sum, weight) => sum + weight, 0);
  for (let full = 0; full <= sorted.length; full++) {
    const places = count - cap * full;
    if (places <= 0) return (sorted[full - 1] ?? 0) / cap;
    const chunks = rest / places;
    if ((sorted[full] ?? 0) <= cap * chunks) return full < sorted.length ? chunks : 0;
    rest -= sorted[full] as number;
  }
  return 0;
}
