import { expect, test } from 'vitest';
import { Foreground, Throttle } from './throttle.ts';

/** A clock that goes on by what is slept. */
function scene(fields: { share?: number; limit?: number; busy?: () => boolean } = {}): {
  throttle: Throttle;
  clock: { ms: number };
} {
  const clock = { ms: 1000 };
  const throttle = new Throttle({
    share: () => fields.share ?? 0.5,
    bytesPerSecond: () => fields.limit,
    isBusy: fields.busy ?? (() => true),
    now: () => clock.ms,
    sleep: (ms) => {
      clock.ms += ms;
      return Promise.resolve();
    },
  });
  return { throttle, clock };
}

test('rest() makes work take its share of the time while the foreground is busy', async () => {
  const { throttle, clock } = scene({ share: 0.25 });
  clock.ms += 100;
  throttle.worked(100, 1);
  await throttle.rest(() => false);
  expect(clock.ms).toBeCloseTo(1000 + 400, 3);
});

test('rest() is none when the foreground is idle, and ends when it becomes so', async () => {
  const idle = scene({ busy: () => false });
  idle.throttle.worked(100, 1);
  await idle.throttle.rest(() => false);
  expect(idle.clock.ms).toBe(1000);
  const later: ReturnType<typeof scene> = scene({ busy: () => later.clock.ms < 1045 });
  later.throttle.worked(100, 1);
  await later.throttle.rest(() => false);
  expect(later.clock.ms).toBe(1060);
});

test('rest() holds work to a limit in bytes a second, also when the foreground is idle', async () => {
  const { throttle, clock } = scene({ limit: 1000, busy: () => false });
  for (let round = 0; round < 10; round++) {
    clock.ms += 100;
    throttle.worked(100, 500);
    await throttle.rest(() => false);
  }
  expect(clock.ms).toBeCloseTo(1000 + 5000, 3);
});

test('rest() ends at once for work that is over', async () => {
  const { throttle, clock } = scene({ share: 0.01 });
  throttle.worked(1e6, 1);
  await throttle.rest(() => true);
  expect(clock.ms).toBe(1000);
});

test('Foreground is busy during a call and for a moment afterwards', async () => {
  const clock = { ms: 0 };
  const foreground = new Foreground(() => clock.ms);
  expect(foreground.isBusy).toBe(false);
  let end: () => void = () => undefined;
  const call = foreground.during(() => new Promise<void>((resolve) => (end = resolve)));
  clock.ms = 100_000;
  expect(foreground.isBusy).toBe(true);
  end();
  await call;
  expect(foreground.isBusy).toBe(true);
  clock.ms += 1000;
  expect(foreground.isBusy).toBe(false);
  await expect(foreground.during(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  clock.ms += 1000;
  expect(foreground.isBusy).toBe(false);
});
