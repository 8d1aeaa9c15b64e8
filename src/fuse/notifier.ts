import { write } from 'node:fs';

import { ENODEV, ENOENT } from '../base/errno.ts';
import { DfsError } from '../base/errors.ts';
import type { Ino } from '../base/ids.ts';
import { errnoName, writeRaw } from '../base/os/mod.ts';
import {
  NOTIFY_DELETE,
  NOTIFY_INVAL_ENTRY,
  NOTIFY_INVAL_INODE,
  NOTIFY_RESEND,
  REPLY_HEADER_BYTES,
} from './protocol.ts';
import { putU64 } from './wire.ts';

/**
 * Tells the kernel what it may no longer keep. The kernel takes page and folder locks for that,
 * which the sender of a request may hold until we answer it: so these messages are written by a
 * thread of libuv's pool, never by the thread that answers. Each resolves to false when the kernel
 * did not have what was named.
 */
export class Notifier {
  readonly #fd: number;
  readonly #mapsUncached: () => boolean;

  constructor(fd: number, mapsUncached: () => boolean) {
    this.#fd = fd;
    this.#mapsUncached = mapsUncached;
  }

  /** See {@link Kernel.mapsUncached}. */
  get mapsUncached(): boolean {
    return this.#mapsUncached();
  }

  /**
   * Drops attributes, and cached pages of `bytes` from `offset` (-1: to the end); a negative
   * offset: no pages.
   */
  invalidateInode(ino: Ino, offset: number, bytes: number): Promise<boolean> {
    return this.#send(encodeInvalidateInode(ino, offset, bytes));
  }

  /**
   * Drops the attributes of an inode that a request is running on, before its answer: the request
   * keeps the inode, and without pages no lock is taken, so it is done at once.
   */
  forgetAttributes(ino: Ino): void {
    const message = encodeInvalidateInode(ino, -1, 0);
    writeRaw(this.#fd, message, message.length);
  }

  /**
   * Drops attributes and cached pages, all or what touches a range: of a file, a listing, or a
   * symlink's target. Dirty pages are written first.
   */
  forgetPages(ino: Ino, range?: { start: number; end: number }): Promise<boolean> {
    const { start, end } = range ?? { start: 0, end: 0 };
    return this.invalidateInode(ino, start, end - start);
  }

  /** Drops a cached name, also one that is known not to exist. */
  invalidateEntry(parent: Ino, name: Buffer): Promise<boolean> {
    return this.#send(encodeInvalidateEntry(parent, name));
  }

  /** Drops a name that was removed; watchers (inotify) hear of it. */
  deleteEntry(parent: Ino, child: Ino, name: Buffer): Promise<boolean> {
    return this.#send(encodeDeleteEntry(parent, child, name));
  }

  /**
   * Asks for all unanswered requests again (Linux 6.9): false when the kernel cannot. Takes no
   * locks, so it is done at once.
   */
  resend(): boolean {
    const message = encodeNotification(NOTIFY_RESEND, 0);
    return writeRaw(this.#fd, message, message.length) === message.length;
  }

  #send(message: Buffer): Promise<boolean> {
    return new Promise((resolve, reject) => {
      write(this.#fd, message, (error) => {
        const errno = -(error?.errno ?? 0);
        if (error === null) resolve(true);
        else if (errno === ENOENT || errno === ENODEV) resolve(false);
        else
          reject(
            new DfsError('IO', `Cannot notify the kernel: write failed with ${errnoName(errno)}`, {
              cause: error,
            }),
          );
      });
    });
  }
}

/** FUSE_NOTIFY_INVAL_INODE. */
export function encodeInvalidateInode(ino: Ino, offset: number, bytes: number): Buffer {
  const message = encodeNotification(NOTIFY_INVAL_INODE, 24);
  putU64(message, 16, ino);
  putU64(message, 24, offset);
  // The kernel takes a length of 0 or less as "to the end".
  putU64(message, 32, bytes);
  return message;
}

/** FUSE_NOTIFY_INVAL_ENTRY; the name ends with a NUL that its length does not count. */
export function encodeInvalidateEntry(parent: Ino, name: Buffer): Buffer {
  const message = encodeNotification(NOTIFY_INVAL_ENTRY, 16 + name.length + 1);
  putU64(message, 16, parent);
  message.writeUInt32LE(name.length, 24);
  message.set(name, 32);
  return message;
}

/** FUSE_NOTIFY_DELETE. */
export function encodeDeleteEntry(parent: Ino, child: Ino, name: Buffer): Buffer {
  const message = encodeNotification(NOTIFY_DELETE, 24 + name.length + 1);
  putU64(message, 16, parent);
  putU64(message, 24, child);
  message.writeUInt32LE(name.length, 32);
  message.set(name, 40);
  return message;
}

/** A message of ours has its code where a reply has its error, and unique 0. */
function encodeNotification(code: number, bodyBytes: number): Buffer {
  const message = Buffer.alloc(REPLY_HEADER_BYTES + bodyBytes);
  message.writeUInt32LE(message.length, 0);
  message.writeInt32LE(code, 4);
  return message;
}
