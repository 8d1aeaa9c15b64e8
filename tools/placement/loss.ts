/**
 * How probably a volume loses data in a year. A chain of states (Markov): j disks are down and not
 * yet rebuilt, from 0 to the number the scheme survives; one more may be a loss. docs/placement.md
 * derives the formulas and says what they leave out.
 */
import { parseScheme, type Scheme } from '../../src/chunk/mod.ts';

/** What is assumed of the hardware and of the way it is looked after. */
export interface Assumptions {
  /** Part of the disks that fail in a year. */
  readonly annualFailureRate: number;
  readonly diskBytes: number;
  /** Part of a disk that holds pieces. */
  readonly filled: number;
  /** What a disk reads or writes, bytes/s, and the part of it that rebuilding gets. */
  readonly diskBytesPerSecond: number;
  readonly share: number;
  /** From a failure to the start of its rebuild, hours. */
  readonly graceHours: number;
  /** From a failure to a new disk in its place, where the others cannot take its pieces, hours. */
  readonly replaceHours: number;
  /** Bits that cannot be read, for each bit read. */
  readonly unreadable: number;
  readonly chunkBytes: number;
}

export const ASSUMED: Assumptions = {
  annualFailureRate: 0.015,
  diskBytes: 16e12,
  filled: 0.7,
  diskBytesPerSecond: 150e6,
  share: 0.5,
  graceHours: 0.25,
  replaceHours: 72,
  unreadable: 1e-15,
  chunkBytes: 4 * 2 ** 20,
};

/** What a scheme on a number of disks (or of failure domains of one disk) survives. */
export interface LossResult {
  readonly scheme: string;
  readonly disks: number;
  /** From the failure of a disk until its pieces are elsewhere. */
  readonly rebuildHours: number;
  /** Mean years until too many disks are down at once for some chunk. */
  readonly yearsToLoss: number;
  /** Probability of that in one year. */
  readonly lossPerYear: number;
  /** Probability that in one year a rebuild without spare pieces meets a piece it cannot read. */
  readonly unreadablePerYear: number;
}

const HOURS_PER_YEAR = 8766;

/** Pieces of a chunk, how many of them may be lost, and how many are read to make one. */
function shapeOf(scheme: Scheme): { pieces: number; spare: number; reads: number } {
  if (scheme.kind === 'replica')
    return { pieces: scheme.copies, spare: scheme.copies - 1, reads: 1 };
  const { dataPieces, parityPieces } = scheme;
  return { pieces: dataPieces + parityPieces, spare: parityPieces, reads: dataPieces };
}

/**
 * Mean time until a chain of states is left at its end: `up[j]` is the rate from state j to j + 1,
 * `down[j]` that from j to j - 1 (none from 0). In the unit of the rates.
 */
export function timeToAbsorption(up: readonly number[], down: readonly number[]): number {
  let step = 0;
  let sum = 0;
  up.forEach((rate, state) => {
    // From j up for the first time: wait, and for every fall back come up to j again.
    step = 1 / rate + (state === 0 ? 0 : ((down[state] as number) / rate) * step);
    sum += step;
  });
  return sum;
}

/** Part of the chunks that have pieces on all of `down` given disks. */
function partOnAll(down: number, pieces: number, disks: number): number {
  let part = 1;
  for (let index = 0; index < down; index++) part *= (pieces - index) / (disks - index);
  return Math.max(0, part);
}

/** Works the chain out; throws BAD_ARGUMENT when the scheme needs more disks than there are. */
export function lossOf(text: string, disks: number, assumed: Assumptions = ASSUMED): LossResult {
  const { pieces, spare, reads } = shapeOf(parseScheme(text));
  const failuresPerHour = -Math.log(1 - assumed.annualFailureRate) / HOURS_PER_YEAR;
  const used = assumed.diskBytes * assumed.filled;
  const chunks = (disks * used) / (pieces * (assumed.chunkBytes / reads));
  const repairHours = (down: number): number => {
    // Of what a down disk held, the part that belongs to chunks which miss `down` pieces.
    const bytes = (used * partOnAll(down, pieces, disks)) / (pieces / disks);
    const left = disks - down;
    const rate = assumed.diskBytesPerSecond * assumed.share * 3600;
    if (hasRoom(left, pieces, assumed.filled * (disks / left))) {
      return assumed.graceHours + (bytes * (reads + 1)) / (left * rate);
    }
    return assumed.replaceHours + bytes / rate;
  };
  const up: number[] = [];
  const down: number[] = [];
  for (let state = 0; state <= spare; state++) {
    const rate = (disks - state) * failuresPerHour;
    // The last failure is a loss only if some chunk has pieces on all disks that are down.
    const hit = state < spare ? 1 : -Math.expm1(-chunks * partOnAll(spare + 1, pieces, disks));
    up.push(rate * hit);
    down.push(state === 0 ? 0 : 1 / repairHours(state));
  }
  const hours = timeToAbsorption(up, down);
  return {
    scheme: text,
    disks,
    rebuildHours: repairHours(1),
    yearsToLoss: hours / HOURS_PER_YEAR,
    lossPerYear: -Math.expm1(-HOURS_PER_YEAR / hours),
    unreadablePerYear: unreadableOf({ up, down, spare }, () => {
      const bytes = (used * partOnAll(spare, pieces, disks)) / (pieces / disks);
      return -Math.expm1(-bytes * reads * 8 * assumed.unreadable);
    }),
  };
}

/** Whether the disks left are enough for a chunk's pieces and for all bytes. */
function hasRoom(left: number, pieces: number, filled: number): boolean {
  return left >= pieces && filled <= 0.95;
}

/** How often in a year the last state is entered, times the chance that a rebuild there fails. */
function unreadableOf(
  chain: { up: readonly number[]; down: readonly number[]; spare: number },
  chance: () => number,
): number {
  const { up, down, spare } = chain;
  if (spare === 0) return 0;
  const hours = timeToAbsorption(up.slice(0, spare), down.slice(0, spare));
  return -Math.expm1((-HOURS_PER_YEAR / hours) * chance());
}
