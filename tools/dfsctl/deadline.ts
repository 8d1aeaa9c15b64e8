import { UsageError } from './report.ts';

const SECONDS_MAX = 86_400;

/** A deadline of commits in seconds, 1 to 86400, as ms; UsageError for anything else. */
export function parseDeadline(text: string): number {
  const seconds = /^\d{1,5}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (seconds >= 1 && seconds <= SECONDS_MAX) return Math.round(seconds * 1000);
  throw new UsageError(`Cannot use "${text}" as a deadline: give 1 to ${SECONDS_MAX} seconds`);
}
