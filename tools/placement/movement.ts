import {
  createDiskMap,
  createPlacer,
  type DiskEntry,
  type DiskMap,
} from '../../src/diskmap/mod.ts';
import { keysOf, makeDisk, nodeOf } from './cluster.ts';

/** A change of the hardware, as two maps. */
export interface Change {
  readonly name: string;
  readonly before: DiskMap;
  readonly after: DiskMap;
}

/** What a change moved. */
export interface MovementResult {
  readonly change: string;
  readonly pieces: number;
  readonly chunks: number;
  /** The part of all pieces that must move: what the new disks get, or the gone ones had. */
  readonly ideal: number;
  /** Pieces that lie on a disk that had none of the chunk, over those that had to move. */
  readonly moved: number;
  /** Positions with another disk, over the same. */
  readonly changed: number;
}

const GONE = 'failed' as const;

function withDisks(map: DiskMap, added: readonly DiskEntry[]): DiskMap {
  return createDiskMap({ ...map, version: map.version + 1, disks: [...map.disks, ...added] });
}

function withOut(map: DiskMap, isGone: (disk: DiskEntry) => boolean): DiskMap {
  const disks = map.disks.map((disk) => (isGone(disk) ? { ...disk, state: GONE } : disk));
  return createDiskMap({ ...map, version: map.version + 1, disks });
}

/** A disk, a machine and a rack are added, and fail. Of the disk in the middle of the map. */
export function changesOf(map: DiskMap): Change[] {
  const id = map.disks.length;
  const last = map.disks[Math.floor(id / 2)] as DiskEntry;
  const { room, row, rack } = last;
  const slot = { room, row, rack, machine: last.machine, disk: 200 };
  const machine = [1, 2, 3, 4, 5].map((disk) => {
    return makeDisk(id + disk, { room, row, rack, machine: 200, disk });
  });
  const disks = [1, 2, 3, 4, 5].flatMap((number) => {
    return [1, 2, 3, 4, 5].map((disk) => {
      const place = { room, row, rack: 200, machine: number, disk };
      return makeDisk(id + (number - 1) * 5 + disk, place);
    });
  });
  const added = [
    { name: 'a disk is added', after: withDisks(map, [makeDisk(id + 1, slot)]) },
    { name: 'a machine is added', after: withDisks(map, machine) },
    { name: 'a rack is added', after: withDisks(map, disks) },
  ];
  const failed = ['disk', 'machine', 'rack'].map((level) => {
    const node = nodeOf(last, level);
    return {
      name: `a ${level} fails`,
      after: withOut(map, (disk) => nodeOf(disk, level) === node),
    };
  });
  return [...added, ...failed].map((change) => ({ ...change, before: map }));
}

/** Places the same chunks with both maps. */
export function measureMovement(
  change: Change,
  run: { pieces: number; chunks: number; seed: number },
): MovementResult {
  const { pieces, chunks, seed } = run;
  const [before, after] = [createPlacer(change.before), createPlacer(change.after)];
  const known = new Set(change.before.disks.map((disk) => disk.id));
  const gone = new Set(change.after.disks.filter((one) => one.state !== 'in').map((one) => one.id));
  const nextKey = keysOf(seed);
  let [must, moved, changed] = [0, 0, 0];
  for (let chunk = 0; chunk < chunks; chunk++) {
    const key = nextKey();
    const old = before.place(key, pieces).map((one) => one?.disk.id);
    const now = after.place(key, pieces).map((one) => one?.disk.id);
    for (let at = 0; at < pieces; at++) {
      const [from, to] = [old[at], now[at]];
      if (from !== undefined && gone.has(from)) must++;
      if (to === undefined) continue;
      if (!known.has(to)) must++;
      if (from !== to) changed++;
      if (!old.includes(to)) moved++;
    }
  }
  const all = chunks * pieces;
  return {
    change: change.name,
    pieces,
    chunks,
    ideal: must / all,
    moved: moved / must,
    changed: changed / must,
  };
}
