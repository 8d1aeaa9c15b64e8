import { EFBIG, EINVAL, EISDIR, ENOENT, type NegativeErrno } from '../base/errno.ts';
import type { Ino } from '../base/ids.ts';
import { BLOCK_BYTES, FILE_BYTES_MAX } from '../base/limits.ts';
import type { FileCache } from '../cache/mod.ts';
import {
  type AttrPatch,
  CAPABILITY_XATTR,
  type Inode,
  isFolder,
  isRegular,
  type LiveMeta,
  type MetaOp,
  type Time,
} from '../meta/mod.ts';
import { ACL_ACCESS, chmodAcl } from './acl.ts';
import { patchOf } from './attr-patch.ts';
import { isInGroup } from './caller-groups.ts';
import type { Changes } from './changes.ts';
import { now } from './clock.ts';
import type { Attr, AttrChange, RequestContext } from './vfs-interface.ts';

/** Files up to this size are taken for files without holes: to look costs more than it tells. */
const DENSE_BYTES_MAX: number = 4 * BLOCK_BYTES;
const ACCESS_NAME = Buffer.from(ACL_ACCESS);

/** Attributes of inodes: what applications see of them, and what changes them. */
export class Attributes {
  readonly #meta: LiveMeta;
  readonly #cache: FileCache;
  readonly #changes: Changes;

  constructor(options: { meta: LiveMeta; cache: FileCache; changes: Changes }) {
    this.#meta = options.meta;
    this.#cache = options.cache;
    this.#changes = options.changes;
  }

  get(ino: Ino, context?: RequestContext): Attr | NegativeErrno {
    const inode = this.#meta.inode(ino);
    if (inode === undefined) return -ENOENT;
    if (context !== undefined && isFolder(inode)) this.#changes.folderLooks.told(ino, context.pid);
    return this.of(inode);
  }

  /** An inode as applications see it: a file of some size may be sparse. */
  of(inode: Inode): Attr {
    if (inode.sizeBytes > DENSE_BYTES_MAX && isRegular(inode)) {
      inode.blocks = this.#cache.holes.blocks(inode);
    }
    return inode;
  }

  set(
    context: RequestContext,
    ino: Ino,
    change: AttrChange,
  ): Attr | NegativeErrno | Promise<Attr | NegativeErrno> {
    const inode = this.#meta.inode(ino);
    if (inode === undefined) return -ENOENT;
    if (change.sizeBytes === undefined) return this.#setattrNow(context, inode, change);
    if (isFolder(inode)) return -EISDIR;
    if (!isRegular(inode)) return -EINVAL;
    if (change.sizeBytes > FILE_BYTES_MAX) return -EFBIG;
    const waiting = this.#cache.resize(inode, change.sizeBytes);
    if (waiting === undefined) return this.#setattrNow(context, inode, change);
    const kept = { ...context };
    return waiting.then(() => this.set(kept, ino, change));
  }

  /**
   * Also done for a request sent again: the cache file's new length may have been undone by taking
   * it up.
   */
  #setattrNow(context: RequestContext, inode: Inode, change: AttrChange): Attr | NegativeErrno {
    const ops = this.#opsOf(context, inode, change);
    if (ops.length === 0) return this.of(inode);
    const failed = this.#changes.run(ops, context, 0);
    if (failed !== 0) return failed;
    if (change.mtime !== undefined) this.#cache.mtimeSet(inode);
    return this.of(inode);
  }

  #opsOf(context: RequestContext, inode: Inode, change: AttrChange): MetaOp[] {
    const { ino } = inode;
    const time = now();
    const ops: MetaOp[] = [];
    const { sizeBytes } = change;
    if (sizeBytes !== undefined) ops.push({ kind: 'truncate', ino, sizeBytes, time });
    const isStranger = (): boolean => context.uid !== 0 && !isInGroup(context, inode.gid);
    const patch = patchOf(inode, change, { time, isStranger });
    if (Object.keys(patch).length > 0) ops.push({ kind: 'setattr', ino, change: patch, time });
    ops.push(...this.#besides(inode, change, patch, time));
    return ops;
  }

  /** Attributes that follow a change: an ACL has the mode's bits, a capability is of one content. */
  #besides(inode: Inode, change: AttrChange, patch: AttrPatch, time: Time): MetaOp[] {
    const { ino } = inode;
    const ops: MetaOp[] = [];
    const acl = change.mode === undefined ? undefined : this.#meta.state.xattr(ino, ACCESS_NAME);
    if (acl !== undefined && patch.mode !== undefined) {
      ops.push({
        kind: 'setxattr',
        ino,
        name: ACCESS_NAME,
        value: chmodAcl(acl, patch.mode),
        time,
      });
    }
    const isOther = change.sizeBytes !== undefined || change.killSuidGid !== undefined;
    const isChowned = change.uid !== undefined || change.gid !== undefined;
    if ((isOther || isChowned) && this.#meta.hasCapability(ino)) {
      ops.push({ kind: 'removexattr', ino, name: CAPABILITY_XATTR, time });
    }
    return ops;
  }

  /**
   * What a change of a file's content takes from it: setuid and setgid, security.capability. The
   * answer to the request does not tell the kernel, which would run a program with what it had.
   */
  dropPrivileges(context: RequestContext, ino: Ino, killSuidGid: boolean): NegativeErrno | 0 {
    if (!killSuidGid && !this.#meta.hasCapability(ino)) return 0;
    const inode = this.#meta.inode(ino);
    if (inode === undefined) return 0;
    const ops = this.#opsOf(context, inode, { killSuidGid });
    if (ops.length === 0) return 0;
    const failed = this.#changes.run(ops, undefined, 0);
    if (failed === 0) this.#changes.kernel?.forgetAttributes(ino);
    return failed;
  }
}
