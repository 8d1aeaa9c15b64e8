import { closeSync, constants, openSync } from 'node:fs';
import { basename, dirname } from 'node:path';

/** A socket's address holds 108 bytes with the zero at its end (unix(7)). */
const ADDRESS_BYTES_MAX = 107;

/**
 * A name for a unix socket that fits into an address, however long its path is: by way of its open
 * folder. To be closed when the socket is bound or connected to for the last time.
 */
export function socketAddress(path: string): { address: string; close: () => void } {
  if (Buffer.byteLength(path) <= ADDRESS_BYTES_MAX) {
    return { address: path, close: () => undefined };
  }
  const fd = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  return { address: `/proc/self/fd/${fd}/${basename(path)}`, close: () => closeSync(fd) };
}
