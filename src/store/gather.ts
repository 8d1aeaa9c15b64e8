import { DfsError, messageOf } from '../base/errors.ts';
import type { ChunkId, DiskId } from '../base/ids.ts';
import {
  decodePieces,
  formatScheme,
  hashChunk,
  type PieceKey,
  pieceCount,
  piecesNeeded,
  type Scheme,
} from '../chunk/mod.ts';
import type { StoreParts } from './scatter.ts';

/** A chunk to be read. */
export interface ChunkToRead {
  readonly id: ChunkId;
  readonly scheme: Scheme;
  readonly chunkBytes: number;
}

/** What reading a piece came to. */
export interface PieceOutcome {
  readonly payload?: Buffer;
  /** Where it was found good, else where it was found bad or should be. */
  readonly diskId: DiskId | undefined;
  readonly bucket: number | undefined;
  readonly health: PieceHealth;
  /** What was wrong, for people. */
  readonly trouble: string;
}

/** `disk down`: it should be on a disk that cannot be asked. */
export type PieceHealth = 'ok' | 'missing' | 'bad' | 'disk down';

/** What reads found out along the way. */
export interface ReadCounters {
  /** Pieces that did not verify. */
  badPieces: number;
  /** Chunks that were read although a piece that was tried first was not there or bad. */
  degradedReads: number;
}

/** A piece that a read found bad, or on no disk that can be asked. */
export interface TroubledPiece {
  readonly chunk: ChunkToRead;
  readonly pieceIndex: number;
  /** Where it is bad; undefined when it is missing. */
  readonly diskId: DiskId | undefined;
}

/** A store that counts, and tells of troubled pieces. */
export interface ReadParts extends StoreParts {
  readonly counters: ReadCounters;
  readonly heardOf: (piece: TroubledPiece) => void;
}

/**
 * The content of a chunk, verified: from the first pieces that are enough, and from others where
 * those are missing or bad. UNAVAILABLE when too few can be read, CORRUPT when bad ones are the
 * reason.
 */
export async function gather(store: ReadParts, chunk: ChunkToRead): Promise<Buffer> {
  const { scheme, chunkBytes } = chunk;
  const [count, needed] = [pieceCount(scheme), piecesNeeded(scheme)];
  const outcomes: PieceOutcome[] = [];
  // Known bad ones are left for last: a bad sector may still read well once in a while.
  for (const tryBad of [false, true]) {
    if (tryBad) outcomes.length = 0;
    while (outcomes.length < count) {
      const good = outcomes.filter(({ payload }) => payload !== undefined).length;
      if (good >= needed) break;
      const next = [...Array(Math.min(needed - good, count - outcomes.length)).keys()];
      const start = outcomes.length;
      const read = (step: number): Promise<PieceOutcome> =>
        readPiece(store, chunk, start + step, tryBad);
      outcomes.push(...(await Promise.all(next.map(read))));
    }
    const payloads = outcomes.map(({ payload }) => payload);
    const present = payloads.filter((payload) => payload !== undefined).length;
    if (present < needed) continue;
    if (present < outcomes.length) store.counters.degradedReads++;
    const content = await decodePieces(scheme, chunkBytes, payloads);
    if (hashChunk(content).equals(chunk.id)) return content;
    throw unreadable(store, chunk, outcomes, 'its pieces verify, but their content does not');
  }
  const present = outcomes.filter(({ payload }) => payload !== undefined).length;
  const name = formatScheme(scheme);
  const state = `${present} of the ${needed} pieces that ${name} needs could be read`;
  throw unreadable(store, chunk, outcomes, state);
}

/** Reads one piece from where it should be, else from any other disk that has it. */
export async function readPiece(
  store: ReadParts,
  chunk: ChunkToRead,
  pieceIndex: number,
  tryBad: boolean,
): Promise<PieceOutcome> {
  const { id, scheme, chunkBytes } = chunk;
  const key: PieceKey = { chunkId: id, scheme, pieceIndex };
  let worst: PieceOutcome | undefined;
  for (const { diskId, bucket: placedIn } of candidates(store, chunk, pieceIndex)) {
    const disk = store.disks.readable(diskId);
    if (disk === undefined) {
      if (placedIn === undefined) continue;
      const trouble = `disk ${diskId} is ${store.disks.status(diskId)}`;
      worst ??= { diskId, bucket: placedIn, health: 'disk down', trouble };
      continue;
    }
    let bucket = placedIn;
    try {
      const found = await disk.find(key);
      if (found === undefined) continue;
      bucket = found.bucket;
      if (found.bad && !tryBad) {
        worst = { diskId, bucket, health: 'bad', trouble: 'it is known to be bad' };
        store.heardOf({ chunk, pieceIndex, diskId });
        continue;
      }
      const piece = await disk.read(key);
      if (piece === undefined) continue;
      if (piece.chunkBytes !== chunkBytes) {
        throw new DfsError('CORRUPT', `its chunk has ${piece.chunkBytes} bytes, not ${chunkBytes}`);
      }
      return { payload: piece.payload, diskId, bucket, health: 'ok', trouble: '' };
    } catch (error) {
      store.disks.readFailed(disk, error);
      const down = store.disks.readable(diskId) !== disk;
      worst = { diskId, bucket, health: down ? 'disk down' : 'bad', trouble: messageOf(error) };
      if (!down) await noteBad(store, { chunk, pieceIndex, diskId });
    }
  }
  if (worst !== undefined) return worst;
  const [home] = candidates(store, chunk, pieceIndex);
  store.heardOf({ chunk, pieceIndex, diskId: undefined });
  const trouble = 'no disk has it';
  return { diskId: home?.diskId, bucket: home?.bucket, health: 'missing', trouble };
}

/** Remembers a piece that did not verify, so that it is repaired and not tried first again. */
export async function noteBad(
  store: ReadParts,
  piece: TroubledPiece & { readonly diskId: DiskId },
): Promise<void> {
  const { chunk, pieceIndex, diskId } = piece;
  store.counters.badPieces++;
  store.heardOf(piece);
  const disk = store.disks.readable(diskId);
  try {
    await disk?.markBad({ chunkId: chunk.id, scheme: chunk.scheme, pieceIndex });
  } catch (error) {
    if (disk !== undefined) store.disks.readFailed(disk, error);
  }
}

/** Where a piece may be: first where the map puts it, with its bucket, then every other disk. */
export function candidates(
  { placer, disks }: StoreParts,
  { id, scheme }: Pick<ChunkToRead, 'id' | 'scheme'>,
  pieceIndex: number,
): { diskId: DiskId; bucket: number | undefined }[] {
  const placement = placer.place(id, pieceCount(scheme))[pieceIndex];
  const home = placement?.disk.id;
  const others = disks.all().filter(({ diskId }) => diskId !== home);
  const rest = others.map(({ diskId }) => ({ diskId, bucket: undefined }));
  if (placement === undefined || home === undefined) return rest;
  return [{ diskId: home, bucket: placement.bucket }, ...rest];
}

function unreadable(
  store: StoreParts,
  { id, scheme }: ChunkToRead,
  outcomes: readonly PieceOutcome[],
  state: string,
): DfsError {
  const pieces = outcomes.map(({ diskId, health, trouble }, pieceIndex) => {
    return { pieceIndex, diskId, health, trouble };
  });
  const troubles = pieces
    .filter(({ health }) => health !== 'ok')
    .map(({ pieceIndex, trouble }) => `piece ${pieceIndex}: ${trouble}`);
  const disks = store.disks.troubles();
  const parts = [state, ...troubles, ...(disks === '' ? [] : [disks])];
  const bad = outcomes.every(({ health }) => health === 'ok' || health === 'bad');
  const text = `Cannot read chunk ${id.toString('hex')}: ${parts.join('; ')}`;
  const details = { chunkId: id.toString('hex'), scheme: formatScheme(scheme), pieces };
  return new DfsError(bad ? 'CORRUPT' : 'UNAVAILABLE', text, { details });
}
