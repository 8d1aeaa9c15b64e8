import { onTestFinished } from 'vitest';
import type { Ino } from '../../src/base/ids.ts';
import { silentLog } from '../../src/base/log.ts';
import { type Segment, segmentsOf } from '../../src/commit/segments.ts';
import { type Attr, type Durability, FileSystem, type RequestContext } from '../../src/vfs/mod.ts';
import { CacheRig, type OpenCut } from '../cache/fixture.ts';

interface RigOptions {
  mode?: Durability['mode'];
  readOnly?: boolean;
  updatesAtime?: () => boolean;
}

/** A file system whose kernel is the test. */
export class Rig {
  readonly cacheRig: CacheRig = new CacheRig();
  fs: FileSystem;
  commits = 0;
  /** What a commit waits for before it begins. */
  beforeCommit: Promise<void> = Promise.resolve();
  #unique = 0;
  readonly #options: RigOptions;

  constructor(options: RigOptions = {}) {
    this.#options = options;
    this.fs = this.#fileSystem();
    this.fs.mounted();
    onTestFinished(() => this.cacheRig.close());
  }

  #fileSystem(): FileSystem {
    const { meta, cache } = this.cacheRig;
    return new FileSystem({
      meta,
      cache,
      durability: {
        mode: this.#options.mode ?? 'weak',
        commit: () => {
          this.commits++;
          return this.beforeCommit
            .then(() => this.cacheRig.commit())
            .then(() => this.cacheRig.meta.committedEpoch);
        },
        receipt: (ino) => `receipt of ${ino}`,
      },
      capacity: () => ({ totalBytes: 1_000_000, freeBytes: 500_000 }),
      readOnly: this.#options.readOnly ?? false,
      updatesAtime: this.#options.updatesAtime ?? (() => true),
      log: silentLog,
    });
  }

  /** A new process takes over; the kernel stays. */
  async takeOver(): Promise<void> {
    await this.cacheRig.crash();
    this.fs = this.#fileSystem();
  }

  /** The context of a new request. */
  readonly by = (uid = 0, gid = 0): RequestContext => {
    this.#unique += 2;
    return { uid, gid, pid: 1, umask: 0, unique: this.#unique, resent: false };
  };

  mkdir(parent: Ino, name: string, mode = 0o755): Ino {
    return attr(this.fs.mkdir(this.by(), parent, Buffer.from(name), mode)).ino;
  }

  touch(parent: Ino, name: string, mode = 0o100644): Ino {
    return attr(this.fs.mknod(this.by(), parent, Buffer.from(name), mode, 0)).ino;
  }

  /** All of a cut that is being committed. */
  segments(cut: OpenCut): Segment[] {
    return [...segmentsOf(cut.frozen)];
  }

  names(ino: Ino): string[] {
    const names: string[] = [];
    this.fs.readdir(ino, 0, (name) => {
      names.push(name.toString('latin1'));
      return true;
    });
    return names.sort();
  }
}

/** The attributes, of what must not be an error or a promise. */
export function attr(reply: unknown): Attr {
  if (typeof reply !== 'object' || reply === null || !('ino' in reply)) {
    throw new Error(`attributes were expected, not ${String(reply)}`);
  }
  return reply as Attr;
}
