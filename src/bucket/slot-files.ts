import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { codeOf, DfsError } from '../base/errors.ts';
import { publishFile, syncFolder } from '../base/publish.ts';
import { ioError } from './disk-errors.ts';
import {
  compareBallots,
  NO_BALLOT,
  type SlotBallot,
  type SlotCopy,
  type SlotState,
  type SlotVersion,
} from './slot-format.ts';
import { decodeLooseSlot, decodeSlot, SLOT_FILE_BYTES_MAX } from './slot-reader.ts';
import { encodeSlot, type SlotOwner, slotFileName } from './slot-writer.ts';

// States: good -> failed, when a file could not be published for another reason than that there was
// no room: what is on the platter then is not known any more. There is no way back.
//
// Invariants.
// 1. Calls run one at a time: nobody sees the copy between a decision and its file.
// 2. A promise is never taken back and what was accepted never replaced by what is older, while
//    the file is there and whole.
// 3. What is answered is on the platter: files are published, and the folder, which a process
//    that was killed may have left unsynced, is synced before the first answer.

const FILE_NAME = /^[0-9a-f]{64}$/;
const TEMPORARY_NAME = /^[0-9a-f]{64}\.[0-9a-f]+\.tmp$/;

/** Where the slots of a disk are, and whose. */
export interface SlotFilesOptions extends SlotOwner {
  /** The folder on the disk that is ours. */
  readonly folder: string;
  readonly readOnly?: boolean;
  /** Puts a file in place, replaced by tests. */
  readonly publish?: typeof publishFile;
}

/** Whether a disk did as it was asked, and what it has of the slot now. */
export interface SlotAnswer {
  readonly isDone: boolean;
  readonly copy: SlotCopy | undefined;
}

/** A copy in a list, without its content. */
export interface ListedSlot {
  /** Name of its file, by which lists are in order. */
  readonly name: string;
  /** Undefined when the file does not verify. */
  readonly path: string | undefined;
  readonly promised: SlotBallot;
  readonly accepted: SlotSummary | undefined;
}

/** What was accepted of a slot; the size is undefined for a deletion. */
export interface SlotSummary {
  readonly ballot: SlotBallot;
  readonly version: SlotVersion;
  readonly contentBytes: number | undefined;
}

/**
 * The slots of one disk: an acceptor as Paxos has it, of each slot by itself. It keeps what it
 * promised and accepted in one file a slot.
 */
export class SlotFiles {
  readonly #folder: string;
  readonly #owner: SlotOwner;
  readonly #readOnly: boolean;
  readonly #publish: typeof publishFile;
  #failure: DfsError | undefined;
  #isPrepared = false;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: SlotFilesOptions) {
    const { folder, volumeTag, diskId, readOnly = false, publish = publishFile } = options;
    this.#folder = join(folder, 'slots');
    this.#owner = { volumeTag, diskId };
    this.#readOnly = readOnly;
    this.#publish = publish;
  }

  /** What is here of a slot; undefined when nothing is, CORRUPT when it does not verify. */
  read(path: string): Promise<SlotCopy | undefined> {
    return this.#inTurn(() => this.#read(path));
  }

  /** Promises to accept nothing before `ballot`; not done when a later one has the promise. */
  prepare(path: string, ballot: SlotBallot): Promise<SlotAnswer> {
    return this.#inTurn(async () => {
      const copy = await this.#read(path);
      const order = compareBallots(ballot, copy?.promised ?? NO_BALLOT);
      if (order <= 0) return { isDone: order === 0, copy };
      const promised = { path, promised: ballot, accepted: copy?.accepted };
      await this.#write(promised);
      return { isDone: true, copy: promised };
    });
  }

  /**
   * Accepts a state; not done when a later ballot has the promise. `replaceDamaged` puts it also in
   * the place of a file that does not verify: only for what a majority of other disks has.
   */
  accept(
    path: string,
    accepted: { ballot: SlotBallot; state: SlotState },
    options: { replaceDamaged: boolean } = { replaceDamaged: false },
  ): Promise<SlotAnswer> {
    return this.#inTurn(async () => {
      const copy = await this.#read(path).catch((error: unknown) => {
        const isDamaged = error instanceof DfsError && error.code === 'CORRUPT';
        if (isDamaged && options.replaceDamaged) return undefined;
        throw error;
      });
      const { ballot } = accepted;
      if (copy?.accepted !== undefined && compareBallots(ballot, copy.accepted.ballot) === 0) {
        return { isDone: true, copy };
      }
      if (compareBallots(ballot, copy?.promised ?? NO_BALLOT) < 0) return { isDone: false, copy };
      const taken = { path, promised: ballot, accepted };
      await this.#write(taken);
      return { isDone: true, copy: taken };
    });
  }

  /** At most `limit` copies whose file names come after `after`. */
  list(after: string, limit: number): Promise<ListedSlot[]> {
    return this.#inTurn(async () => {
      const names = (await this.#names()).filter((name) => FILE_NAME.test(name) && name > after);
      const listed: ListedSlot[] = [];
      for (const name of names.sort().slice(0, limit)) {
        try {
          const copy = await this.#readFile(name);
          if (copy !== undefined) listed.push(listedOf(name, copy));
        } catch (error) {
          if (!(error instanceof DfsError) || error.code !== 'CORRUPT') throw error;
          listed.push({ name, path: undefined, promised: NO_BALLOT, accepted: undefined });
        }
      }
      return listed;
    });
  }

  /**
   * Removes a copy that is needed nowhere here any more, unless it is later than `upTo` or a later
   * ballot was promised; whether it is gone.
   */
  drop(path: string, upTo: SlotBallot): Promise<boolean> {
    return this.#inTurn(async () => {
      const copy = await this.#read(path);
      if (copy === undefined) return true;
      if (compareBallots(copy.promised, upTo) > 0) return false;
      this.#checkWritable();
      try {
        await rm(join(this.#folder, slotFileName(path)));
        await syncFolder(this.#folder);
      } catch (error) {
        throw this.#failed(error);
      }
      return true;
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(async () => {
      if (this.#failure !== undefined) throw this.#failure;
      if (!this.#isPrepared) await this.#prepareFolder();
      return work();
    });
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** Invariant 3; and what crashes left of unfinished files goes. */
  async #prepareFolder(): Promise<void> {
    const names = await this.#names();
    if (!this.#readOnly && names.length > 0) {
      try {
        for (const name of names) {
          if (TEMPORARY_NAME.test(name)) await rm(join(this.#folder, name), { force: true });
        }
        await syncFolder(this.#folder);
      } catch (error) {
        throw this.#failed(error);
      }
    }
    this.#isPrepared = true;
  }

  async #names(): Promise<string[]> {
    try {
      return await readdir(this.#folder);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw ioError(`list ${this.#folder}`, error);
    }
    // A disk without slots has no folder for them; one that is gone has no folder above it.
    await readdir(dirname(this.#folder)).catch((error: unknown) => {
      throw new DfsError('UNAVAILABLE', `Cannot list ${this.#folder}: its disk is gone`, {
        cause: error,
      });
    });
    return [];
  }

  async #read(path: string): Promise<SlotCopy | undefined> {
    return this.#readFile(slotFileName(path));
  }

  async #readFile(name: string): Promise<SlotCopy | undefined> {
    const path = join(this.#folder, name);
    const bytes = await readSmallFile(path);
    if (bytes === undefined) {
      await this.#names();
      return undefined;
    }
    try {
      const copy = decodeSlot(bytes, this.#owner);
      if (slotFileName(copy.path) === name) return copy;
    } catch (error) {
      if (!(error instanceof DfsError)) throw error;
      throw new DfsError(error.code, `${error.message} (${path})`, { cause: error });
    }
    throw new DfsError('CORRUPT', `Cannot read a slot: it has the name of another (${path})`);
  }

  async #write(copy: SlotCopy): Promise<void> {
    this.#checkWritable();
    try {
      await this.#makeFolder();
      const path = join(this.#folder, slotFileName(copy.path));
      await this.#publish(path, encodeSlot(this.#owner, copy), { mode: 0o600 });
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** Only itself: a disk that is gone must not come into being by a folder of its name. */
  async #makeFolder(): Promise<void> {
    try {
      await mkdir(this.#folder, { mode: 0o700 });
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return;
      throw error;
    }
    await syncFolder(dirname(this.#folder));
  }

  #checkWritable(): void {
    if (!this.#readOnly) return;
    throw new DfsError('BAD_ARGUMENT', `Cannot change ${this.#folder}: it is open read-only`);
  }

  /** The error of a failed change; all but a lack of room is final. */
  #failed(cause: unknown): DfsError {
    const error = ioError(`change ${this.#folder}`, cause);
    if (error.code === 'NO_SPACE' || error.code === 'INVARIANT') return error;
    const state = `a write failed before: ${error.message}`;
    this.#failure = new DfsError('UNAVAILABLE', `Cannot use ${this.#folder}: ${state}`, { cause });
    return error;
  }
}

function listedOf(name: string, { path, promised, accepted }: SlotCopy): ListedSlot {
  if (accepted === undefined) return { name, path, promised, accepted };
  const { version, content } = accepted.state;
  const summary = { ballot: accepted.ballot, version, contentBytes: content?.length };
  return { name, path, promised, accepted: summary };
}

/**
 * A slot on the disk whose folder of ours is `folder`, when it is not known whose that is; undefined
 * when there is none. CORRUPT, NEWER_FORMAT, IO.
 */
export async function readLooseSlot(
  folder: string,
  path: string,
): Promise<{ copy: SlotCopy; owner: SlotOwner } | undefined> {
  const bytes = await readSmallFile(join(folder, 'slots', slotFileName(path)));
  const found = bytes && decodeLooseSlot(bytes);
  if (found === undefined || found.copy.path === path) return found;
  throw new DfsError('CORRUPT', `Cannot read slot "${path}" in ${folder}: it is another`);
}

/** All of a file that should be small; undefined when it is not there. */
async function readSmallFile(path: string): Promise<Buffer | undefined> {
  try {
    const handle = await open(path, 'r');
    try {
      const { size } = await handle.stat();
      const bytes = Buffer.alloc(Math.min(size, SLOT_FILE_BYTES_MAX));
      let length = 0;
      while (length < bytes.length) {
        const { bytesRead } = await handle.read(bytes, length, bytes.length - length, length);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      return bytes.subarray(0, length);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw ioError(`read ${path}`, error);
  }
}
