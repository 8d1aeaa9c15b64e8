import type { NegativeErrno } from '../base/errno.ts';
import type { Ino } from '../base/ids.ts';
import type { Attributes } from './attributes.ts';
import type { Content } from './content.ts';
import { HANDLE } from './open-table.ts';
import type { Opens } from './opens.ts';
import type { RequestContext } from './vfs-interface.ts';
import type { Waits } from './waits.ts';

type Written = number | Promise<number>;

/** Writes of applications: what they take from the inode, and what is due after them. */
export class Writes {
  readonly #attributes: Attributes;
  readonly #content: Content;
  readonly #opens: Opens;
  readonly #waits: Waits;

  constructor(rooms: { attributes: Attributes; content: Content; opens: Opens; waits: Waits }) {
    this.#attributes = rooms.attributes;
    this.#content = rooms.content;
    this.#opens = rooms.opens;
    this.#waits = rooms.waits;
  }

  /** See {@link Vfs.write}. */
  write(
    context: RequestContext,
    ino: Ino,
    offset: number,
    data: Buffer,
    killSuidGid: boolean,
  ): Written {
    const failed = this.#attributes.dropPrivileges(context, ino, killSuidGid);
    return failed < 0 ? failed : this.#content.write(ino, offset, data, context.unique);
  }

  /** See {@link Vfs.writeBy}. */
  writeBy(
    context: RequestContext,
    ino: Ino,
    offset: number,
    data: Buffer,
    how: { killSuidGid: boolean; handle: number; isSync: boolean },
  ): Written {
    const { unique } = context;
    const { handle } = how;
    const end = offset + data.length;
    const result = this.write(context, ino, offset, data, how.killSuidGid);
    // Behind a write through its pages the kernel sends an FSYNC.
    if (handle !== HANDLE.DIRECT && handle !== HANDLE.UNCACHED) return result;
    const written = handle === HANDLE.DIRECT ? result : this.#forgetPages(ino, offset, end, result);
    if (!how.isSync) return written;
    return behind(written, (count) => this.#waits.written(ino, count, unique));
  }

  #forgetPages(ino: Ino, start: number, end: number, result: Written): Written {
    return behind(result, (count) => {
      const forgotten = count < 0 ? undefined : this.#opens.wroteUncached(ino, start, end);
      return forgotten === undefined ? count : forgotten.then(() => count);
    });
  }
}

/** Goes on in the same turn when there is nothing to wait for. */
function behind(result: Written, goOn: (count: number | NegativeErrno) => Written): Written {
  return typeof result === 'number' ? goOn(result) : result.then((count) => goOn(count));
}
