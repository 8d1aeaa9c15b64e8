import { ENODATA } from '../errno.ts';
import { callError, libc, retryInterrupted } from './libc.ts';

/** Sets an extended attribute of what `path` leads to. IO with details.errno. */
export function setXattr(path: string, name: string, value: string): void {
  const bytes = Buffer.from(value);
  const result = retryInterrupted(() => libc().setxattr(path, name, bytes, bytes.length, 0));
  if (result < 0) throw callError(`set ${name} of ${path}`, 'setxattr', -result);
}

/** Removes an extended attribute; it need not be there. IO with details.errno. */
export function removeXattr(path: string, name: string): void {
  const result = retryInterrupted(() => libc().removexattr(path, name));
  if (result < 0 && result !== -ENODATA) {
    throw callError(`remove ${name} of ${path}`, 'removexattr', -result);
  }
}
