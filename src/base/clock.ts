/** Backwards by more than this, the system's clock was set: then so are timestamps. */
const SET_BACK_MICROSECONDS = 1_000_000;

let lastMicroseconds = 0;

/**
 * The time for timestamps of files: the system's to the millisecond, and behind that a count, so
 * that no two changes of one process have the same. Whoever looks between two changes sees that
 * there was a second one (Linux tells them apart since 6.13).
 */
export function timestamp(): { sec: number; nsec: number } {
  const microseconds = Date.now() * 1000;
  const isBehind = lastMicroseconds - microseconds < SET_BACK_MICROSECONDS;
  const next = microseconds <= lastMicroseconds && isBehind ? lastMicroseconds + 1 : microseconds;
  lastMicroseconds = next;
  return { sec: Math.floor(next / 1_000_000), nsec: (next % 1_000_000) * 1000 };
}
