import type { DiskId } from '../base/ids.ts';
import { decodePieces, encodePieces, hashChunk, pieceCount, piecesNeeded } from '../chunk/mod.ts';
import {
  type ChunkToRead,
  candidates,
  noteBad,
  type PieceHealth,
  type PieceOutcome,
  type ReadParts,
  readPiece,
} from './gather.ts';
import type { StoreParts } from './scatter.ts';

/** A piece of a chunk: where it is, or should be, and how it is. */
export interface PieceReport {
  readonly index: number;
  /** Undefined when the map has no disk for it. */
  readonly diskId: DiskId | undefined;
  readonly bucket: number | undefined;
  readonly health: PieceHealth;
}

/** What {@link verifyChunk} found. */
export interface ChunkReport {
  /** The chunk can be read, and its content is what its id says. */
  readonly readable: boolean;
  readonly pieces: PieceReport[];
}

/** Where the pieces of a chunk are by the disks' indexes, without reading them. */
export function locateChunk(
  store: StoreParts,
  chunk: Pick<ChunkToRead, 'id' | 'scheme'>,
): Promise<PieceReport[]> {
  const indexes = [...Array(pieceCount(chunk.scheme)).keys()];
  return Promise.all(indexes.map((index) => locatePiece(store, chunk, index)));
}

async function locatePiece(
  { placer, disks }: StoreParts,
  chunk: Pick<ChunkToRead, 'id' | 'scheme'>,
  index: number,
): Promise<PieceReport> {
  const places = candidates({ placer, disks }, chunk, index);
  const key = { chunkId: chunk.id, scheme: chunk.scheme };
  let bad: PieceReport | undefined;
  for (const { diskId } of places) {
    const disk = disks.readable(diskId);
    if (disk === undefined) continue;
    try {
      const found = await disk.find({ ...key, pieceIndex: index });
      if (found === undefined) continue;
      const { bucket } = found;
      if (!found.bad) return { index, diskId, bucket, health: 'ok' };
      bad ??= { index, diskId, bucket, health: 'bad' };
    } catch (error) {
      disks.readFailed(disk, error);
    }
  }
  if (bad !== undefined) return bad;
  const [home] = places;
  const { diskId, bucket } = home ?? {};
  const asked = diskId !== undefined && disks.readable(diskId) !== undefined;
  const health = asked || home?.bucket === undefined ? 'missing' : 'disk down';
  return { index, diskId, bucket, health };
}

/** Reads every piece of a chunk and compares it with what it must be. */
export async function verifyChunk(store: ReadParts, chunk: ChunkToRead): Promise<ChunkReport> {
  const { scheme, chunkBytes, id } = chunk;
  const indexes = [...Array(pieceCount(scheme)).keys()];
  const outcomes = await Promise.all(indexes.map((index) => readPiece(store, chunk, index, true)));
  const payloads = outcomes.map(({ payload }) => payload);
  const present = payloads.filter((payload) => payload !== undefined).length;
  if (present < piecesNeeded(scheme)) return report(outcomes, false);
  const content = await decodePieces(scheme, chunkBytes, payloads);
  if (!hashChunk(content).equals(id)) return report(outcomes, false);
  // Pieces that verify one by one may still not belong together.
  const expected = await encodePieces(scheme, content);
  for (const [index, outcome] of outcomes.entries()) {
    const { payload, diskId } = outcome;
    if (payload === undefined || diskId === undefined) continue;
    if (expected[index]?.equals(payload) === true) continue;
    outcomes[index] = { ...outcome, health: 'bad' };
    await noteBad(store, { chunk, pieceIndex: index, diskId });
  }
  return report(outcomes, true);
}

function report(outcomes: readonly PieceOutcome[], readable: boolean): ChunkReport {
  const pieces = outcomes.map(({ diskId, bucket, health }, index) => {
    return { index, diskId, bucket, health };
  });
  return { readable, pieces };
}
