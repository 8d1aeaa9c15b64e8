import type { BenchVolume } from './bench-volume.ts';
import type { Count } from './children.ts';
import type { Limits } from './limits.ts';

/** Where a work is done: a folder of the device itself, or the mount. */
export type Side = 'native' | 'dfs';

/** One figure that a work gives: a rate, so more is better. */
export interface Measure {
  name: string;
  title: string;
  unit: 'bytes/s' | '/s';
  /** Estimate of the best this design can do, from limits measured in the same run. */
  napkin: (limits: Limits, native: number) => number;
}

/** How large the works are. */
export interface Sizes {
  streamBytes: number;
  randomBytes: number;
  randomCount: number;
  syncCount: number;
  smallCount: number;
  transactions: number;
  puts: number;
  commitBytes: number;
  recoverFiles: number;
}

/** What a work has to do its load with. */
export interface Bench {
  readonly volume: BenchVolume;
  readonly sizes: Sizes;
  /** How many times the scheme writes each byte. */
  readonly copies: number;
  /** The tar file of a real tree, and the number of its entries. */
  readonly tree: { archive: string; entries: number };
  /** Another number at each call: what is written must not have been stored before. */
  seed(): string;
  folder(side: Side): string;
  /** Runs a command of load.c; one of the database load. Every one has a deadline. */
  load(...args: string[]): Promise<Map<string, Count>>;
  database(...args: string[]): Promise<Map<string, Count>>;
  /** Runs a program to its end: seconds. */
  time(command: string, ...args: string[]): Promise<number>;
}

/** Rates by the name of the measure. */
export type Rates = Record<string, number>;

/** A work is prepared, then done on each side in turn, round after round. */
export interface Work {
  name: string;
  sides: readonly Side[];
  measures: readonly Measure[];
  /** Not measured; before each of its runs, in a new folder at `folder`. */
  prepare?(bench: Bench, run: { side: Side; folder: string }): Promise<void>;
  run(bench: Bench, run: { side: Side; folder: string }): Promise<Rates>;
}

/** Operations a second of what a load counted under `name`. */
export function rateOf(counts: Map<string, Count>, name: string): number {
  const count = counts.get(name);
  return count === undefined ? Number.NaN : count.operations / count.seconds;
}

/** Bytes a second of what a load counted under `name`. */
export function bytesRateOf(counts: Map<string, Count>, name: string): number {
  const count = counts.get(name);
  return count === undefined ? Number.NaN : count.bytes / count.seconds;
}

export const BOTH: readonly Side[] = ['native', 'dfs'];
