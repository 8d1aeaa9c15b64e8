import { EEXIST, EINVAL, ENODATA, EOPNOTSUPP, EPERM, ERANGE } from '../base/errno.ts';
import type { Ino } from '../base/ids.ts';
import { XATTR_NAME_BYTES_MAX, XATTR_VALUE_BYTES_MAX } from '../base/limits.ts';
import type { LiveMeta } from '../meta/mod.ts';

/** Not stored: says how far the file is committed. */
export const COMMIT_XATTR = 'user.dfs.commit';

const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;
const SPACES = ['user.', 'trusted.', 'security.'];

/** 0 if an extended attribute may be set so, else a negative errno. */
export function checkSetXattr(
  meta: LiveMeta,
  ino: Ino,
  attribute: { name: Buffer; value: Buffer; flags: number },
): number {
  const text = attribute.name.toString('latin1');
  if (text === COMMIT_XATTR) return -EPERM;
  if (!SPACES.some((space) => text.startsWith(space))) return -EOPNOTSUPP;
  if (attribute.name.length > XATTR_NAME_BYTES_MAX) return -ERANGE;
  if (attribute.value.length > XATTR_VALUE_BYTES_MAX) return -EINVAL;
  const exists = meta.state.xattr(ino, attribute.name) !== undefined;
  if (exists && attribute.flags & XATTR_CREATE) return -EEXIST;
  if (!exists && attribute.flags & XATTR_REPLACE) return -ENODATA;
  return 0;
}

/** The names of an inode's attributes, each followed by a NUL, as listxattr(2) has them. */
export function listXattrs(meta: LiveMeta, ino: Ino): Buffer {
  const end = Buffer.alloc(1);
  return Buffer.concat(meta.state.xattrNames(ino).flatMap((name) => [name, end]));
}
