declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** Inode number: a positive safe integer, never used twice in a volume. The root is 1. */
export type Ino = Branded<number, 'Ino'>;
/** Number of a commit, from 1; 0 is the empty volume. */
export type Epoch = Branded<number, 'Epoch'>;
/** BLAKE3-256 of a chunk's content, 32 bytes. */
export type ChunkId = Branded<Buffer, 'ChunkId'>;
/** Index of a disk in its diskmap, stable for the life of the volume, from 1 to 65535. */
export type DiskId = Branded<number, 'DiskId'>;

export const ROOT_INO = 1 as Ino;
export const CHUNK_ID_BYTES = 32;

/** The chunk id as a Map key: 64 hex digits. */
export function chunkKey(id: ChunkId): string {
  return id.toString('hex');
}
