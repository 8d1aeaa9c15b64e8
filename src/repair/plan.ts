import type { ChunkId, DiskId } from '../base/ids.ts';
import { pieceCount, piecesNeeded, type Scheme, schemesEqual } from '../chunk/mod.ts';
import type { ChunkAudit, FoundPiece } from './audit.ts';

/** A bucket of a disk. */
export interface Place {
  readonly diskId: DiskId;
  readonly bucket: number;
}

/** The hardware as a plan sees it: the map, and what can be used at this moment. */
export interface Hardware {
  /** Where the map puts the pieces of a chunk, whatever can be used. */
  homes(id: ChunkId, count: number): readonly (Place | undefined)[];
  /** The same with the disks that take pieces now, and those that `keeps` names. */
  standIns(id: ChunkId, count: number, keeps: ReadonlySet<DiskId>): readonly (Place | undefined)[];
  /** The disk can be asked for pieces. */
  isReachable(diskId: DiskId): boolean;
  /** It takes new ones. */
  isWritable(diskId: DiskId): boolean;
  /** The map wants no pieces on it: it failed, or is being emptied. */
  isLeaving(diskId: DiskId): boolean;
  /** It failed: what it has may be read, but is not counted on. */
  isFailed(diskId: DiskId): boolean;
}

/**
 * How a chunk is. `whole`: all is where it should be. `misplaced`: every piece is there, on a disk
 * of its own, but not where the map wants it, or there are more than needed. `degraded`: readable
 * with fewer pieces than its scheme asks for. `lost`: not readable from the disks that can be
 * asked. `doomed` and `unknown` are garbage; so are pieces of a chunk that is kept with the metadata.
 */
export type Condition = 'whole' | 'misplaced' | 'degraded' | 'lost' | 'doomed' | 'unknown';

/** A piece to be written: copied from a disk that has it, or made anew from the chunk's content. */
export interface PlannedWrite extends Place {
  readonly pieceIndex: number;
  readonly copyFrom: DiskId | undefined;
}

/** What is to be done about a chunk, in this order. */
export interface ChunkPlan {
  readonly id: ChunkId;
  readonly condition: Condition;
  /** First these, synced and read back. */
  readonly writes: readonly PlannedWrite[];
  /** Then these are read back: one good piece of each index, each on a disk of its own. */
  readonly keeps: readonly { readonly diskId: DiskId; readonly pieceIndex: number }[];
  /** And only if all of them are good, these go. */
  readonly removes: readonly FoundPiece[];
  /** It is to have another scheme. */
  readonly isOfOtherScheme: boolean;
  /** Disks that a piece waits for: full, or away for less than the grace period. */
  readonly waitsFor: readonly DiskId[];
}

/**
 * What has to happen to a chunk, by what an audit found. Pure.
 *
 * Invariants, whatever the audit says:
 *  1. Pieces are removed only from a chunk that has one good piece of each index, each on a disk of
 *     its own, once the writes are done: what stays is all that the scheme asks for.
 *  2. No write puts a piece on a disk that is to keep another piece of the chunk.
 *  3. A second plan, made after the first was carried out on the same hardware, has nothing to do;
 *     so has one that was made anew after the first was interrupted anywhere and then carried out.
 */
export function planChunk(found: ChunkAudit, hardware: Hardware, target: Scheme): ChunkPlan {
  const { id, known, pieces } = found;
  const reachable = pieces.filter(({ diskId }) => hardware.isReachable(diskId));
  const nothing = { id, writes: [], keeps: [], waitsFor: [], isOfOtherScheme: false };
  if (known === undefined) return { ...nothing, condition: 'unknown', removes: reachable };
  const { scheme, isDoomed } = known;
  if (isDoomed) return { ...nothing, condition: 'doomed', removes: [] };
  if (scheme === undefined) return { ...nothing, condition: 'whole', removes: reachable };
  const holders = holdersOf(scheme, reachable);
  const { seats, waitsFor } = seat(id, holders, hardware);
  const isOfOtherScheme = !schemesEqual(scheme, target);
  const base = { id, isOfOtherScheme, waitsFor };
  if (holders.filter((copies) => copies.length > 0).length < piecesNeeded(scheme)) {
    return { ...base, condition: 'lost', writes: [], keeps: [], removes: [] };
  }
  // Moving makes sense only if the old pieces can go afterwards, and not before a re-encoding.
  const moves = seats.every((place) => place !== undefined) && !isOfOtherScheme;
  const writes = plannedWrites(seats, holders, moves);
  const isSeated = (piece: FoundPiece): boolean =>
    schemesEqual(piece.scheme, scheme) && seats[piece.pieceIndex]?.diskId === piece.diskId;
  const removes = moves ? reachable.filter((piece) => !isSeated(piece)) : [];
  const keeps = seats.flatMap((place, pieceIndex) =>
    place === undefined ? [] : { diskId: place.diskId, pieceIndex },
  );
  const isRight = moves && writes.length === 0 && removes.length === 0 && waitsFor.length === 0;
  const counted = holders.map((copies) =>
    copies.filter(({ diskId }) => !hardware.isFailed(diskId)),
  );
  const condition = !isSpread(counted) ? 'degraded' : isRight ? 'whole' : 'misplaced';
  return { ...base, condition, writes, keeps: removes.length > 0 ? keeps : [], removes };
}

/** The good pieces of the chunk's scheme, by their index. */
function holdersOf(scheme: Scheme, pieces: readonly FoundPiece[]): FoundPiece[][] {
  const holders: FoundPiece[][] = Array.from({ length: pieceCount(scheme) }, () => []);
  for (const piece of pieces) {
    if (!piece.bad && schemesEqual(piece.scheme, scheme)) holders[piece.pieceIndex]?.push(piece);
  }
  return holders;
}

function plannedWrites(
  seats: readonly (Place | undefined)[],
  holders: readonly (readonly FoundPiece[])[],
  moves: boolean,
): PlannedWrite[] {
  const seated = new Set(seats.map((place) => place?.diskId));
  const movesNothing = !moves && isSpread(holders);
  const writes: PlannedWrite[] = [];
  for (const [pieceIndex, place] of seats.entries()) {
    const copies = holders[pieceIndex] ?? [];
    if (place === undefined || copies.some(({ diskId }) => diskId === place.diskId)) continue;
    if (movesNothing && copies.length > 0) continue;
    // But a piece that shares its disk with another protects from nothing.
    if (!moves && copies.some(({ diskId }) => !seated.has(diskId))) continue;
    writes.push({ ...place, pieceIndex, copyFrom: copies[0]?.diskId });
  }
  return writes;
}

/**
 * A disk for each piece, no two the same: its home if that can be used; while its home is away, the
 * disk that has it; while its home is full, that or a stand-in. Undefined where a piece waits.
 */
function seat(
  id: ChunkId,
  holders: readonly (readonly FoundPiece[])[],
  hardware: Hardware,
): { seats: (Place | undefined)[]; waitsFor: DiskId[] } {
  const homes = hardware.homes(id, holders.length);
  const taken = new Set<DiskId>();
  const seats = homes.map((home, pieceIndex): Place | undefined => {
    if (home === undefined || !hardware.isReachable(home.diskId)) return undefined;
    const isThere = holders[pieceIndex]?.some(({ diskId }) => diskId === home.diskId);
    if (isThere !== true && !hardware.isWritable(home.diskId)) return undefined;
    taken.add(home.diskId);
    return home;
  });
  const waitsFor: DiskId[] = [];
  for (const [pieceIndex, home] of homes.entries()) {
    if (seats[pieceIndex] !== undefined) continue;
    if (home !== undefined) waitsFor.push(home.diskId);
    const isAway = home !== undefined && !hardware.isReachable(home.diskId);
    const stay = holders[pieceIndex]?.find(
      ({ diskId }) => !taken.has(diskId) && !hardware.isLeaving(diskId),
    );
    const place =
      stay ?? (isAway ? undefined : hardware.standIns(id, holders.length, taken).find(isFree));
    if (place === undefined) continue;
    seats[pieceIndex] = { diskId: place.diskId, bucket: place.bucket };
    taken.add(place.diskId);
  }
  return { seats, waitsFor };

  function isFree(place: Place | undefined): place is Place {
    if (place === undefined || taken.has(place.diskId)) return false;
    return hardware.isWritable(place.diskId);
  }
}

/** Whether every piece can be given a disk of its own among those that have it (Kuhn's matching). */
function isSpread(holders: readonly (readonly FoundPiece[])[]): boolean {
  const pieceOn = new Map<DiskId, number>();
  const place = (pieceIndex: number, tried: Set<DiskId>): boolean => {
    for (const { diskId } of holders[pieceIndex] ?? []) {
      if (tried.has(diskId)) continue;
      tried.add(diskId);
      const other = pieceOn.get(diskId);
      if (other !== undefined && !place(other, tried)) continue;
      pieceOn.set(diskId, pieceIndex);
      return true;
    }
    return false;
  };
  return holders.every((_, pieceIndex) => place(pieceIndex, new Set()));
}
