import { readdirSync, realpathSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { isAbsolute, relative } from 'node:path';
import { DfsError, messageOf } from '../../src/base/errors.ts';
import { findMount } from '../../src/base/os/mod.ts';
import { MOUNT_TYPE, unmount } from '../../src/fuse/mod.ts';
import type { Config } from '../../src/home/mod.ts';
import { remark } from './output.ts';
import { resolveApart } from './target.ts';

const STAT_TIMEOUT_MS = 10_000;

/**
 * The mountpoint as an absolute path without symlinks, ready to be mounted on: an existing empty
 * folder apart from HOME and the disks. A dead mount that a crash left there is detached first.
 */
export async function prepareMountPoint(
  name: string,
  volume: { home: string; config: Config },
): Promise<string> {
  const path = resolveApart(name);
  await detachDeadMount(path);
  const real = existingFolder(path, name);
  const mounted = findMount(real);
  if (mounted !== undefined) {
    const hint = mounted.fsType === MOUNT_TYPE ? '; "dfsctl umount" ends it' : '';
    throw refuse(name, `${mounted.source} is mounted there already${hint}`);
  }
  for (const { folder, what } of foldersOf(volume)) {
    if (contains(folder, real)) throw refuse(name, `it lies in the ${what} ${folder}`);
  }
  if (readdirSync(real).length > 0)
    throw refuse(name, 'the folder is not empty; give an empty one');
  return real;
}

/** Detaches a mount of ours at `path` that no process serves any more; true when there was one. */
export async function detachDeadMount(path: string): Promise<boolean> {
  if (findMount(path)?.fsType !== MOUNT_TYPE) return false;
  if (!(await isDeadMount(path))) return false;
  unmount(path, { lazy: true });
  remark(`detached a dead mount from ${path}; its daemon had ended without unmounting`);
  return true;
}

/** Whether the kernel says that nobody serves the mount: ENOTCONN, or ECONNABORTED as it dies. */
export async function isDeadMount(path: string): Promise<boolean> {
  // A daemon that hangs must not hang this process: the call gets a deadline.
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<'slow'>((resolve) => {
    timer = setTimeout(() => resolve('slow'), STAT_TIMEOUT_MS);
  });
  try {
    await Promise.race([stat(path), deadline]);
    return false;
  } catch (error) {
    return ['ENOTCONN', 'ECONNABORTED'].includes(String((error as { code?: unknown }).code));
  } finally {
    clearTimeout(timer);
  }
}

function existingFolder(path: string, name: string): string {
  let real: string;
  try {
    real = realpathSync(path);
    readdirSync(real);
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (code === 'ENOENT') throw refuse(name, 'there is no such folder; make it first');
    if (code === 'ENOTDIR') throw refuse(name, 'it is not a folder');
    throw refuse(name, messageOf(error));
  }
  return real;
}

function foldersOf({ home, config }: { home: string; config: Config }): {
  folder: string;
  what: string;
}[] {
  const disks = config.disks.map(({ path }) => ({ folder: path, what: 'disk' }));
  return [{ folder: home, what: 'HOME' }, ...disks];
}

function contains(outer: string, inner: string): boolean {
  const way = relative(outer, inner);
  return way === '' || (way !== '..' && !way.startsWith('../') && !isAbsolute(way));
}

function refuse(name: string, state: string): DfsError {
  return new DfsError('BAD_ARGUMENT', `Cannot mount on ${name}: ${state}`);
}
