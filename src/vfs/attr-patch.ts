import { type AttrPatch, type Inode, isFolder, S_IFMT, S_ISGID, S_ISUID } from '../meta/mod.ts';
import { now } from './clock.ts';
import type { AttrChange } from './vfs-interface.ts';

const S_IXGRP = 0o010;

/** Mode without setuid, and without setgid where that is not mandatory locking's mark. */
export function withoutPrivileges(mode: number): number {
  return mode & ~S_ISUID & ~(mode & S_IXGRP ? S_ISGID : 0);
}

/** The fields of an inode that a change asks for, with what POSIX has it clear besides. */
export function patchOf(inode: Inode, change: AttrChange): AttrPatch {
  const patch: AttrPatch = {};
  if (change.mode !== undefined) patch.mode = (inode.mode & S_IFMT) | (change.mode & 0o7777);
  if (change.uid !== undefined) patch.uid = change.uid;
  if (change.gid !== undefined) patch.gid = change.gid;
  const chowned = change.uid !== undefined || change.gid !== undefined;
  if ((chowned || change.killSuidGid === true) && !isFolder(inode)) {
    const mode = withoutPrivileges(patch.mode ?? inode.mode);
    if (mode !== inode.mode) patch.mode = mode;
  }
  if (change.atime !== undefined) patch.atime = change.atime === 'now' ? now() : change.atime;
  if (change.mtime !== undefined) patch.mtime = change.mtime === 'now' ? now() : change.mtime;
  return patch;
}
