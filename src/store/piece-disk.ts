import type { ChunkId } from '../base/ids.ts';
import type { Scheme } from '../chunk/mod.ts';

/** A piece to be stored on a disk. */
export interface PieceToStore {
  readonly bucket: number;
  readonly chunkId: ChunkId;
  readonly pieceIndex: number;
  readonly scheme: Scheme;
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

/** What the pieces of a disk take. */
export interface PieceUsage {
  readonly pieces: number;
  readonly bytes: number;
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
  read(chunkId: ChunkId, pieceIndex: number): Promise<PieceRead | undefined>;
  /** The bucket of a piece and whether it is known to be bad, without reading it. */
  find(chunkId: ChunkId, pieceIndex: number): Promise<{ bucket: number; bad: boolean } | undefined>;
  /** Remembers that a piece did not verify, until it is appended again or removed. */
  markBad(chunkId: ChunkId, pieceIndex: number): Promise<void>;
  badCount(): Promise<number>;
  usage(): Promise<PieceUsage>;
  /** Forgets a piece and frees its space; false if it was not here. */
  remove(chunkId: ChunkId, pieceIndex: number): Promise<boolean>;
  close(): Promise<void>;
}
