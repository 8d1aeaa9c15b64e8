import { DfsError } from './errors.ts';

/** What `call` comes to, or TIMEOUT after `timeoutMs`; then it goes on unheard. */
export function withinMs<T>(timeoutMs: number, action: string, call: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => {
      reject(new DfsError('TIMEOUT', `Cannot ${action}: no answer within ${timeoutMs} ms`));
    };
    const timer = setTimeout(late, timeoutMs);
    call.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
