import { EBADF, type NegativeErrno } from '../base/errno.ts';
import type { AttrChange } from '../vfs/mod.ts';
import { ownerChange, sizeOf, timesChange } from './attribute-calls.ts';
import { type CommitReceipt, commitVolume } from './commits.ts';
import { must, systemError } from './errors.ts';
import { modeBits } from './flags.ts';
import type { OpenFile } from './open-file.ts';
import { Stats } from './stats.ts';
import type { TimeLike } from './times.ts';
import { Activity } from './turns.ts';

/**
 * The calls of an open file that are not about its bytes.
 *
 * open -> closing (no call begins, those that run go on) -> closed.
 */
export class InodeHandle {
  protected readonly file: OpenFile;
  readonly #calls = new Activity();
  #state: 'open' | 'closing' | 'closed' = 'open';
  #closed: Promise<void> | undefined;

  constructor(file: OpenFile) {
    this.file = file;
  }

  /** The path it was opened by. */
  get path(): string {
    return this.file.opened.path;
  }

  /** Attributes. */
  stat(): Promise<Stats> {
    return this.call('fstat', () => {
      const { session, opened } = this.file;
      return new Stats(must(session.fs.getattr(opened.ino), { syscall: 'fstat' }));
    });
  }

  /** Cuts the file off, or lengthens it with zeros. */
  async truncate(length: number = 0): Promise<void> {
    const sizeBytes = sizeOf(length);
    await this.call('ftruncate', () => this.file.truncate(sizeBytes));
  }

  /** fsync(2): what that makes durable is said by the volume's status as `fsyncMeans`. */
  async sync(): Promise<void> {
    await this.call('fsync', () => this.file.sync({ dataOnly: false }));
  }

  /** fdatasync(2). */
  async datasync(): Promise<void> {
    await this.call('fdatasync', () => this.file.sync({ dataOnly: true }));
  }

  /**
   * Waits until everything done up to now, to this file and all others, is on the disks with the
   * redundancy of the scheme. Rejects with the DfsError that says why it is not.
   */
  commit(): Promise<CommitReceipt> {
    return this.call('fsync', () => this.file.session.run(commitVolume));
  }

  /** Sets permission bits. */
  async chmod(mode: number | string): Promise<void> {
    await this.#set('fchmod', { mode: modeBits(mode) });
  }

  /** Sets owner and group; -1 leaves one as it is. */
  async chown(uid: number, gid: number): Promise<void> {
    await this.#set('fchown', ownerChange(uid, gid));
  }

  /** Sets the times of access and of the last change. */
  async utimes(atime: TimeLike, mtime: TimeLike): Promise<void> {
    await this.#set('futime', timesChange(atime, mtime));
  }

  #set(syscall: string, change: AttrChange): Promise<unknown> {
    const { session, opened } = this.file;
    return this.call(syscall, () => session.fs.setattr(session.context(), opened.ino, change));
  }

  /** Runs a call that this handle must be open for; throws a negative errno as an error. */
  protected call<T>(
    syscall: string,
    action: () => T | NegativeErrno | Promise<T | NegativeErrno>,
  ): Promise<T> {
    if (this.#state !== 'open') return Promise.reject(systemError(-EBADF, { syscall }));
    return this.#calls.run(async () => must(await this.file.session.run(action), { syscall }));
  }

  /**
   * Ends the open, after the calls that run. Where the volume promises it of close(2), what was
   * written is committed then.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#state = 'closing';
    await this.#calls.idle();
    const { session } = this.file;
    try {
      // A volume that is closed has ended all opens.
      if (session.isOpen) must(await session.run(() => this.file.close()), { syscall: 'close' });
    } finally {
      this.#state = 'closed';
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
