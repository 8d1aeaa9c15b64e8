import { readSync } from 'node:fs';
import { ioError } from './publish.ts';

/**
 * Fills `into` from `offset` of a file on: the count of bytes, less only where the file ends. One
 * call of read(2) may also end early where its device fails, which only the next one says. IO, which
 * names `path`, when it fails.
 */
export function readFully(fd: number, into: Buffer, offset: number, path: string): number {
  let done = 0;
  try {
    while (done < into.length) {
      const count = readSync(fd, into, done, into.length - done, offset + done);
      if (count === 0) break;
      done += count;
    }
  } catch (error) {
    throw ioError(`Cannot read ${path}`, error);
  }
  return done;
}
