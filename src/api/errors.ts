import { getSystemErrorMap } from 'node:util';
import type { NegativeErrno } from '../base/errno.ts';
import { DfsError } from '../base/errors.ts';

/** What a call was asked to do, as its errors tell it. */
export interface Call {
  /** Name of the system call that does the same on a mount. */
  syscall: string;
  path?: string;
  dest?: string;
}

/** The error node:fs has for `errno`: code, errno, syscall, path and dest, and the same message. */
export function systemError(errno: NegativeErrno, call: Call): NodeJS.ErrnoException {
  const [code, words] = getSystemErrorMap().get(errno) ?? [`E${-errno}`, 'unknown error'];
  const { syscall, path, dest } = call;
  const from = path === undefined ? '' : ` '${path}'`;
  const to = dest === undefined ? '' : ` -> '${dest}'`;
  const error = new Error(`${code}: ${words}, ${syscall}${from}${to}`);
  return Object.assign(error, { errno, code, ...call });
}

/** `result`, unless it is a negative errno: that is thrown. */
export function must<T>(result: T | NegativeErrno, call: Call): T {
  if (typeof result === 'number' && result < 0) throw systemError(result, call);
  return result as T;
}

/** The error for a value from outside that no call takes. */
export function badArgument(call: string, state: string): DfsError {
  return new DfsError('BAD_ARGUMENT', `Cannot ${call}: ${state}`);
}
