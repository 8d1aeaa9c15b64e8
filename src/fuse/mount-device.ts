import { constants, openSync, statSync, writeFileSync } from 'node:fs';

import { DfsError, messageOf } from '../base/errors.ts';
import { MIB } from '../base/limits.ts';
import {
  findMount,
  mountFileSystem,
  unmountFileSystem,
  unmountFileSystemAsync,
} from '../base/os/mod.ts';
import { mountByHelper, unmountByHelper, unmountByHelperAsync } from './fusermount.ts';
import { flagBits, flagWords, type MountFlags } from './mount-options.ts';

/** The type in /proc/mounts; what stands behind the dot names us to the kernel's tools. */
export const MOUNT_TYPE = 'fuse.dfs';
const SUBTYPE: string = MOUNT_TYPE.slice(MOUNT_TYPE.indexOf('.') + 1);
const DEVICE = '/dev/fuse';
const READAHEAD_KIB = 1024;
// Without default_permissions a cached name would be reachable with another user's permissions.
const COMMON_DATA: readonly string[] = ['default_permissions', `max_read=${MIB}`];

export interface MountOptions {
  /** An absolute path without symlinks. */
  mountPoint: string;
  /** What /proc/mounts shows as the device: the home of the volume. */
  source: string;
  /**
   * A mount by root lets everybody in, one by another user only that user unless allowOther;
   * permissions are checked by the kernel either way.
   */
  flags?: Partial<MountFlags>;
}

/** Mounts as the user that this process is: the descriptor of /dev/fuse. */
export async function mountDevice(options: MountOptions): Promise<number> {
  if (isRoot()) {
    const fd = openDevice();
    mountFuse({ fd, ...options });
    return fd;
  }
  const { mountPoint, source, flags = {} } = options;
  const words = [
    `fsname=${source.replace(/[\\,]/g, '\\$&')}`,
    `subtype=${SUBTYPE}`,
    ...COMMON_DATA,
    ...flagWords(flags),
  ];
  if (flags.allowOther === true) words.push('allow_other');
  const fd = await mountByHelper(mountPoint, words);
  setReadahead(mountPoint);
  return fd;
}

function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

/**
 * Opens /dev/fuse without blocking. The last process that has it open ends the mount by closing it.
 */
export function openDevice(): number {
  try {
    return openSync(DEVICE, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (cause) {
    const hint = 'the kernel needs its fuse module, and the process access to the device';
    throw new DfsError('IO', `Cannot open ${DEVICE}: ${messageOf(cause)}; ${hint}`, { cause });
  }
}

/**
 * Mounts with mount(2), as root. The kernel sends INIT at once and holds every other request until
 * it is answered.
 */
export function mountFuse(options: MountOptions & { fd: number }): void {
  const { fd, mountPoint, source, flags = {} } = options;
  const rootMode = (statSync(mountPoint).mode & constants.S_IFMT).toString(8);
  const data = [
    `fd=${fd}`,
    `rootmode=${rootMode}`,
    `user_id=${process.getuid?.() ?? 0}`,
    `group_id=${process.getgid?.() ?? 0}`,
    ...COMMON_DATA,
  ];
  if (flags.allowOther !== false) data.push('allow_other');
  mountFileSystem({
    source,
    target: mountPoint,
    type: MOUNT_TYPE,
    flags: flagBits(flags),
    data: data.join(','),
  });
  setReadahead(mountPoint);
}

/**
 * Unmounts: false when nothing of ours is mounted there. Throws IO with details.errno EBUSY while
 * it is in use, unless lazy. Not in the process that serves the mount: see {@link unmountOwn}.
 */
export function unmount(mountPoint: string, options: { lazy: boolean }): boolean {
  if (findMount(mountPoint)?.fsType !== MOUNT_TYPE) return false;
  if (isRoot()) return unmountFileSystem(mountPoint, options);
  unmountByHelper(mountPoint, options);
  return true;
}

/**
 * As {@link unmount}, for the process that serves the mount, which must go on serving meanwhile:
 * the kernel may have pages to write back before the mount can go.
 */
export async function unmountOwn(mountPoint: string, options: { lazy: boolean }): Promise<boolean> {
  if (findMount(mountPoint)?.fsType !== MOUNT_TYPE) return false;
  if (isRoot()) return unmountFileSystemAsync(mountPoint, options);
  await unmountByHelperAsync(mountPoint, options);
  return true;
}

/**
 * Raises the kernel's readahead of the mount from 128 KiB to the size of the largest request. Only
 * a matter of speed, so a kernel that does not let us is fine.
 */
function setReadahead(mountPoint: string): void {
  const device = findMount(mountPoint)?.device;
  try {
    writeFileSync(`/sys/class/bdi/${device}/read_ahead_kb`, `${READAHEAD_KIB}`);
  } catch {
    // Containers often have /sys read-only.
  }
}
