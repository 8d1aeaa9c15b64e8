/** Number of an inode in the model; the root folder is 1. */
export type Id = number;
export const ROOT_ID: Id = 1;

/** What makes an inode with its first name. */
interface Making {
  parent: Id;
  name: string;
  id: Id;
  mode: number;
}

interface Range {
  id: Id;
  offset: number;
  lengthBytes: number;
}

/**
 * One step of a load. All of them are possible when they are made: none is to fail. `keepOpen` says
 * that an inode that loses its last name stays in use until a `close`.
 */
export type Operation =
  | ({ kind: 'create' | 'mkdir' | 'fifo' } & Making)
  | ({ kind: 'symlink'; target: string } & Making)
  /** A file without a name (O_TMPFILE), which `link` may give one. */
  | { kind: 'tmpfile'; parent: Id; id: Id; mode: number }
  | ({ kind: 'write' } & Range)
  | { kind: 'truncate'; id: Id; sizeBytes: number }
  /** Whole blocks, or up to the end of the file. */
  | ({ kind: 'punch' | 'zero' } & Range)
  /** Space behind the end is promised: the file grows. */
  | ({ kind: 'grow' } & Range)
  | ({ kind: 'clone'; source: Id; sourceOffset: number } & Range)
  | {
      kind: 'rename';
      parent: Id;
      name: string;
      newParent: Id;
      newName: string;
      exchange: boolean;
      keepOpen: boolean;
    }
  | { kind: 'link'; id: Id; parent: Id; name: string }
  | { kind: 'unlink'; parent: Id; name: string; keepOpen: boolean }
  | { kind: 'rmdir'; parent: Id; name: string }
  | { kind: 'close'; id: Id }
  | { kind: 'setxattr'; id: Id; name: string; lengthBytes: number }
  | { kind: 'removexattr'; id: Id; name: string }
  | { kind: 'chmod'; id: Id; mode: number }
  | { kind: 'chown'; id: Id; uid: number; gid: number }
  | { kind: 'utimes'; id: Id; sec: number; nsec: number }
  /** `waits`: nothing else is done before it is acknowledged. */
  | { kind: 'sync'; id: Id; how: SyncKind; waits: boolean }
  | { kind: 'commit'; waits: boolean }
  /** The cache gives up what it has of a file and need not keep. */
  | { kind: 'evict'; id: Id }
  | { kind: 'pause'; ms: number };

export type SyncKind = 'fsync' | 'fdatasync' | 'flush';

/** Times of an inode as the file system showed them, "seconds.nanoseconds"; undefined: not known. */
export interface Times {
  mtime: string | undefined;
  ctime: string | undefined;
}

/** What came of an operation. */
export interface Outcome {
  /** Of the inodes it touched. */
  times: [Id, Times][];
  /** Bytes a clone has copied. */
  lengthBytes?: number;
  /** Whether it shares chunks, which is a change of metadata; else it wrote the bytes. */
  isShared?: boolean;
}

/** An operation that was carried out, as a record keeps it. */
export interface Done {
  operation: Operation;
  outcome: Outcome;
}

/** The value that operation `number` gives an attribute. */
export function xattrValue(number: number, lengthBytes: number): Buffer {
  const text = `value ${number} `;
  return Buffer.alloc(lengthBytes, text.slice(0, Math.max(1, lengthBytes)));
}
