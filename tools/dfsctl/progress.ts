import { Presets, SingleBar } from 'cli-progress';
import { formatBytes, formatDuration } from './format.ts';

/** How far something is. */
export interface Amount {
  done: number;
  total: number;
}

/** Shows how far something is while it runs. */
export interface Progress {
  update(amount: Amount): void;
  stop(): void;
}

const SHOWN_AFTER_MS = 300;
const RATE_AFTER_MS = 500;

/**
 * A bar on stderr when a person watches it, else nothing. `unit` says what is counted; nothing is
 * shown of what is done in the blink of an eye.
 */
export function createProgress(what: string, unit: 'bytes' | 'count'): Progress {
  if (!process.stderr.isTTY) return { update: () => undefined, stop: () => undefined };
  return new ProgressBar(what, unit);
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

  update({ done, total }: Amount): void {
    const elapsedMs = performance.now() - this.#startedMs;
    if (elapsedMs < SHOWN_AFTER_MS) return;
    const text = { amount: `${this.#count(done)} of ${this.#count(total)}`, rate: '' };
    if (elapsedMs > RATE_AFTER_MS && done > 0) {
      const leftMs = (elapsedMs / done) * Math.max(0, total - done);
      const rate = this.#count(Math.round((done / elapsedMs) * 1000));
      text.rate = `  ${rate}/s  ${formatDuration(leftMs)} left`;
    }
    if (this.#bar === undefined) {
      this.#bar = new SingleBar(
        {
          format: `${this.#what} {bar} {percentage}%  {amount}{rate}`,
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

  #count(value: number): string {
    return this.#unit === 'bytes' ? formatBytes(value) : value.toLocaleString('en-US');
  }

  stop(): void {
    this.#bar?.stop();
  }
}
