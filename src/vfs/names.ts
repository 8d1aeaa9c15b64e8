import {
  EEXIST,
  EINVAL,
  EISDIR,
  EMLINK,
  ENAMETOOLONG,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  type NegativeErrno,
} from '../base/errno.ts';
import type { Ino } from '../base/ids.ts';
import { NAME_BYTES_MAX, NLINK_MAX } from '../base/limits.ts';
import { type Inode, type LiveMeta, type MetaOp, S_IFDIR } from '../meta/mod.ts';
import type { Changes } from './changes.ts';
import { now } from './clock.ts';
import type { Modes } from './modes.ts';
import { aclOps, inherit } from './new-inode.ts';
import type { Orphans } from './orphans.ts';
import type { Attr, RequestContext } from './vfs-interface.ts';

const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;
const FOLDER_TYPE = S_IFDIR >>> 12;
const NOTHING = Buffer.alloc(0);

/** What every new inode has. */
type Made = Omit<MetaOp & { kind: 'tmpfile' }, 'kind'>;

/**
 * What makes, moves and removes names. A request sent again is answered as it was the first time.
 */
export class Names {
  readonly #meta: LiveMeta;
  readonly #changes: Changes;
  readonly #orphans: Orphans;
  readonly #modes: Modes;
  readonly #attr: (inode: Inode) => Attr;

  constructor(options: {
    meta: LiveMeta;
    changes: Changes;
    orphans: Orphans;
    modes: Modes;
    attr: (inode: Inode) => Attr;
  }) {
    this.#meta = options.meta;
    this.#changes = options.changes;
    this.#orphans = options.orphans;
    this.#modes = options.modes;
    this.#attr = options.attr;
  }

  lookup(parent: Ino, name: Buffer): Attr | NegativeErrno {
    if (name.length > NAME_BYTES_MAX) return -ENAMETOOLONG;
    const entry = this.#meta.state.lookup(parent, name);
    return entry === undefined ? -ENOENT : this.told(entry.ino);
  }

  /** Attributes of an inode the kernel is told of by name. */
  told(ino: Ino): Attr | NegativeErrno {
    const inode = this.#meta.inode(ino);
    if (inode === undefined) return -ENOENT;
    this.#orphans.known(ino);
    return this.#attr(inode);
  }

  /**
   * Makes an inode of any type with its first name; `isNew` when the caller has looked the name up.
   */
  create(
    context: RequestContext,
    wanted: { parent: Ino; name: Buffer; mode: number; rdev: number; target?: Buffer },
    options: { isNew?: boolean } = {},
  ): Attr | NegativeErrno {
    const earlier = this.#meta.earlierReply(context);
    if (earlier !== undefined) return this.told(earlier as Ino);
    if (wanted.name.length > NAME_BYTES_MAX) return -ENAMETOOLONG;
    const folder = this.#meta.inode(wanted.parent);
    if (folder === undefined || folder.nlink === 0) return -ENOENT;
    const isTaken =
      options.isNew !== true && this.#meta.state.lookup(wanted.parent, wanted.name) !== undefined;
    if (isTaken) return -EEXIST;
    const { parent, name, mode, rdev, target = NOTHING } = wanted;
    return this.#make(context, folder, mode, (made) => ({
      kind: 'create',
      parent,
      name,
      rdev,
      target,
      ...made,
    }));
  }

  /** Makes a file without a name in `parent`, whose group and default ACL it gets. */
  tmpfile(context: RequestContext, parent: Ino, mode: number): Attr | NegativeErrno {
    const earlier = this.#meta.earlierReply(context);
    if (earlier !== undefined) return this.told(earlier as Ino);
    const folder = this.#meta.inode(parent);
    if (folder === undefined || folder.nlink === 0) return -ENOENT;
    return this.#make(context, folder, mode, (made) => ({ kind: 'tmpfile', ...made }));
  }

  /** Makes an inode with what it takes from its caller and `folder`, by the operation `opOf`. */
  #make(
    context: RequestContext,
    folder: Inode,
    wantedMode: number,
    opOf: (made: Made) => MetaOp,
  ): Attr | NegativeErrno {
    const ino = this.#changes.allocateIno() as Ino;
    if (ino < 0) return ino;
    const time = now();
    const inherited = inherit(this.#meta, context, folder, wantedMode);
    const { mode, uid, gid } = inherited;
    const ops = [opOf({ ino, mode, uid, gid, time }), ...aclOps(ino, inherited, time)];
    const failed = this.#changes.run(ops, context, ino);
    return failed !== 0 ? failed : this.told(ino);
  }

  unlink(context: RequestContext, parent: Ino, name: Buffer): NegativeErrno | 0 {
    if (this.#meta.earlierReply(context) !== undefined) return 0;
    const entry = this.#meta.state.lookup(parent, name);
    if (entry === undefined) return -ENOENT;
    if (entry.type === FOLDER_TYPE) return -EISDIR;
    const failed = this.#changes.run([{ kind: 'unlink', parent, name, time: now() }], context, 0);
    if (failed === 0) this.#meta.concern(entry.ino);
    return failed;
  }

  rmdir(context: RequestContext, parent: Ino, name: Buffer): NegativeErrno | 0 {
    if (this.#meta.earlierReply(context) !== undefined) return 0;
    const entry = this.#meta.state.lookup(parent, name);
    if (entry === undefined) return -ENOENT;
    if (entry.type !== FOLDER_TYPE) return -ENOTDIR;
    if (!this.#meta.state.isEmpty(entry.ino)) return -ENOTEMPTY;
    return this.#changes.run([{ kind: 'rmdir', parent, name, time: now() }], context, 0);
  }

  rename(
    context: RequestContext,
    parent: Ino,
    name: Buffer,
    newParent: Ino,
    newName: Buffer,
    flags: number,
  ): NegativeErrno | 0 {
    if (this.#meta.earlierReply(context) !== undefined) return 0;
    if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) !== 0) return -EINVAL;
    if (newName.length > NAME_BYTES_MAX) return -ENAMETOOLONG;
    const exchange = (flags & RENAME_EXCHANGE) !== 0;
    const from = this.#meta.state.lookup(parent, name);
    const to = this.#meta.state.lookup(newParent, newName);
    if (from === undefined || (exchange && to === undefined)) return -ENOENT;
    if (this.#meta.inode(newParent)?.nlink === 0) return -ENOENT;
    if (to !== undefined && flags & RENAME_NOREPLACE) return exchange ? -EINVAL : -EEXIST;
    if (to?.ino === from.ino) return 0;
    if (to !== undefined && !exchange) {
      const fromFolder = from.type === FOLDER_TYPE;
      const toFolder = to.type === FOLDER_TYPE;
      if (fromFolder && !toFolder) return -ENOTDIR;
      if (!fromFolder && toFolder) return -EISDIR;
      if (toFolder && !this.#meta.state.isEmpty(to.ino)) return -ENOTEMPTY;
    }
    const op: MetaOp = { kind: 'rename', parent, name, newParent, newName, exchange, time: now() };
    const failed = this.#changes.run([op], context, 0);
    if (failed !== 0) return failed;
    if (from.type === FOLDER_TYPE || to?.type === FOLDER_TYPE) this.#modes.moved();
    if (to !== undefined) this.#meta.concern(to.ino);
    return 0;
  }

  link(context: RequestContext, ino: Ino, newParent: Ino, newName: Buffer): Attr | NegativeErrno {
    if (this.#meta.earlierReply(context) !== undefined) return this.told(ino);
    if (newName.length > NAME_BYTES_MAX) return -ENAMETOOLONG;
    const inode = this.#meta.inode(ino);
    const folder = this.#meta.inode(newParent);
    // The kernel lets nobody link an inode without a name but one of O_TMPFILE, which may get one.
    if (inode === undefined) return -ENOENT;
    if (folder === undefined || folder.nlink === 0) return -ENOENT;
    if (inode.nlink >= NLINK_MAX) return -EMLINK;
    if (this.#meta.state.lookup(newParent, newName) !== undefined) return -EEXIST;
    const op: MetaOp = { kind: 'link', parent: newParent, name: newName, ino, time: now() };
    const failed = this.#changes.run([op], context, 0);
    return failed !== 0 ? failed : this.told(ino);
  }
}
