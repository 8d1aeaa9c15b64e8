import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { DfsError } from '../../src/base/errors.ts';
import { type MountEntry, readMountinfo } from '../../src/base/os/mod.ts';
import { MOUNT_TYPE } from '../../src/fuse/mod.ts';
import { homePaths } from '../../src/home/mod.ts';

/** A volume as a person named it. */
export interface Target {
  home: string;
  /** Undefined when it is not mounted, or not where this process can see it. */
  mountPoint: string | undefined;
}

/** Where a process stands: the mounts it sees and its working folder. */
export interface Place {
  mounts: MountEntry[];
  cwd: () => string;
}

/** Where this process stands. */
export function currentPlace(): Place {
  return { mounts: readMountinfo(), cwd: () => process.cwd() };
}

/** The volume meant by HOME or a mountpoint; else by the working folder or the mounts. */
export function findTarget(name: string | undefined, place: Place = currentPlace()): Target {
  const ours = ourMounts(place.mounts);
  if (name === undefined) return defaultTarget(ours, place);
  const path = resolveApart(name);
  const mount = ours.findLast(({ mountPoint }) => mountPoint === path);
  if (mount !== undefined) return { home: mount.source, mountPoint: mount.mountPoint };
  if (!existsSync(path)) {
    throw new DfsError('NOT_FOUND', `Cannot find a volume at ${name}: there is no such folder`);
  }
  const real = realpathSync(path);
  const behind = ours.findLast(({ mountPoint }) => mountPoint === real);
  if (behind !== undefined) return { home: behind.source, mountPoint: behind.mountPoint };
  if (!existsSync(homePaths(real).config)) {
    const hint = 'give the HOME that "dfsctl init" made, or where it is mounted';
    throw new DfsError(
      'NOT_FOUND',
      `Cannot find a volume at ${name}: it is neither a HOME nor a mountpoint; ${hint}`,
    );
  }
  return { home: real, mountPoint: ours.findLast(({ source }) => source === real)?.mountPoint };
}

/** A file or folder on a mounted volume. */
export interface MountedPath extends Target {
  mountPoint: string;
  /** Absolute, without symlinks. */
  path: string;
}

/** The mounted volume that has `name`; BAD_ARGUMENT when it is on another file system. */
export function findMountedPath(name: string, place: Place = currentPlace()): MountedPath {
  const path = resolveApart(name);
  const ours = ourMounts(place.mounts);
  // The root of a mount is not asked for its name: the mount may be dead.
  const isRoot = ours.some(({ mountPoint }) => mountPoint === path);
  if (!isRoot && !existsSync(path)) {
    throw new DfsError('NOT_FOUND', `Cannot find ${name}: there is no such file or folder`);
  }
  const real = isRoot ? path : realpathSync(path);
  const mount = mountOf(real, place.mounts);
  if (mount?.fsType !== MOUNT_TYPE) {
    const state = 'it is not on a mounted DFS volume';
    throw new DfsError('BAD_ARGUMENT', `Cannot use ${name}: ${state}; "dfsctl mount" mounts one`);
  }
  return { home: mount.source, mountPoint: mount.mountPoint, path: real };
}

/** The absolute path without symlinks in the folders above: a dead mount itself is not touched. */
export function resolveApart(name: string): string {
  const path = resolve(name);
  const parent = dirname(path);
  if (parent === path) return path;
  return existsSync(parent) ? join(realpathSync(parent), basename(path)) : path;
}

function ourMounts(mounts: MountEntry[]): MountEntry[] {
  return mounts.filter(({ fsType }) => fsType === MOUNT_TYPE);
}

/** The mount that an absolute path without symlinks is on: the longest, of several the topmost. */
function mountOf(path: string, mounts: MountEntry[]): MountEntry | undefined {
  let found: MountEntry | undefined;
  for (const mount of mounts) {
    const folder = mount.mountPoint === '/' ? '/' : `${mount.mountPoint}/`;
    if (path !== mount.mountPoint && !path.startsWith(folder)) continue;
    if (found === undefined || mount.mountPoint.length >= found.mountPoint.length) found = mount;
  }
  return found;
}

function defaultTarget(ours: MountEntry[], place: Place): Target {
  const here = mountOf(place.cwd(), place.mounts);
  if (here?.fsType === MOUNT_TYPE) return { home: here.source, mountPoint: here.mountPoint };
  const homes = [...new Set(ours.map(({ source }) => source))];
  const [only] = ours;
  if (only !== undefined && homes.length === 1) {
    return { home: only.source, mountPoint: only.mountPoint };
  }
  if (homes.length === 0) {
    throw new DfsError(
      'BAD_ARGUMENT',
      'Cannot tell which volume is meant: none is mounted; give its HOME',
    );
  }
  const list = ours.map(({ mountPoint }) => mountPoint).join(', ');
  throw new DfsError(
    'BAD_ARGUMENT',
    `Cannot tell which volume is meant: ${homes.length} are mounted (${list}); name one`,
  );
}
