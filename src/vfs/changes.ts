import { EIO, ENOSPC, EROFS, type NegativeErrno } from '../base/errno.ts';
import { DfsError, InvariantError, messageOf } from '../base/errors.ts';
import type { Ino } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { LiveMeta, MetaOp } from '../meta/mod.ts';
import { FolderLooks } from './folder-looks.ts';
import type { Kernel, RequestContext } from './vfs-interface.ts';

/**
 * Carries out changes of metadata for requests, and says what an application sees when one fails.
 */
export class Changes {
  readonly #meta: LiveMeta;
  readonly #readOnly: boolean;
  readonly #log: Log;
  readonly folderLooks: FolderLooks = new FolderLooks();
  /** Who serves the requests; absent where nobody does. */
  kernel: Kernel | undefined;

  constructor(options: { meta: LiveMeta; readOnly: boolean; log: Log }) {
    this.#meta = options.meta;
    this.#readOnly = options.readOnly;
    this.#log = options.log;
  }

  /**
   * Makes the changes of one request, whose answer `result` is kept for a resend: 0 or a negative
   * errno. Without a request nothing is kept.
   */
  run(ops: MetaOp[], context: RequestContext | undefined, result: number): 0 | NegativeErrno {
    if (this.#readOnly) return -EROFS;
    try {
      this.#meta.run(ops, context, result);
      if (context !== undefined) {
        for (const folder of this.folderLooks.outdated(ops, context.pid)) {
          this.kernel?.forgetAttributes(folder);
        }
      }
      return 0;
    } catch (error) {
      return this.errno(error, ops[0]?.kind ?? 'nothing');
    }
  }

  /**
   * The errno an application sees for an error of the rooms below. A broken invariant goes on up.
   */
  errno(error: unknown, operation: string): NegativeErrno {
    if (error instanceof InvariantError) throw error;
    this.#log('error', 'operation failed', { operation, message: messageOf(error) });
    const full =
      (error instanceof DfsError && error.code === 'NO_SPACE') ||
      (error as NodeJS.ErrnoException).code === 'ENOSPC';
    return full ? -ENOSPC : -EIO;
  }

  /** A number for a new inode, or a negative errno. */
  allocateIno(): Ino | NegativeErrno {
    if (this.#readOnly) return -EROFS;
    try {
      return this.#meta.allocateIno();
    } catch (error) {
      return this.errno(error, 'create');
    }
  }
}
