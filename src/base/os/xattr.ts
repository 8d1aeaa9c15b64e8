import { ENODATA } from '../errno.ts';
import { callAsync, callError, libc, retryInterrupted } from './libc.ts';

const VALUE_BYTES_MAX = 65_536;

/** The text of an extended attribute; undefined where there is none. IO with details.errno. */
export function getXattr(path: string, name: string): string | undefined {
  const into = Buffer.alloc(VALUE_BYTES_MAX);
  const result = retryInterrupted(() => libc().getxattr(path, name, into, into.length));
  if (result === -ENODATA) return undefined;
  if (result < 0) throw callError(`read ${name} of ${path}`, 'getxattr', -result);
  return into.toString('utf8', 0, result);
}

/**
 * Sets an extended attribute of what `path` leads to, on another thread: some wait. IO with
 * details.errno.
 */
export async function setXattr(path: string, name: string, value: string): Promise<void> {
  const bytes = Buffer.from(value);
  const result = await callAsync(libc().setxattr, path, name, bytes, bytes.length, 0);
  if (result < 0) throw callError(`set ${name} of ${path}`, 'setxattr', -result);
}

/** Removes an extended attribute; it need not be there. IO with details.errno. */
export function removeXattr(path: string, name: string): void {
  const result = retryInterrupted(() => libc().removexattr(path, name));
  if (result < 0 && result !== -ENODATA) {
    throw callError(`remove ${name} of ${path}`, 'removexattr', -result);
  }
}
