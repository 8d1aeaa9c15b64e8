import { readFileSync } from 'node:fs';
import type { NegativeErrno } from '../base/errno.ts';
import { DfsError } from '../base/errors.ts';
import type { Ino } from '../base/ids.ts';
import type { LiveVolume } from '../node/mod.ts';
import type { Attr, FileSystem, RequestContext } from '../vfs/mod.ts';
import { badArgument, must } from './errors.ts';
import { type Last, type Place, walk } from './paths.ts';
import { Activity, Turns } from './turns.ts';

/** A path in the volume, from its root; a Buffer where names are not UTF-8. */
export type Path = string | Uint8Array;

/** Whom new files and folders belong to. */
export interface Owner {
  uid: number;
  gid: number;
}

/**
 * One opened volume as its calls see it: whether they may run, and in which order.
 *
 * Invariants:
 *  1. A call begins only while the volume is open, and close() waits for all that have begun.
 *  2. What changes the content of an inode does so one after the other, as under the kernel's lock
 *     of an inode; the cache relies on it.
 */
export class Session {
  readonly fs: FileSystem;
  /** Invariant 2. */
  readonly writes: Turns<Ino> = new Turns();
  readonly #volume: LiveVolume;
  readonly #calls = new Activity();
  readonly #owner: Owner;
  readonly #umask: number;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #death: DfsError | undefined;
  #unique = 0;

  constructor(options: { volume: LiveVolume; owner: Owner }) {
    this.#volume = options.volume;
    this.#owner = options.owner;
    this.#umask = processUmask();
    this.fs = options.volume.fileSystem;
  }

  /** The context of a new request: calls have the rights of root, as who has HOME has all of it. */
  context(): RequestContext {
    this.#unique++;
    return { uid: 0, gid: 0, pid: process.pid, umask: 0, unique: this.#unique, resent: false };
  }

  /** The context of a request that makes something, which belongs to the owner. */
  creator(): RequestContext {
    return { ...this.context(), ...this.#owner, umask: this.#umask };
  }

  get isOpen(): boolean {
    return this.#state === 'open' && this.#death === undefined;
  }

  /** The store's thread died: nothing goes on. */
  died(cause: unknown): void {
    this.#death ??= new DfsError('IO', "Cannot go on: the store's thread has ended", { cause });
  }

  /** Runs one call on the volume: invariant 1. */
  run<T>(action: (volume: LiveVolume) => T | Promise<T>): Promise<T> {
    if (this.#death !== undefined) return Promise.reject(this.#death);
    if (this.#state === 'open') return this.#calls.run(() => action(this.#volume));
    const state = `the volume is ${this.#state}`;
    return Promise.reject(new DfsError('CLOSED', `Cannot use a volume: ${state}`));
  }

  /** Runs a call on the place a path leads to; what it answers may be a negative errno. */
  at<T>(
    path: Path,
    options: { syscall: string; last?: Last },
    action: (place: Place) => T | NegativeErrno | Promise<T | NegativeErrno>,
  ): Promise<T> {
    const { syscall, last = 'followed' } = options;
    return this.run(async () => {
      const call = { syscall, path: textOf(path) };
      const place = must(walk(this.fs, bytesOf(path), last), call);
      return must(await action(place), call);
    });
  }

  /** As {@link at}, on what stands there; ENOENT when nothing does. */
  on<T>(
    path: Path,
    options: { syscall: string; last?: Last },
    action: (attr: Attr, place: Place) => T | NegativeErrno | Promise<T | NegativeErrno>,
  ): Promise<T> {
    return this.at(path, options, (place) =>
      place.attr === undefined ? place.missing : action(place.attr, place),
    );
  }

  /** The answer of a request that made a name: nobody keeps count of it. */
  made(attr: Attr | NegativeErrno): 0 | NegativeErrno {
    if (typeof attr === 'number') return attr;
    this.fs.forget(attr.ino, 1);
    return 0;
  }

  /** Closes the volume; only the first call does. */
  async close(options: { commit: boolean }): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    try {
      await this.#calls.idle();
      await this.#volume.close({ commit: options.commit && this.#death === undefined });
    } finally {
      this.#state = 'closed';
    }
  }
}

/** The bytes of a path. */
export function bytesOf(path: Path): Buffer {
  const bytes = typeof path === 'string' ? Buffer.from(path) : Buffer.from(path);
  if (!bytes.includes(0)) return bytes;
  throw badArgument('use a path', `"${textOf(path)}" has a NUL in it`);
}

/** A path as errors show it. */
export function textOf(path: Path): string {
  return typeof path === 'string' ? path : Buffer.from(path).toString();
}

/** To ask node for it would set it, for all threads, for a moment. */
function processUmask(): number {
  const umask = /^Umask:\s*([0-7]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return umask === undefined ? 0o022 : Number.parseInt(umask, 8);
}
