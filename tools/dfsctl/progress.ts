import { Presets, SingleBar } from 'cli-progress';
import { formatBytes, formatCount, formatDuration } from './format.ts';

/** How far something is. */
export interface Amount {
  done: number;
  total: number;
  /** The same in files, where that is known. */
  files?: { done: number; total: number };
}

/** Shows how far something is while it runs. */
export interface Progress {
  update(amount: Amount): void;
  stop(): void;
}

const SHOWN_AFTER_MS = 300;
const RATE_AFTER_MS = 500;
const CLOCK_AFTER_MS = 1000;
const CLOCK_EVERY_MS = 500;

/** Where progress is shown: stderr, if a person watches it. */
export interface Screen {
  isTTY?: boolean;
  write(text: string): unknown;
}

/**
 * A bar on stderr when a person watches it, else nothing. `unit` says what is counted; nothing is
 * shown of what is done in the blink of an eye.
 */
export function createProgress(what: string, unit: 'bytes' | 'count'): Progress {
  if (!process.stderr.isTTY) return { update: () => undefined, stop: () => undefined };
  return new ProgressBar(what, unit);
}

/**
 * Runs something that cannot tell how far it is; who watches sees after a second what it is, and
 * for how long already.
 */
export async function withClock<T>(
  what: string,
  work: () => Promise<T>,
  screen: Screen = process.stderr,
): Promise<T> {
  if (screen.isTTY !== true) return work();
  const startedMs = performance.now();
  let isShown = false;
  const show = (): void => {
    const elapsedMs = performance.now() - startedMs;
    if (elapsedMs < CLOCK_AFTER_MS) return;
    isShown = true;
    screen.write(`\r${what}: ${formatDuration(Math.floor(elapsedMs / 1000) * 1000)}\x1b[K`);
  };
  const timer = setInterval(show, CLOCK_EVERY_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    if (isShown) screen.write('\r\x1b[K');
  }
}

/** What a bar says beside itself: how much, how fast, and how long still. */
export function amountWords(
  { done, total, files }: Amount,
  options: { unit: 'bytes' | 'count'; elapsedMs: number },
): string {
  const { unit, elapsedMs } = options;
  const count = (value: number): string =>
    unit === 'bytes' ? formatBytes(value) : value.toLocaleString('en-US');
  const words = [`${count(done)} of ${count(total)}`];
  if (files !== undefined && files.total > 1) {
    words.push(`${files.done.toLocaleString('en-US')} of ${formatCount(files.total, 'file')}`);
  }
  if (elapsedMs > RATE_AFTER_MS && done > 0) {
    const leftMs = (elapsedMs / done) * Math.max(0, total - done);
    words.push(`${count(Math.round((done / elapsedMs) * 1000))}/s`);
    words.push(`${formatDuration(leftMs)} left`);
  }
  return words.join('  ');
}

class ProgressBar implements Progress {
  readonly #what: string;
  readonly #unit: 'bytes' | 'count';
  readonly #startedMs = performance.now();
  #bar: SingleBar | undefined;

  constructor(what: string, unit: 'bytes' | 'count') {
    this.#what = what;
    this.#unit = unit;
  }

  update(amount: Amount): void {
    const { done, total } = amount;
    const elapsedMs = performance.now() - this.#startedMs;
    if (elapsedMs < SHOWN_AFTER_MS) return;
    const text = { amount: amountWords(amount, { unit: this.#unit, elapsedMs }) };
    if (this.#bar === undefined) {
      this.#bar = new SingleBar(
        {
          format: `${this.#what} {bar} {percentage}%  {amount}`,
          barsize: 24,
          stream: process.stderr,
          hideCursor: true,
          clearOnComplete: true,
          gracefulExit: false,
        },
        Presets.shades_classic,
      );
      this.#bar.start(Math.max(1, total), done, text);
      return;
    }
    this.#bar.setTotal(Math.max(1, total));
    this.#bar.update(done, text);
  }

  stop(): void {
    this.#bar?.stop();
  }
}
