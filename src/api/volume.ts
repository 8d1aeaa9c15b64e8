import { constants } from 'node:fs';
import { liveStatus, type Receipt, type StatusReport } from '../node/mod.ts';
import { type CommitReceipt, commitVolume } from './commits.ts';
import type { Content } from './content.ts';
import { FileHandle } from './file-handle.ts';
import { modeBits, openFlags } from './flags.ts';
import { NameCalls } from './name-calls.ts';
import { openInode } from './open-inode.ts';
import type { Path, Session } from './session.ts';

/** What fopen() of the seed means: there is no mode, and a new file is made. */
const OPEN_OR_MAKE: number = constants.O_RDWR | constants.O_CREAT;

/** How a file is opened for the calls that open it themselves. */
export interface FileOptions {
  encoding?: BufferEncoding | null;
  mode?: number | string;
  flag?: string | number;
  /** fsync before it is closed. */
  flush?: boolean;
}

/**
 * A volume without a mount: the calls of node:fs/promises on the paths in it, and those that say
 * how durable things are. Made by openVolume().
 */
export class Volume extends NameCalls {
  /** Where its cache and metadata are. */
  readonly home: string;
  readonly #commitsAtEnd: boolean;
  readonly #release: () => void;
  #closed: Promise<void> | undefined;

  constructor(options: {
    session: Session;
    home: string;
    commitsAtEnd: boolean;
    release: () => void;
  }) {
    super(options.session);
    this.home = options.home;
    this.#commitsAtEnd = options.commitsAtEnd;
    this.#release = options.release;
  }

  /** Opens a file, or a folder to sync it: flags and mode as of fsPromises.open(). */
  async open(
    path: Path,
    flags: string | number = 'r',
    mode: number | string = 0o666,
  ): Promise<FileHandle> {
    const wanted = { path, flags: openFlags(flags), mode: modeBits(mode) };
    return new FileHandle(await openInode(this.session, wanted));
  }

  /** All of a file. */
  readFile(path: Path, options?: { encoding?: null; flag?: string | number }): Promise<Buffer>;
  readFile(
    path: Path,
    options: BufferEncoding | (FileOptions & { encoding: BufferEncoding }),
  ): Promise<string>;
  async readFile(path: Path, options: BufferEncoding | FileOptions = {}): Promise<Buffer | string> {
    const { encoding, flag = 'r' } = optionsOf(options);
    const file = await this.open(path, flag);
    try {
      const bytes = await file.readFile();
      return encoding === undefined || encoding === null ? bytes : bytes.toString(encoding);
    } finally {
      await file.close();
    }
  }

  /** Makes a file, or cuts off the one that is there, and writes all of `content`. */
  async writeFile(
    path: Path,
    content: Content,
    options: BufferEncoding | FileOptions = {},
  ): Promise<void> {
    const { encoding, mode = 0o666, flag = 'w', flush = false } = optionsOf(options);
    const file = await this.open(path, flag, mode);
    try {
      await file.writeFile(content, { encoding: encoding ?? null });
      if (flush) await file.sync();
    } finally {
      await file.close();
    }
  }

  /** Writes all of `content` behind the end of a file, which is made if it is not there. */
  appendFile(
    path: Path,
    content: Content,
    options: BufferEncoding | FileOptions = {},
  ): Promise<void> {
    return this.writeFile(path, content, { flag: 'a', ...optionsOf(options) });
  }

  /** Cuts a file off, or lengthens it with zeros. */
  async truncate(path: Path, length: number = 0): Promise<void> {
    const file = await this.open(path, 'r+');
    try {
      await file.truncate(length);
    } finally {
      await file.close();
    }
  }

  /**
   * Waits until everything done up to now is on the disks with the redundancy of the scheme.
   * Rejects with the DfsError that says why it is not; it stays in the cache then.
   */
  commit(): Promise<CommitReceipt> {
    return this.session.run(commitVolume);
  }

  /** How far a file is committed, or a folder with all that is in it. */
  receipt(path: Path): Promise<Receipt> {
    return this.session.run(async (volume) => {
      const { ino } = await this.session.on(path, { syscall: 'stat' }, ({ ino }) => ({ ino }));
      return volume.receipt(ino);
    });
  }

  /** What `dfsctl status` shows. */
  status(): Promise<StatusReport> {
    const place = { home: this.home, mountPoint: undefined };
    return this.session.run((volume) => liveStatus(volume, place));
  }

  /** {@link open}; reads and writes as "r+" unless told otherwise, and makes what is not there. */
  fopen(path: Path, flags?: string | number): Promise<FileHandle> {
    return this.open(path, flags ?? OPEN_OR_MAKE);
  }

  /** Up to `length` bytes from the current position on; none at the end of the file. */
  async fread(file: FileHandle, length: number): Promise<Buffer> {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(length));
    return buffer.subarray(0, bytesRead);
  }

  /** Writes all of `content` at the current position. */
  fwrite(file: FileHandle, content: Content): Promise<void> {
    return file.writeFile(content);
  }

  /** Writes all of `content` behind the end of the file. */
  fappend(file: FileHandle, content: Content): Promise<void> {
    return file.append(content);
  }

  /** {@link FileHandle.sync}. */
  fflush(file: FileHandle): Promise<void> {
    return file.sync();
  }

  /** {@link FileHandle.close}. */
  fclose(file: FileHandle): Promise<void> {
    return file.close();
  }

  /** {@link FileHandle.commit}. */
  fcommit(file: FileHandle): Promise<CommitReceipt> {
    return file.commit();
  }

  /**
   * Ends the volume after the calls that run, and all opens with it. Commits first, as umount does,
   * unless told not to: then what is not committed waits in HOME for the next time. Rejects when
   * that commit failed; the volume is closed all the same, and nothing is lost.
   */
  close(options: { commit?: boolean } = {}): Promise<void> {
    this.#closed ??= this.#close(options.commit ?? this.#commitsAtEnd);
    return this.#closed;
  }

  async #close(commit: boolean): Promise<void> {
    try {
      await this.session.close({ commit });
    } finally {
      this.#release();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function optionsOf(options: BufferEncoding | FileOptions): FileOptions {
  return typeof options === 'string' ? { encoding: options } : options;
}
