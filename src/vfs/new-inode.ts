import type { Ino } from '../base/ids.ts';
import {
  type Inode,
  type LiveMeta,
  type MetaOp,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_ISGID,
  type Time,
} from '../meta/mod.ts';
import { ACL_ACCESS, ACL_DEFAULT, inheritAcl } from './acl.ts';
import type { RequestContext } from './vfs-interface.ts';

const DEFAULT_NAME = Buffer.from(ACL_DEFAULT);
const ACCESS_NAME = Buffer.from(ACL_ACCESS);

/** What a new inode takes from its caller and from the folder it is made in. */
export interface Inherited {
  mode: number;
  uid: number;
  gid: number;
  /** ACLs the inode begins with. */
  acls: { name: Buffer; value: Buffer }[];
}

/**
 * Owner, group and permissions of an inode made with `mode` in `folder`: a setgid folder gives its
 * group, a default ACL takes the place of the umask.
 */
export function inherit(
  meta: LiveMeta,
  context: RequestContext,
  folder: Inode,
  mode: number,
): Inherited {
  const type = mode & S_IFMT;
  const isFolder = type === S_IFDIR;
  const hasGroup = (folder.mode & S_ISGID) !== 0;
  const owner = { uid: context.uid, gid: hasGroup ? folder.gid : context.gid };
  const wanted = hasGroup && isFolder ? mode | S_ISGID : mode;
  if (type === S_IFLNK) return { mode: wanted, ...owner, acls: [] };
  const value = meta.state.xattr(folder.ino, DEFAULT_NAME);
  if (value === undefined) return { mode: wanted & ~context.umask, ...owner, acls: [] };
  const { mode: granted, access } = inheritAcl(value, wanted);
  const acls = access === undefined ? [] : [{ name: ACCESS_NAME, value: access }];
  if (isFolder) acls.push({ name: DEFAULT_NAME, value });
  return { mode: granted, ...owner, acls };
}

/** The operations that give a new inode its ACLs. */
export function aclOps(ino: Ino, inherited: Inherited, time: Time): MetaOp[] {
  return inherited.acls.map(({ name, value }) => ({ kind: 'setxattr', ino, name, value, time }));
}
