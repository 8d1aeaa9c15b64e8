import { expect, test, vi } from 'vitest';
import { Pace } from './pace.ts';

test('a commit nobody waits for rests after each batch while the loop is busy, until it is pressing', async () => {
  vi.useFakeTimers();
  try {
    let isPressing = false;
    let busy = 1;
    const pace = new Pace({ isPressing: () => isPressing, utilization: () => busy });
    expect(pace.inFlightMax).toBe(1);
    let rested = false;
    void pace.rest(10).then(() => {
      rested = true;
    });
    await vi.advanceTimersByTimeAsync(59);
    expect(rested).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(rested).toBe(true);
    busy = 0;
    await pace.rest(10);
    busy = 1;
    const resting = pace.rest(1000);
    isPressing = true;
    pace.hurry();
    await resting;
    expect(pace.inFlightMax).toBe(3);
    await pace.rest(1000);
  } finally {
    vi.useRealTimers();
  }
});
