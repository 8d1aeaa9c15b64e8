import type { Ino } from '../base/ids.ts';
import type { Inode } from './inode.ts';
import type { MetaOp, Time } from './ops.ts';

/**
 * Inodes whose access time in memory is newer than their row (ext4 and XFS call it lazytime): to
 * read a file must not cost a transaction. They are kept in memory until the time is written down;
 * what a crash takes is only that.
 */
export class LazyTimes {
  /** Longest unwritten first. */
  readonly #inodes = new Map<Ino, Inode>();

  get size(): number {
    return this.#inodes.size;
  }

  get(ino: Ino): Inode | undefined {
    return this.#inodes.get(ino);
  }

  /** `inode` was accessed at `time`. */
  touch(inode: Inode, time: Time): void {
    inode.atimeSec = time.sec;
    inode.atimeNsec = time.nsec;
    this.#inodes.set(inode.ino, inode);
  }

  /** Takes up to `count` inodes out: the operations that write their times down. */
  take(count: number): MetaOp[] {
    const ops: MetaOp[] = [];
    for (const [ino, inode] of this.#inodes) {
      if (ops.length >= count) break;
      this.#inodes.delete(ino);
      const { atimeSec, atimeNsec, ctimeSec, ctimeNsec } = inode;
      const change = { atime: { sec: atimeSec, nsec: atimeNsec } };
      // Its own time, so that the operation leaves ctime alone.
      ops.push({ kind: 'setattr', ino, change, time: { sec: ctimeSec, nsec: ctimeNsec } });
    }
    return ops;
  }

  delete(ino: Ino): void {
    this.#inodes.delete(ino);
  }

  clear(): void {
    this.#inodes.clear();
  }
}
