import { formatScheme, pieceCount, type Scheme } from '../chunk/mod.ts';

/** What a disk is good for when new data comes. */
export interface DiskRoom {
  /** How people call it. */
  readonly name: string;
  /** It takes pieces now. */
  readonly takesPieces: boolean;
  readonly isNearlyFull: boolean;
  /** Of what it may take, for people. */
  readonly percent: number;
}

/** Whether new data finds room with its redundancy. */
export interface Room {
  /** It will not any more soon, or does not now. */
  readonly isNearlyFull: boolean;
  readonly problems: string[];
}

/** Says that new data finds no room before it is so: as soon as too few disks are not nearly full. */
export function roomOf(scheme: Scheme, disks: readonly DiskRoom[]): Room {
  const needed = pieceCount(scheme);
  const taking = disks.filter(({ takesPieces }) => takesPieces);
  const nearly = taking.filter(({ isNearlyFull }) => isNearlyFull);
  const warnings = nearly.map(({ name, percent }) => {
    return `${name} is nearly full: ${percent}% of what it takes`;
  });
  const takes = `${formatScheme(scheme)} takes ${needed} disks`;
  const advice = 'add a disk, or remove files';
  if (taking.length < needed) {
    const state = `${takes}, ${taking.length} take pieces`;
    const problem = `new data cannot be stored with redundancy: ${state}; ${advice}`;
    return { isNearlyFull: true, problems: [problem, ...warnings] };
  }
  const left = taking.length - nearly.length;
  if (left >= needed) return { isNearlyFull: false, problems: warnings };
  const state = `${takes}, ${left} of the ${taking.length} that take pieces are not nearly full`;
  const problem = `soon new data cannot be stored with redundancy: ${state}; ${advice}`;
  return { isNearlyFull: true, problems: [problem, ...warnings] };
}
