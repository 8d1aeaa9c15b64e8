import { assert, DfsError } from '../base/errors.ts';
import type { ChunkId, DiskId } from '../base/ids.ts';
import { encodePieces, formatScheme, hashChunk, pieceCount, type Scheme } from '../chunk/mod.ts';
import type { Placer } from '../diskmap/mod.ts';
import type { DiskSet } from './disk-set.ts';
import type { PieceDisk, PieceToStore } from './piece-disk.ts';

/** A chunk to be stored. */
export interface ChunkToStore {
  readonly id: ChunkId;
  readonly content: Buffer;
  readonly scheme: Scheme;
  /** The id was just computed from this content: nobody needs to do it again. */
  readonly isHashed?: boolean;
}

/** What a store works with. */
export interface StoreParts {
  readonly placer: Pick<Placer, 'place'>;
  readonly disks: DiskSet;
}

/** Hears of every disk that has taken pieces, or had them. */
export type NoteTaken = (diskId: DiskId, disk: PieceDisk) => void;

interface EncodedChunk extends ChunkToStore {
  readonly pieces: readonly Buffer[];
}

/**
 * Writes all pieces of the chunks, one append a disk. A disk that fails is left out, and what it
 * should have taken goes where the map then says; UNAVAILABLE when too few disks are left, NO_SPACE
 * when there would be enough if they were not full.
 */
export async function scatter(
  store: StoreParts,
  chunks: readonly ChunkToStore[],
  note: NoteTaken,
): Promise<void> {
  for (const chunk of chunks) placeAll(store, chunk);
  let pending: readonly EncodedChunk[] = await Promise.all(chunks.map(encode));
  // Each round that fails takes a disk out, so as many rounds as there are disks are enough.
  const roundsMax = store.disks.all().length + 1;
  for (let round = 0; pending.length > 0; round++) {
    const [first] = pending;
    if (round === roundsMax && first !== undefined) throw tooFewDisks(store, first, 0);
    pending = await scatterOnce(store, pending, note);
  }
}

async function encode(chunk: ChunkToStore): Promise<EncodedChunk> {
  const { id, content, scheme, isHashed = false } = chunk;
  // A disk sees that a replica has the wrong name, but no single piece of an erasure code shows it.
  const matches = isHashed || scheme.kind === 'replica' || hashChunk(content).equals(id);
  assert(matches, 'a chunk is named by the hash of its content');
  return { ...chunk, pieces: await encodePieces(scheme, content) };
}

/** One attempt; the chunks of which a piece could not be written. */
async function scatterOnce(
  store: StoreParts,
  chunks: readonly EncodedChunk[],
  note: NoteTaken,
): Promise<EncodedChunk[]> {
  const batches = new Map<DiskId, { pieces: PieceToStore[]; chunks: EncodedChunk[] }>();
  for (const chunk of chunks) {
    for (const [pieceIndex, { diskId, bucket }] of placeAll(store, chunk).entries()) {
      const payload = chunk.pieces[pieceIndex];
      assert(payload !== undefined, 'there is a piece for every placement');
      const { id: chunkId, scheme, content, isHashed = false } = chunk;
      // A replica is the chunk itself.
      const payloadHash = isHashed && scheme.kind === 'replica' ? chunkId : undefined;
      const batch = batches.get(diskId) ?? { pieces: [], chunks: [] };
      const chunkBytes = content.length;
      const about = { bucket, chunkId, pieceIndex, scheme, chunkBytes };
      batch.pieces.push({ ...about, payload, payloadHash });
      batch.chunks.push(chunk);
      batches.set(diskId, batch);
    }
  }
  const again = new Set<EncodedChunk>();
  const appends = [...batches].map(async ([diskId, batch]) => {
    const disk = store.disks.writable(diskId);
    // It may have failed since the placement, in another call.
    const taken = disk !== undefined && (await appended(store, disk, batch.pieces));
    if (taken) note(diskId, disk);
    else for (const chunk of batch.chunks) again.add(chunk);
  });
  const results = await Promise.allSettled(appends);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return [...again];
}

/** Whether the disk took the pieces; draws the conclusion when it did not. */
async function appended(
  { disks }: Pick<StoreParts, 'disks'>,
  disk: PieceDisk,
  pieces: readonly PieceToStore[],
): Promise<boolean> {
  try {
    await disk.append(pieces);
    disks.spaceFreed(disk);
    return true;
  } catch (error) {
    disks.writeFailed(disk, error);
    return false;
  }
}

/** Writes pieces to one disk; UNAVAILABLE or NO_SPACE when it does not take them. */
export async function putPieces(order: {
  store: Pick<StoreParts, 'disks'>;
  diskId: DiskId;
  pieces: readonly PieceToStore[];
  note: NoteTaken;
}): Promise<void> {
  const { store, diskId, pieces, note } = order;
  const { disks } = store;
  const disk = disks.writable(diskId);
  if (disk !== undefined && (await appended(store, disk, pieces))) {
    note(diskId, disk);
    return;
  }
  const code = disks.isFull(diskId) ? 'NO_SPACE' : 'UNAVAILABLE';
  throw new DfsError(code, `Cannot put pieces on disk ${diskId}: ${disks.trouble(diskId)}`);
}

function placeAll(
  { placer, disks }: StoreParts,
  { id, scheme }: ChunkToStore,
): { diskId: DiskId; bucket: number }[] {
  const count = pieceCount(scheme);
  const placements = placer.place(id, count, (disk) => disks.writable(disk.id) !== undefined);
  const placed = placements.flatMap((placement) =>
    placement === undefined ? [] : { diskId: placement.disk.id, bucket: placement.bucket },
  );
  if (placed.length === count) return placed;
  throw tooFewDisks({ disks }, { id, scheme }, placed.length);
}

function tooFewDisks(
  { disks }: Pick<StoreParts, 'disks'>,
  { id, scheme }: Pick<ChunkToStore, 'id' | 'scheme'>,
  usable: number,
): DfsError {
  const needed = `${formatScheme(scheme)} takes ${pieceCount(scheme)} disks, ${usable} can be used`;
  const troubles = disks.troubles();
  const state = troubles === '' ? needed : `${needed}; ${troubles}`;
  const full = disks.all().filter(({ diskId }) => disks.isFull(diskId)).length;
  const code = usable + full >= pieceCount(scheme) ? 'NO_SPACE' : 'UNAVAILABLE';
  return new DfsError(code, `Cannot store chunk ${id.toString('hex')}: ${state}`);
}
