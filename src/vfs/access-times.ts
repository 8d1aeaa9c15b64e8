import type { Ino } from '../base/ids.ts';
import { KIB } from '../base/limits.ts';
import { type Inode, isRegular, type LiveMeta } from '../meta/mod.ts';
import { now } from './clock.ts';
import type { Kernel } from './vfs-interface.ts';

const O_ACCMODE = 0o3;
const O_WRONLY = 0o1;
const O_NOATIME = 0o1000000;
const DAY_SECONDS = 86_400;
/** Up to this size a file is read anew rather than taken for read when it is opened. */
const READ_ANEW_BYTES_MAX: number = 128 * KIB;

/**
 * Times of the last access. The kernel leaves them to the file system, but tells it only of what it
 * reads from it, not of what its own caches have. So they are kept as relatime has it, which asks
 * for one update after each change of a file and one a day: the first read after such a point in
 * time must reach us, or be guessed.
 */
export class AccessTimes {
  /** Set when the driver is there. */
  kernel: Kernel | undefined;
  readonly #meta: LiveMeta;
  readonly #updates: () => boolean;

  /** `updates`: whether the mount wants access times, and may change anything. */
  constructor(options: { meta: LiveMeta; updates: () => boolean }) {
    this.#meta = options.meta;
    this.#updates = options.updates;
  }

  /** A file, a folder or a symlink was read. */
  accessed(ino: Ino): void {
    const inode = this.#meta.inode(ino);
    if (inode !== undefined && isDue(inode) && this.#updates()) this.#meta.touch(inode, now());
  }

  /**
   * A file is opened with `flags` of open(2): whether the kernel may keep the pages it has. It may
   * not when a read of them would have to update the time: then that read comes to us. A large file
   * takes the opening for the read, and so does one whose reads never come to us (`bypassed`).
   */
  opened(inode: Inode, flags: number, bypassed = false): boolean {
    if ((flags & O_ACCMODE) === O_WRONLY || (flags & O_NOATIME) !== 0) return true;
    if (!isRegular(inode) || !isDue(inode) || !this.#updates()) return true;
    if (inode.sizeBytes <= READ_ANEW_BYTES_MAX && !bypassed) return false;
    this.#meta.touch(inode, now());
    this.kernel?.forgetAttributes(inode.ino);
    return true;
  }

  /**
   * Times of a folder or a symlink were set, so that the next read of it may have to update them:
   * resolves when the kernel has forgotten what it would read there.
   */
  timesSet(inode: Inode): Promise<unknown> | undefined {
    if (isRegular(inode) || !isDue(inode)) return undefined;
    return this.kernel?.forgetPages(inode.ino);
  }
}

/** relatime: not newer than the last change, or a day old. */
function isDue(inode: Inode): boolean {
  const { atimeSec, atimeNsec, mtimeSec, mtimeNsec, ctimeSec, ctimeNsec } = inode;
  if (atimeSec < mtimeSec || (atimeSec === mtimeSec && atimeNsec <= mtimeNsec)) return true;
  if (atimeSec < ctimeSec || (atimeSec === ctimeSec && atimeNsec <= ctimeNsec)) return true;
  return Date.now() / 1000 - atimeSec >= DAY_SECONDS;
}
