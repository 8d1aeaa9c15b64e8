import { EINVAL, ENOENT } from '../errno.ts';
import { MNT_DETACH } from './constants.ts';
import { callAsync, callError, lastErrno, libc } from './libc.ts';

export interface MountRequest {
  source: string;
  target: string;
  /** As in /proc/filesystems, with a subtype behind a dot where the type has one. */
  type: string;
  /** MS_* bits. */
  flags: number;
  /** Comma-separated options of the file system. */
  data: string;
}

/** mount(2). Throws IO with the errno in its details. */
export function mountFileSystem(request: MountRequest): void {
  const { source, target, type, flags, data } = request;
  if (libc().mount(source, target, type, flags, data) < 0) {
    throw callError(`mount ${type} on "${target}"`, 'mount', lastErrno());
  }
}

/**
 * umount2(2): false when nothing is mounted at `target`. `lazy` detaches it now and ends it when
 * nobody uses it.
 */
export function unmountFileSystem(target: string, options: { lazy: boolean }): boolean {
  const result = libc().umount2(target, options.lazy ? MNT_DETACH : 0);
  return unmounted(target, result === 0 ? 0 : lastErrno());
}

/** As {@link unmountFileSystem}, on a worker thread. */
export async function unmountFileSystemAsync(
  target: string,
  options: { lazy: boolean },
): Promise<boolean> {
  const result = await callAsync(libc().umount2, target, options.lazy ? MNT_DETACH : 0);
  return unmounted(target, -result);
}

function unmounted(target: string, errno: number): boolean {
  if (errno === 0) return true;
  if (errno === EINVAL || errno === ENOENT) return false;
  throw callError(`unmount "${target}"`, 'umount2', errno);
}
