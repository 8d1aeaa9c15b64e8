import { parseLocation } from '../../src/diskmap/mod.ts';
import type { DiskReport } from '../../src/node/mod.ts';

/** A line of the tree: a room, row, rack or machine, or a disk in one. */
export interface TreeLine {
  /** Indented by its depth. */
  name: string;
  /** Buckets of all disks in it. */
  weight: number;
  disk?: DiskReport;
}

const LEVELS = ['room', 'row', 'rack', 'machine'] as const;

/** The disks as a tree room > row > rack > machine > disk, in order of their places. */
export function diskTree(disks: DiskReport[]): TreeLine[] {
  const placed = disks.map((disk) => ({ disk, location: parseLocation(disk.location) }));
  const below = (group: typeof placed, depth: number): TreeLine[] => {
    const indent = '  '.repeat(depth);
    const level = LEVELS[depth];
    const numberOf = ({ location }: (typeof placed)[number]): number => location[level ?? 'disk'];
    const numbers = [...new Set(group.map(numberOf))].sort((a, b) => a - b);
    return numbers.flatMap((number): TreeLine[] => {
      const inside = group.filter((one) => numberOf(one) === number);
      const weight = inside.reduce((sum, { disk }) => sum + disk.weight, 0);
      if (level !== undefined) {
        return [{ name: `${indent}${level} ${number}`, weight }, ...below(inside, depth + 1)];
      }
      return inside.map(({ disk }) => ({
        name: `${indent}disk ${number}${disk.label === '' ? '' : ` (${disk.label})`}`,
        weight: disk.weight,
        disk,
      }));
    });
  };
  return below(placed, 0);
}
