import type { ChunkId, Ino } from '../base/ids.ts';

/** A point in time: seconds since 1970 (may be negative) and nanoseconds 0..999,999,999. */
export interface Time {
  sec: number;
  nsec: number;
}

/** A piece of a file's content: `chunk` undefined is a hole, which erases what was there. */
export interface ExtentRange {
  offset: number;
  lengthBytes: number;
  chunk: ChunkId | undefined;
  chunkOffset: number;
}

/** New extents of one file in a commit. */
export interface FileExtents {
  ino: Ino;
  ranges: ExtentRange[];
}

/**
 * Every change of metadata. Nothing else may change it: the same operations, in the same order,
 * make the same state here, on another node and in recovery (the replicated state machine of
 * Schneider, 1990).
 */
export type MetaOp =
  | {
      kind: 'create';
      parent: Ino;
      name: Buffer;
      ino: Ino;
      mode: number;
      uid: number;
      gid: number;
      rdev: number;
      /** Of a symlink; empty otherwise. */
      target: Buffer;
      time: Time;
    }
  /** An inode without a name (O_TMPFILE), which `link` may give one. */
  | { kind: 'tmpfile'; ino: Ino; mode: number; uid: number; gid: number; time: Time }
  | { kind: 'link'; parent: Ino; name: Buffer; ino: Ino; time: Time }
  | { kind: 'unlink'; parent: Ino; name: Buffer; time: Time }
  | { kind: 'rmdir'; parent: Ino; name: Buffer; time: Time }
  | {
      kind: 'rename';
      parent: Ino;
      name: Buffer;
      newParent: Ino;
      newName: Buffer;
      exchange: boolean;
      time: Time;
    }
  | { kind: 'setattr'; ino: Ino; change: AttrPatch; time: Time }
  | { kind: 'truncate'; ino: Ino; sizeBytes: number; time: Time }
  /** Bytes [offset, offset + lengthBytes) become a hole; the size stays. Whole blocks. */
  | { kind: 'punch'; ino: Ino; offset: number; lengthBytes: number; time: Time }
  /**
   * Bytes of `ino` become those of `source`, by sharing its chunks. The range of the source has no
   * byte that is not in an extent, so that the state machine alone knows its content.
   */
  | {
      kind: 'clone';
      ino: Ino;
      offset: number;
      source: Ino;
      sourceOffset: number;
      lengthBytes: number;
      time: Time;
    }
  | { kind: 'grow'; ino: Ino; sizeBytes: number; mtime: Time; ctime: Time }
  | { kind: 'setxattr'; ino: Ino; name: Buffer; value: Buffer; time: Time }
  | { kind: 'removexattr'; ino: Ino; name: Buffer; time: Time }
  | { kind: 'reap'; ino: Ino }
  /**
   * A chunk is stored in pieces under this scheme, whatever it was before; its content is no longer
   * kept with the metadata, if it was.
   */
  | { kind: 'chunk'; chunk: ChunkId; lengthBytes: number; scheme: string }
  /** A small chunk whose content is kept with the metadata. */
  | { kind: 'inline'; chunk: ChunkId; content: Buffer }
  | { kind: 'extents'; ino: Ino; ranges: ExtentRange[] }
  /** Nothing is known of a chunk any more, unless an extent names it: its pieces may go. */
  | { kind: 'forget'; chunk: ChunkId };

/**
 * Fields of an inode that setattr replaces; absent ones stay. The operation's time becomes ctime.
 */
export interface AttrPatch {
  mode?: number;
  uid?: number;
  gid?: number;
  atime?: Time;
  mtime?: Time;
}
