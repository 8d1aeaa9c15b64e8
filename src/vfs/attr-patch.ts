import {
  type AttrPatch,
  type Inode,
  isFolder,
  S_IFMT,
  S_ISGID,
  S_ISUID,
  type Time,
} from '../meta/mod.ts';
import type { AttrChange } from './vfs-interface.ts';

const S_IXGRP = 0o010;

/**
 * Mode without setuid and setgid. Where the group may not execute, setgid is no privilege (once the
 * mark of mandatory locking), and goes only when a caller outside of the group changes the file.
 */
function withoutPrivileges(mode: number, isStranger: () => boolean): number {
  const dropsGroup = (mode & S_ISGID) !== 0 && ((mode & S_IXGRP) !== 0 || isStranger());
  return mode & ~S_ISUID & ~(dropsGroup ? S_ISGID : 0);
}

/**
 * The fields of an inode that a change asks for, with what POSIX has it clear besides. `time` is
 * 'now'; `isStranger` says whether the caller is neither root nor in the group of the inode.
 */
export function patchOf(
  inode: Inode,
  change: AttrChange,
  { time, isStranger }: { time: Time; isStranger: () => boolean },
): AttrPatch {
  const patch: AttrPatch = {};
  if (change.mode !== undefined) patch.mode = (inode.mode & S_IFMT) | (change.mode & 0o7777);
  if (change.uid !== undefined) patch.uid = change.uid;
  if (change.gid !== undefined) patch.gid = change.gid;
  const chowned = change.uid !== undefined || change.gid !== undefined;
  if ((chowned || change.killSuidGid === true) && !isFolder(inode)) {
    const mode = withoutPrivileges(patch.mode ?? inode.mode, isStranger);
    if (mode !== inode.mode) patch.mode = mode;
  }
  if (change.atime !== undefined) patch.atime = change.atime === 'now' ? time : change.atime;
  if (change.mtime !== undefined) patch.mtime = change.mtime === 'now' ? time : change.mtime;
  return patch;
}
