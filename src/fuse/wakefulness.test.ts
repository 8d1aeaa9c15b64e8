import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Wakefulness } from './wakefulness.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Processors that say what is asked of them. */
function recorded(held: number | undefined) {
  const calls: string[] = [];
  const hold = (): number | undefined => {
    calls.push('hold');
    return held;
  };
  return { calls, processors: { hold, release: () => void calls.push('release') } };
}

test('processors are held from the first burst until some time after the last', () => {
  const { calls, processors } = recorded(7);
  const wakefulness = new Wakefulness(processors);
  for (let burst = 0; burst < 10; burst++) {
    wakefulness.came(20, performance.now());
    vi.advanceTimersByTime(20);
  }
  expect(calls).toEqual(['hold']);
  vi.advanceTimersByTime(200);
  expect(calls).toEqual(['hold', 'release']);
  wakefulness.came(20, performance.now());
  wakefulness.calm();
  expect(calls).toEqual(['hold', 'release', 'hold', 'release']);
});

test('requests that come slowly are no burst', () => {
  const { calls, processors } = recorded(7);
  const wakefulness = new Wakefulness(processors);
  for (let count = 0; count < 200; count++) {
    wakefulness.came(1, performance.now());
    vi.advanceTimersByTime(1);
  }
  expect(calls).toEqual([]);
});

test('who may not hold them does not ask again', () => {
  const { calls, processors } = recorded(undefined);
  const wakefulness = new Wakefulness(processors);
  wakefulness.came(20, performance.now());
  wakefulness.came(20, performance.now());
  wakefulness.calm();
  expect(calls).toEqual(['hold']);
});
