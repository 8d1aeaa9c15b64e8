import type { KillReport } from './kill-run.ts';
import type { PointReport } from './run-seed.ts';

/** What a worker is started with, as JSON in its argument. */
export interface WorkerOptions {
  /** Where it works, on plain storage that is fast. */
  folder: string;
  /** Where states with problems are kept; they are not without. */
  keep?: string;
}

/** A seed to be played. */
export interface Order {
  seed: number;
  points: number;
  /** The only point that is checked; all without. */
  only?: number;
  /** kill -9 of everything instead of a power cut. */
  kills?: true;
}

/** What a worker says. */
export type Answer =
  | { kind: 'ready' }
  | { kind: 'point'; report: PointReport; log: string[] }
  | { kind: 'kill'; report: KillReport; log: string[] }
  | { kind: 'end'; seed: number; failure?: string; log?: string[] };
