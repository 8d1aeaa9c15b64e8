import { fdatasync } from 'node:fs';
import { DfsError, messageOf } from './errors.ts';

/** fdatasync(2) on a thread of libuv's pool; IO, which names `path`, when it fails. */
export function syncData(fd: number, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    fdatasync(fd, (error) => {
      if (error === null) resolve();
      else {
        const state = `Cannot sync ${path}: ${messageOf(error)}`;
        reject(new DfsError('IO', state, { cause: error }));
      }
    });
  });
}
