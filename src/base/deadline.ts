import { DfsError } from './errors.ts';

const TICK_MS = 1000;

/**
 * What `call` comes to, or TIMEOUT after `timeoutMs`; then it goes on unheard. Counted is the time
 * in which this process runs: one that was stopped for a while gives the answer time to be seen.
 */
export function withinMs<T>(timeoutMs: number, action: string, call: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    let left = timeoutMs;
    let timer: NodeJS.Timeout | undefined;
    const tick = (): void => {
      if (left <= 0) {
        reject(new DfsError('TIMEOUT', `Cannot ${action}: no answer within ${timeoutMs} ms`));
        return;
      }
      const wait = Math.min(left, TICK_MS);
      left -= wait;
      timer = setTimeout(tick, wait);
    };
    tick();
    call.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
