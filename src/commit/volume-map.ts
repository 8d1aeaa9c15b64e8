import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withinMs } from '../base/deadline.ts';
import { DfsError, InvariantError, messageOf } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import { DISK_DEADLINE_MS } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import { publishFile } from '../base/publish.ts';
import { createDiskMap, type DiskMap, decodeDiskMap, encodeDiskMap } from '../diskmap/mod.ts';
import { readMapOf } from './disk-notes.ts';
import { diskPaths } from './volume-disk.ts';

/** A disk of the volume and its folder here. */
export interface DiskFolder {
  id: DiskId;
  path: string;
}

/** The diskmap of HOME and the disks that counts: {@link countingMap}. UNAVAILABLE without any. */
export async function readMap(options: {
  home: string;
  volumeUuid: string;
  disks: { path: string }[];
}): Promise<DiskMap> {
  const problems: string[] = [];
  const read = async (path: string, found: Promise<DiskMap>): Promise<DiskMap | undefined> => {
    try {
      const map = await found;
      return map.volumeUuid === options.volumeUuid ? map : undefined;
    } catch (error) {
      if (error instanceof DfsError && error.code === 'NEWER_FORMAT') throw error;
      problems.push(`${path}: ${messageOf(error)}`);
      return undefined;
    }
  };
  const homePath = homeMapPath(options.home);
  const [home, ...onDisks] = await Promise.all([
    read(homePath, readMapAt(homePath)),
    ...options.disks.map(({ path }) => read(path, readMapOf(diskPaths(path)))),
  ]);
  const counting = countingMap({ home, disks: onDisks });
  if (counting !== undefined) return counting;
  throw new DfsError('UNAVAILABLE', `Cannot find the diskmap: ${problems.join('; ')}`);
}

/**
 * Which of several maps of a volume counts: the newest version; of two of one version the one on
 * more disks, then the later one.
 */
export function countingMap(found: {
  home?: DiskMap | undefined;
  disks: (DiskMap | undefined)[];
}): DiskMap | undefined {
  const candidates = new Map<string, { map: DiskMap; disks: number }>();
  const note = (map: DiskMap | undefined, disks: number): void => {
    if (map === undefined) return;
    const text = encodeDiskMap(map).toString('latin1');
    const known = candidates.get(text);
    candidates.set(text, { map, disks: (known?.disks ?? 0) + disks });
  };
  note(found.home, 0);
  for (const map of found.disks) note(map, 1);
  const byRank = [...candidates].sort(([aText, a], [bText, b]) => {
    const byVersion = b.map.version - a.map.version;
    const byAge = (b.map.createdAt ?? 0) - (a.map.createdAt ?? 0);
    // The last resort only has to be the same everywhere.
    return byVersion || b.disks - a.disks || byAge || (aText < bText ? -1 : 1);
  });
  return byRank[0]?.[1].map;
}

/**
 * What a volume goes on with when a disk comes back with a map that is not an older one: the map in
 * use, and disks that only the other one knows, under a version above both. The map in use itself
 * when the other is older, or equal.
 */
export function reconciledMap(inUse: DiskMap, found: DiskMap): DiskMap {
  if (found.version < inUse.version) return inUse;
  if (encodeDiskMap(found).equals(encodeDiskMap(inUse))) return inUse;
  const taken = new Set(inUse.disks.flatMap(({ id, uuid }) => [String(id), uuid]));
  const added = found.disks.filter(({ id, uuid }) => !taken.has(String(id)) && !taken.has(uuid));
  const version = found.version + 1;
  try {
    return createDiskMap({ ...inUse, version, disks: [...inUse.disks, ...added] });
  } catch (error) {
    if (!(error instanceof DfsError) || error.code !== 'BAD_ARGUMENT') throw error;
    // Two disks at one place: the ones in use stay.
    return createDiskMap({ ...inUse, version });
  }
}

/** The map at a path. CORRUPT, NEWER_FORMAT, or what reading it fails with. */
export async function readMapAt(path: string): Promise<DiskMap> {
  return decodeDiskMap(await readFile(path));
}

export function homeMapPath(home: string): string {
  return join(home, 'diskmap');
}

/** Writes the map to all of the disks at once: those that have it now. */
export async function writeMap(
  map: DiskMap,
  disks: readonly DiskFolder[],
  log: Log,
): Promise<Set<DiskId>> {
  const bytes = encodeDiskMap(map);
  const done = new Set<DiskId>();
  await Promise.all(
    disks.map(async ({ id, path }) => {
      try {
        const writing = publishFile(diskPaths(path).diskmap, bytes);
        await withinMs(DISK_DEADLINE_MS, `write the diskmap of disk ${id}`, writing);
        done.add(id);
      } catch (error) {
        if (error instanceof InvariantError) throw error;
        log('warn', 'diskmap not written', { disk: id, message: messageOf(error) });
      }
    }),
  );
  return done;
}

/** Writes the map to HOME, which can do without: the disks have it. */
export async function writeHomeMap(map: DiskMap, home: string, log: Log): Promise<void> {
  try {
    await publishFile(homeMapPath(home), encodeDiskMap(map));
  } catch (error) {
    if (error instanceof InvariantError) throw error;
    log('warn', 'diskmap not written', { home, message: messageOf(error) });
  }
}
