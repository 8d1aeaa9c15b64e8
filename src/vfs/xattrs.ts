import {
  EACCES,
  EEXIST,
  EINVAL,
  ENODATA,
  ENOENT,
  EOPNOTSUPP,
  EPERM,
  ERANGE,
  type NegativeErrno,
} from '../base/errno.ts';
import type { Ino } from '../base/ids.ts';
import { XATTR_NAME_BYTES_MAX, XATTR_VALUE_BYTES_MAX } from '../base/limits.ts';
import { COMMIT_XATTR, EFFECTIVE_MODE_XATTR, MODE_XATTR } from '../base/xattr-names.ts';
import { type Inode, isFolder, type LiveMeta, type MetaOp, S_ISGID } from '../meta/mod.ts';
import { ACL_ACCESS, ACL_DEFAULT, canHaveAcl, isMode, modeOf, parseAcl } from './acl.ts';
import type { Changes } from './changes.ts';
import { now } from './clock.ts';
import { type Modes, parseMode } from './modes.ts';
import type { Reply, RequestContext } from './vfs-interface.ts';

const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;
const SPACES = ['user.', 'trusted.', 'security.'];

/** What SETXATTR asks for; `killSgid` goes with an access ACL of a caller outside of the group. */
export interface XattrChange {
  name: Buffer;
  value: Buffer;
  flags: number;
  killSgid: boolean;
}

export interface XattrsOptions {
  meta: LiveMeta;
  changes: Changes;
  modes: Modes;
  /** Text of the receipt of an inode: cached, committing or committed@epoch. */
  receipt: (ino: Ino) => string | Promise<string>;
  /** Resolves when the inode, or all below a folder, is committed. */
  commit: (ino: Ino) => number | Promise<number>;
}

/** Extended attributes, those that hold POSIX ACLs among them. */
export class Xattrs {
  readonly #meta: LiveMeta;
  readonly #changes: Changes;
  readonly #options: XattrsOptions;

  constructor(options: XattrsOptions) {
    this.#meta = options.meta;
    this.#changes = options.changes;
    this.#options = options;
  }

  set(context: RequestContext, ino: Ino, change: XattrChange): Reply<0> {
    const inode = this.#meta.inode(ino);
    if (inode === undefined) return -ENOENT;
    if (this.#meta.earlierReply(context) !== undefined) return 0;
    const text = change.name.toString('latin1');
    if (text === ACL_ACCESS || text === ACL_DEFAULT) return this.#setAcl(context, inode, change);
    if (text === COMMIT_XATTR) return this.#commit(ino, change);
    const refused = this.#check(ino, change);
    if (refused !== 0) return refused;
    if (text === MODE_XATTR) return this.#setMode(context, inode, change);
    const { name, value } = change;
    return this.#changes.run([{ kind: 'setxattr', ino, name, value, time: now() }], context, 0);
  }

  /** Whatever the value is: waits until the inode is committed. */
  #commit(ino: Ino, { flags }: XattrChange): Reply<0> {
    if (flags & XATTR_CREATE) return -EEXIST;
    const result = this.#options.commit(ino);
    if (typeof result === 'number') return Math.min(0, result);
    return result.then((epoch) => Math.min(0, epoch));
  }

  /** As chattr(1), for the owner and root: what fsync promises is not every writer's to change. */
  #setMode(context: RequestContext, inode: Inode, { name, value }: XattrChange): 0 | NegativeErrno {
    const { ino } = inode;
    const mode = parseMode(value);
    if (mode === undefined) return -EINVAL;
    if (context.uid !== 0 && context.uid !== inode.uid) return -EPERM;
    const op: MetaOp = { kind: 'setxattr', ino, name, value, time: now() };
    const failed = this.#changes.run([op], context, 0);
    if (failed === 0) this.#options.modes.marked(ino, mode);
    return failed;
  }

  #check(ino: Ino, { name, value, flags }: XattrChange): 0 | NegativeErrno {
    const text = name.toString('latin1');
    if (text === EFFECTIVE_MODE_XATTR) return -EPERM;
    if (!SPACES.some((space) => text.startsWith(space))) return -EOPNOTSUPP;
    if (SPACES.includes(text)) return -EINVAL;
    if (name.length > XATTR_NAME_BYTES_MAX) return -ERANGE;
    if (value.length > XATTR_VALUE_BYTES_MAX) return -EINVAL;
    const exists = this.#meta.state.xattr(ino, name) !== undefined;
    if (exists && flags & XATTR_CREATE) return -EEXIST;
    if (!exists && flags & XATTR_REPLACE) return -ENODATA;
    return 0;
  }

  /** An access ACL changes the mode with it, and is not stored where the mode says it all. */
  #setAcl(context: RequestContext, inode: Inode, change: XattrChange): 0 | NegativeErrno {
    const { ino } = inode;
    const { name, value, killSgid } = change;
    const isDefault = name.toString('latin1') === ACL_DEFAULT;
    if (!canHaveAcl(inode)) return -EOPNOTSUPP;
    if (isDefault && !isFolder(inode)) return -EACCES;
    const entries = parseAcl(value);
    if (entries === undefined) return -EINVAL;
    const time = now();
    const ops: MetaOp[] = [];
    const isStored = entries.length > 0 && (isDefault || !isMode(entries));
    if (isStored) ops.push({ kind: 'setxattr', ino, name, value, time });
    else if (this.#meta.state.xattr(ino, name) !== undefined) {
      ops.push({ kind: 'removexattr', ino, name, time });
    }
    if (!isDefault && entries.length > 0) {
      const mode = modeOf(entries, inode.mode) & ~(killSgid ? S_ISGID : 0);
      if (mode !== inode.mode) ops.push({ kind: 'setattr', ino, change: { mode }, time });
    }
    return ops.length === 0 ? 0 : this.#changes.run(ops, context, 0);
  }

  get(ino: Ino, name: Buffer): Reply<Buffer> {
    const inode = this.#meta.inode(ino);
    if (inode === undefined) return -ENOENT;
    const stored = this.#meta.state.xattr(ino, name);
    if (stored !== undefined) return stored;
    const text = name.toString('latin1');
    if (text === COMMIT_XATTR) {
      const receipt = this.#options.receipt(ino);
      if (receipt instanceof Promise) return receipt.then((words) => Buffer.from(words));
      return Buffer.from(receipt);
    }
    if (text === EFFECTIVE_MODE_XATTR) return Buffer.from(this.#options.modes.of(inode));
    const isKnown = !text.startsWith('system.') || text === ACL_ACCESS || text === ACL_DEFAULT;
    return isKnown ? -ENODATA : -EOPNOTSUPP;
  }

  /** Names, each followed by a NUL; trusted ones only for root, as listxattr(2) has them. */
  list(context: RequestContext, ino: Ino): Buffer | NegativeErrno {
    if (this.#meta.inode(ino) === undefined) return -ENOENT;
    const end = Buffer.alloc(1);
    const names = this.#meta.state
      .xattrNames(ino)
      .filter((name) => context.uid === 0 || !name.toString('latin1').startsWith('trusted.'));
    return Buffer.concat(names.flatMap((name) => [name, end]));
  }

  remove(context: RequestContext, ino: Ino, name: Buffer): 0 | NegativeErrno {
    if (this.#meta.earlierReply(context) !== undefined) return 0;
    if (this.#meta.state.xattr(ino, name) === undefined) {
      // The mode is an ACL, too: to remove the other one is no error where there is none.
      return name.toString('latin1').startsWith('system.posix_acl_') ? 0 : -ENODATA;
    }
    const isMode = name.toString('latin1') === MODE_XATTR;
    const owner = this.#meta.inode(ino)?.uid;
    if (isMode && context.uid !== 0 && context.uid !== owner) return -EPERM;
    const op: MetaOp = { kind: 'removexattr', ino, name, time: now() };
    const failed = this.#changes.run([op], context, 0);
    if (isMode && failed === 0) this.#options.modes.marked(ino, undefined);
    return failed;
  }
}
