import type { ChunkId } from '../base/ids.ts';
import type { PieceKey, Scheme } from '../chunk/mod.ts';

/** A piece to be stored on a disk. */
export interface PieceToStore extends PieceKey {
  readonly bucket: number;
  /** Length of the whole chunk. */
  readonly chunkBytes: number;
  readonly payload: Buffer;
  /** The BLAKE3-256 of the payload, if it was just computed; else the disk does. */
  readonly payloadHash?: Buffer | undefined;
}

/** A piece as it was read, verified by the disk. */
export interface PieceRead {
  readonly payload: Buffer;
  readonly chunkBytes: number;
  readonly scheme: Scheme;
}

/** A piece as the disk's index knows it. */
export interface ListedPiece extends PieceKey {
  readonly bucket: number;
  /** What it takes on the disk, header and padding included. */
  readonly bytes: number;
  /** It is known not to verify. */
  readonly bad: boolean;
}

/** What verifying a piece came to. */
export interface PieceCheck {
  readonly health: 'ok' | 'missing' | 'bad';
  /** Length of the whole chunk by the piece's record; 0 unless it is ok. */
  readonly chunkBytes: number;
  /** What was wrong, for people, else ''. */
  readonly trouble: string;
}

/** What the pieces of a disk take. */
export interface PieceUsage {
  readonly pieces: number;
  readonly bytes: number;
}

/** The file system that a disk is on. */
export interface DiskSpace {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

/**
 * What the store needs of a disk, here or on another machine. test/store/piece-disk-contract.ts is
 * the contract in full.
 */
export interface PieceDisk {
  /** Writes pieces without syncing them; one that is there and whole is not written again. */
  append(pieces: readonly PieceToStore[]): Promise<void>;
  /** Makes durable what was appended before; after a failure the disk is UNAVAILABLE for good. */
  sync(): Promise<void>;
  /** The piece; undefined if it is not here, CORRUPT if it does not verify. */
  read(key: PieceKey): Promise<PieceRead | undefined>;
  /** The bucket of a piece and whether it is known to be bad, without reading it. */
  find(key: PieceKey): Promise<{ bucket: number; bad: boolean } | undefined>;
  /** Remembers that a piece did not verify, until it is appended again or removed. */
  markBad(key: PieceKey): Promise<void>;
  badCount(): Promise<number>;
  usage(): Promise<PieceUsage>;
  space(): Promise<DiskSpace>;
  /**
   * What the index knows of the chunks behind `after`, in the order of their ids: about `limit`
   * pieces, all those of a chunk in one answer; none when there are no more. What is added or
   * removed between two calls may be among them or not.
   */
  list(after: ChunkId | undefined, limit: number): Promise<ListedPiece[]>;
  /** Reads and verifies pieces where they are, and remembers the bad ones; an answer a key. */
  verify(keys: readonly PieceKey[]): Promise<PieceCheck[]>;
  /** Forgets pieces and frees their space; how many of them were here. */
  remove(keys: readonly PieceKey[]): Promise<number>;
  close(): Promise<void>;
}
