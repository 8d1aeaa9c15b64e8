import type { Ino } from '../base/ids.ts';
import type { MetaOp, Time } from './ops.ts';

export const S_IFMT = 0o170000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFDIR = 0o040000;
export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;

/**
 * An inode in memory. Times are seconds and nanoseconds; sizes bytes. `parent` is the folder that
 * a folder is in. Of anything else it is the sum of the folders of all its names: so it is the
 * folder of the only name as long as there is one, without a list of names by inode. It is 0
 * without a name, and of inodes that were made before it was kept until their only name moves.
 */
export interface Inode {
  readonly ino: Ino;
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  rdev: number;
  sizeBytes: number;
  parent: Ino;
  /** Size in units of 512 bytes. */
  blocks: number;
  atimeSec: number;
  atimeNsec: number;
  mtimeSec: number;
  mtimeNsec: number;
  ctimeSec: number;
  ctimeNsec: number;
  btimeSec: number;
  btimeNsec: number;
}

/** A row of table inode, in the order of {@link INODE_COLUMNS}. */
export type InodeRow = number[];

export const INODE_COLUMNS =
  'ino,mode,nlink,uid,gid,rdev,size,parent,atime,atimensec,mtime,mtimensec,ctime,ctimensec,btime,btimensec';

/** Reads a row selected with {@link INODE_COLUMNS} from column `first` on. */
export function inodeOfRow(row: InodeRow, first = 0): Inode {
  const at = (column: number): number => row[first + column] as number;
  return {
    ino: at(0) as Ino,
    mode: at(1),
    nlink: at(2),
    uid: at(3),
    gid: at(4),
    rdev: at(5),
    sizeBytes: at(6),
    parent: at(7) as Ino,
    blocks: blocksOf(at(6)),
    atimeSec: at(8),
    atimeNsec: at(9),
    mtimeSec: at(10),
    mtimeNsec: at(11),
    ctimeSec: at(12),
    ctimeNsec: at(13),
    btimeSec: at(14),
    btimeNsec: at(15),
  };
}

/** An inode as it is when it is made at `time`. */
export function newInode(
  made: Pick<Inode, 'ino' | 'mode' | 'nlink' | 'uid' | 'gid' | 'rdev' | 'sizeBytes' | 'parent'>,
  { sec, nsec }: Time,
): Inode {
  return {
    ino: made.ino,
    mode: made.mode,
    nlink: made.nlink,
    uid: made.uid,
    gid: made.gid,
    rdev: made.rdev,
    sizeBytes: made.sizeBytes,
    parent: made.parent,
    blocks: blocksOf(made.sizeBytes),
    atimeSec: sec,
    atimeNsec: nsec,
    mtimeSec: sec,
    mtimeNsec: nsec,
    ctimeSec: sec,
    ctimeNsec: nsec,
    btimeSec: sec,
    btimeNsec: nsec,
  };
}

export function blocksOf(sizeBytes: number): number {
  return Math.ceil(sizeBytes / 512);
}

export function isFolder(inode: Inode): boolean {
  return (inode.mode & S_IFMT) === S_IFDIR;
}

export function isRegular(inode: Inode): boolean {
  return (inode.mode & S_IFMT) === S_IFREG;
}

/** The folder that an inode is in, if it has one name and that is known. */
export function folderOf(inode: Inode): Ino | undefined {
  if (!isFolder(inode) && inode.nlink !== 1) return undefined;
  return inode.parent === 0 ? undefined : inode.parent;
}

/** The inode, which is no folder, got one more name, in `folder`. */
export function nameAdded(inode: Inode, folder: Ino): void {
  const isKnown = inode.nlink === 0 || inode.parent !== 0;
  if (isKnown) inode.parent = (inode.parent + folder) as Ino;
  inode.nlink += 1;
}

/** A name of the inode in `folder` is gone; a folder has no other one. */
export function nameDropped(inode: Inode, folder: Ino): void {
  if (isFolder(inode)) {
    inode.nlink = 0;
    return;
  }
  if (inode.parent !== 0) inode.parent = (inode.parent - folder) as Ino;
  inode.nlink -= 1;
}

/** A name of the inode moved. */
export function nameMoved(inode: Inode, from: Ino, to: Ino): void {
  if (isFolder(inode) || inode.nlink === 1) inode.parent = to;
  else if (inode.parent !== 0) inode.parent = (inode.parent - from + to) as Ino;
}

export function setMtime(inode: Inode, time: Time): void {
  inode.mtimeSec = time.sec;
  inode.mtimeNsec = time.nsec;
}

export function setCtime(inode: Inode, time: Time): void {
  inode.ctimeSec = time.sec;
  inode.ctimeNsec = time.nsec;
}

/** The operation that writes down what a dirty file has in memory only. */
export function growOp({ ino, sizeBytes, ...inode }: Inode): MetaOp {
  const mtime = { sec: inode.mtimeSec, nsec: inode.mtimeNsec };
  const ctime = { sec: inode.ctimeSec, nsec: inode.ctimeNsec };
  return { kind: 'grow', ino, sizeBytes, mtime, ctime };
}
