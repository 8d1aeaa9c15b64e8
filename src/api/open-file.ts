import { setImmediate as nextTurn } from 'node:timers/promises';
import { EBADF, EINVAL, EISDIR, type NegativeErrno } from '../base/errno.ts';
import type { Ino } from '../base/ids.ts';
import { MIB } from '../base/limits.ts';
import { must } from './errors.ts';
import type { Access } from './flags.ts';
import type { Session } from './session.ts';

/** As much as the kernel asks for at once; what is longer lets others in between. */
const PART_BYTES: number = MIB;

/** What an open gave. */
export interface OpenedInode {
  ino: Ino;
  /** The path it was opened by, for errors. */
  path: string;
  access: Access;
  isFolder: boolean;
  /** What the file system gets back at the end. */
  handle: number;
  /** The file system counts a lookup for it. */
  isCounted: boolean;
}

/** The bytes of one opened inode, at offsets: what read(2) and write(2) do on the mount. */
export class OpenFile {
  readonly session: Session;
  readonly opened: OpenedInode;
  #hasWritten = false;

  constructor(session: Session, opened: OpenedInode) {
    this.session = session;
    this.opened = opened;
  }

  get sizeBytes(): number {
    return must(this.session.fs.getattr(this.opened.ino), { syscall: 'fstat' }).sizeBytes;
  }

  /** Reads into `buffer` until it is full or the file ends: the count, or why nothing was read. */
  async read(buffer: Buffer, offset: number): Promise<number> {
    const { access, isFolder, ino } = this.opened;
    if (!access.reads) return -EBADF;
    if (isFolder) return -EISDIR;
    const { fs } = this.session;
    let done = 0;
    while (done < buffer.length) {
      const length = Math.min(PART_BYTES, buffer.length - done);
      const result = fs.read(ino, offset + done, length, buffer, done);
      const part = typeof result === 'number' ? result : take(await result, buffer, done);
      if (part < 0) return done > 0 ? done : part;
      done += part;
      if (part < length) break;
      if (done < buffer.length) await nextTurn();
    }
    fs.accessed(ino);
    return done;
  }

  /**
   * Writes at `offset`, or at the end of the file: the count, or why nothing was written. Less than
   * all when there is no more room.
   */
  async write(
    data: Buffer,
    at: number | 'end',
  ): Promise<{ count: number | NegativeErrno; end: number }> {
    const { access, ino } = this.opened;
    if (!access.writes) return { count: -EBADF, end: 0 };
    const where = access.appends ? 'end' : at;
    const written = await this.session.writes.run(ino, () => this.#writeParts(data, where));
    if (written.count <= 0 || !access.syncs) return written;
    const failed = await this.sync({ dataOnly: true });
    return failed < 0 ? { count: failed, end: written.end } : written;
  }

  async #writeParts(
    data: Buffer,
    at: number | 'end',
  ): Promise<{ count: number | NegativeErrno; end: number }> {
    const { fs } = this.session;
    const { ino } = this.opened;
    const offset = at === 'end' ? this.sizeBytes : at;
    let done = 0;
    while (done < data.length) {
      const part = data.subarray(done, done + PART_BYTES);
      const result = fs.write(this.session.context(), ino, offset + done, part, false);
      const count = typeof result === 'number' ? result : await result;
      if (count < 0) return { count: done > 0 ? done : count, end: offset + done };
      this.#hasWritten = true;
      done += count;
      if (done < data.length) await nextTurn();
    }
    return { count: done, end: offset + done };
  }

  async truncate(sizeBytes: number): Promise<0 | NegativeErrno> {
    const { access, ino } = this.opened;
    if (!access.writes) return -EINVAL;
    const { session } = this;
    const result = await session.writes.run(ino, () =>
      session.fs.setattr(session.context(), ino, { sizeBytes }),
    );
    if (typeof result === 'number') return result;
    this.#hasWritten = true;
    return 0;
  }

  async sync(options: { dataOnly: boolean }): Promise<0 | NegativeErrno> {
    const { fs } = this.session;
    const { ino, isFolder } = this.opened;
    return settled(isFolder ? fs.fsyncdir(ino) : fs.fsync(ino, options.dataOnly));
  }

  /** Ends the open; who has written hears whether that is as durable as the volume promises. */
  async close(): Promise<0 | NegativeErrno> {
    const { fs } = this.session;
    const { ino, handle, isCounted } = this.opened;
    try {
      return this.#hasWritten ? await settled(fs.flush(ino)) : 0;
    } finally {
      fs.release(this.session.context(), ino, handle);
      if (isCounted) fs.forget(ino, 1);
    }
  }
}

/**
 * The answer of a request that may wait for a commit, which tells its waiters before the metadata
 * has taken it over in the same turn: a receipt comes behind that.
 */
async function settled<T>(answer: T | Promise<T>): Promise<T> {
  if (!(answer instanceof Promise)) return answer;
  const result = await answer;
  await nextTurn();
  return result;
}

/** Bytes that came in a buffer of their own go where they are wanted. */
function take(result: Buffer | NegativeErrno, into: Buffer, at: number): number {
  return typeof result === 'number' ? result : result.copy(into, at);
}
