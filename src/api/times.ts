import { badArgument } from './errors.ts';

/** A time as node:fs takes it: seconds since 1970, as a number or in digits, or a Date. */
export type TimeLike = number | string | Date;

/** Seconds and nanoseconds since 1970. */
export function timeOf(time: TimeLike): { sec: number; nsec: number } {
  const seconds = time instanceof Date ? time.getTime() / 1000 : Number(time);
  if (!Number.isFinite(seconds)) throw badArgument('set a time', `"${String(time)}" is none`);
  const sec = Math.floor(seconds);
  // A number has microseconds at most at this size; more digits would be noise.
  const usec = Math.round((seconds - sec) * 1e6);
  return usec === 1e6 ? { sec: sec + 1, nsec: 0 } : { sec, nsec: usec * 1000 };
}
