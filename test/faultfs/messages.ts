import type { CrashOptions } from './crash-state.ts';
import type { FaultRule } from './faults.ts';

/** What the server of the rig is started with, as JSON in its argument. */
export interface ServerOptions {
  mountPoint: string;
  /** Bytes each device holds, by name. */
  devices: Record<string, number>;
}

/** What the server does for a test: one line of JSON each, and one for the answer. */
export type Command =
  | { command: 'cut' | 'settle' | 'marks' | 'counts' | 'sequence' }
  | { command: 'crashState'; options: CrashOptions }
  | { command: 'addFault'; rule: FaultRule }
  | { command: 'removeFault'; fault?: number }
  | { command: 'hits'; fault: number }
  | { command: 'operations'; from: number; to: number }
  | { command: 'flip'; flip: FlipOptions };

/** Bits that turn over on a device. */
export interface FlipOptions {
  device: string;
  /** A regular expression on the path inside the device. */
  path?: string;
  seed: number;
  /** How many; 1 without. */
  count?: number;
}

/** Where a bit was turned over. */
export interface Flipped {
  path: string;
  offset: number;
}
