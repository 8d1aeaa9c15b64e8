import { expect, onTestFinished, test, vi } from 'vitest';
import { timestamp } from './clock.ts';

function microseconds(): number {
  const { sec, nsec } = timestamp();
  expect(Number.isInteger(sec) && Number.isInteger(nsec) && nsec >= 0 && nsec < 1e9).toBe(true);
  return sec * 1e6 + nsec / 1000;
}

test('timestamp() gives every call a later time, which is the time of the system', () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  vi.setSystemTime(2_000_000_000_999);
  const first = microseconds();
  expect(first).toBe(2_000_000_000_999_000);
  for (let calls = 1; calls < 5000; calls++) expect(microseconds()).toBe(first + calls);
  vi.setSystemTime(2_000_000_001_010);
  expect(microseconds()).toBe(2_000_000_001_010_000);
  vi.setSystemTime(2_000_000_000_500);
  expect(microseconds()).toBe(2_000_000_001_010_001);
});

test('timestamp() follows a clock that is set back', () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  vi.setSystemTime(2_000_000_100_000);
  microseconds();
  vi.setSystemTime(1_900_000_000_000);
  expect(microseconds()).toBe(1_900_000_000_000_000);
});
