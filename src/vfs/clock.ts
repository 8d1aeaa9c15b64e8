import { timestamp } from '../base/clock.ts';
import type { Time } from '../meta/mod.ts';

/** The time for timestamps: later than every one before. */
export function now(): Time {
  return timestamp();
}
