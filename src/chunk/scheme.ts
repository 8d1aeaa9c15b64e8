import { DfsError } from '../base/errors.ts';

/** N whole copies of the chunk on N disks. */
export interface ReplicaScheme {
  readonly kind: 'replica';
  readonly copies: number;
}

/** K data and M parity pieces on K+M disks; any K of them give the chunk back. */
export interface ErasureScheme {
  readonly kind: 'ec';
  readonly dataPieces: number;
  readonly parityPieces: number;
}

/** How a chunk becomes pieces. */
export type Scheme = ReplicaScheme | ErasureScheme;

/** Most copies of a replica scheme. */
export const COPIES_MAX = 16;
/** Most data pieces of an erasure code; the bound of the Reed-Solomon addon. */
export const DATA_PIECES_MAX = 24;
/** Most parity pieces of an erasure code; the bound of the Reed-Solomon addon. */
export const PARITY_PIECES_MAX = 6;
/** The Reed-Solomon addon works on shards whose length is a multiple of this many bytes. */
export const SHARD_ALIGN_BYTES = 8;

const NUMBER_PATTERN = '([1-9][0-9]{0,3})';
const REPLICA_PATTERN = new RegExp(`^replica:${NUMBER_PATTERN}$`);
const ERASURE_PATTERN = new RegExp(`^ec:${NUMBER_PATTERN}\\+${NUMBER_PATTERN}$`);

/** Reads `replica:N` or `ec:K+M`; anything else, or a number out of bounds, is BAD_ARGUMENT. */
export function parseScheme(text: string): Scheme {
  const replica = REPLICA_PATTERN.exec(text);
  if (replica !== null) return checkScheme({ kind: 'replica', copies: Number(replica[1]) });
  const erasure = ERASURE_PATTERN.exec(text);
  if (erasure !== null) {
    const [dataPieces, parityPieces] = [Number(erasure[1]), Number(erasure[2])];
    return checkScheme({ kind: 'ec', dataPieces, parityPieces });
  }
  throw new DfsError(
    'BAD_ARGUMENT',
    `Cannot read scheme "${text}": expected replica:N or ec:K+M, as in replica:2 or ec:4+2`,
  );
}

/** The scheme itself if its numbers are within bounds, else BAD_ARGUMENT. */
export function checkScheme<S extends Scheme>(scheme: S): S {
  if (scheme.kind === 'replica') {
    checkRange(scheme, 'copies', scheme.copies, COPIES_MAX);
  } else {
    checkRange(scheme, 'data pieces', scheme.dataPieces, DATA_PIECES_MAX);
    checkRange(scheme, 'parity pieces', scheme.parityPieces, PARITY_PIECES_MAX);
  }
  return scheme;
}

function checkRange(scheme: Scheme, what: string, value: number, max: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= max) return;
  throw new DfsError(
    'BAD_ARGUMENT',
    `Cannot use scheme "${formatScheme(scheme)}": ${value} ${what}, 1 to ${max} are possible`,
  );
}

/** `replica:N` or `ec:K+M`. */
export function formatScheme(scheme: Scheme): string {
  return scheme.kind === 'replica'
    ? `replica:${scheme.copies}`
    : `ec:${scheme.dataPieces}+${scheme.parityPieces}`;
}

/** True when both cut a chunk into the same pieces. */
export function schemesEqual(a: Scheme, b: Scheme): boolean {
  return formatScheme(a) === formatScheme(b);
}

/** How many pieces a chunk has, each on a disk of its own. */
export function pieceCount(scheme: Scheme): number {
  return scheme.kind === 'replica' ? scheme.copies : scheme.dataPieces + scheme.parityPieces;
}

/** How many pieces are enough to read a chunk. */
export function piecesNeeded(scheme: Scheme): number {
  return scheme.kind === 'replica' ? 1 : scheme.dataPieces;
}

/** How many disks may be lost without losing a chunk. */
export function survives(scheme: Scheme): number {
  return pieceCount(scheme) - piecesNeeded(scheme);
}

/** Length in bytes of each piece of a chunk of `chunkBytes`. */
export function pieceBytes(scheme: Scheme, chunkBytes: number): number {
  if (scheme.kind === 'replica') return chunkBytes;
  const shardBytes = Math.ceil(chunkBytes / scheme.dataPieces);
  return Math.ceil(shardBytes / SHARD_ALIGN_BYTES) * SHARD_ALIGN_BYTES;
}

/** Bytes on disks for each byte of content, without headers and padding. */
export function expansionFactor(scheme: Scheme): number {
  return pieceCount(scheme) / piecesNeeded(scheme);
}
