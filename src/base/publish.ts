import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf, DfsError, messageOf } from './errors.ts';

/** The error of a failed system call: action, then state, with the errno's name in its details. */
export function ioError(action: string, cause: unknown): DfsError {
  if (cause instanceof DfsError) return cause;
  const name = codeOf(cause);
  const code = name === 'ENOSPC' || name === 'EDQUOT' ? 'NO_SPACE' : 'IO';
  return new DfsError(code, `${action}: ${messageOf(cause)}`, { cause, details: { errno: name } });
}

/** The bytes of a file; undefined when it is not there. */
export async function readIfPresent(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw ioError(`Cannot read ${path}`, error);
  }
}

/** Makes the names in a folder durable: after a create, a rename or an unlink in it. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw ioError(`Cannot sync the folder ${folder}`, error);
  }
}

/** {@link syncFolder} on this thread, before anything else happens. */
export function syncFolderNow(folder: string): void {
  try {
    const fd = openSync(folder, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw ioError(`Cannot sync the folder ${folder}`, error);
  }
}

/**
 * Puts a whole file in place so that, whenever the power goes, the name leads to all of the old
 * bytes or all of the new: a temporary file, fsync, rename, fsync of the folder. `write` gets the
 * temporary file's path; what it leaves there is synced and published.
 */
export async function publishWith(
  path: string,
  write: (temporaryPath: string) => Promise<void>,
): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await write(temporary);
    const handle = await open(temporary, 'r+');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    // What stands in the way of cleaning up is the failure that is reported anyway.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw ioError(`Cannot write ${path}`, error);
  }
  await syncFolder(dirname(path));
}

/** {@link publishWith} for bytes at hand. */
export async function publishFile(
  path: string,
  bytes: Uint8Array | string,
  options: { mode?: number } = {},
): Promise<void> {
  await publishWith(path, async (temporary) => {
    const handle = await open(temporary, 'wx', options.mode ?? 0o644);
    try {
      await handle.writeFile(bytes);
    } finally {
      await handle.close();
    }
  });
}
