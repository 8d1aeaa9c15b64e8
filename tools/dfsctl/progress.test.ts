import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { amountWords, type Screen, withClock } from './progress.ts';

const bytes = { unit: 'bytes', elapsedMs: 2000 } as const;

describe('amountWords()', () => {
  test('says how much, of how many files, how fast and how long still', () => {
    const amount = { done: 2 ** 30, total: 3 * 2 ** 30, files: { done: 3, total: 1200 } };
    expect(amountWords(amount, bytes)).toBe(
      '1 GiB of 3 GiB  3 of 1,200 files  512 MiB/s  4 s left',
    );
  });

  test('says nothing of a rate too early, nor of one file', () => {
    const amount = { done: 10, total: 20, files: { done: 0, total: 1 } };
    expect(amountWords(amount, { ...bytes, elapsedMs: 10 })).toBe('10 bytes of 20 bytes');
    expect(amountWords({ done: 0, total: 20 }, { unit: 'count', elapsedMs: 9000 })).toBe('0 of 20');
  });
});

describe('withClock()', () => {
  beforeEach(
    () => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }),
  );
  afterEach(() => void vi.useRealTimers());

  /** What is written to a screen while something takes so long. */
  async function shown(isTTY: boolean, ms: number): Promise<string> {
    let text = '';
    const screen: Screen = { isTTY, write: (part) => (text += part) };
    let done = (_value: string): void => undefined;
    const work = new Promise<string>((resolve) => {
      done = resolve;
    });
    const result = withClock('Waiting', () => work, screen);
    vi.advanceTimersByTime(ms);
    done('result');
    expect(await result).toBe('result');
    return text;
  }

  test('shows after a second what is waited for, and takes it away', async () => {
    expect(await shown(true, 900)).toBe('');
    const text = await shown(true, 2600);
    expect(text).toContain('\rWaiting: 2 s\x1b[K');
    expect(text.endsWith('\r\x1b[K')).toBe(true);
  });

  test('shows nothing to a pipe', async () => {
    expect(await shown(false, 5000)).toBe('');
  });
});
