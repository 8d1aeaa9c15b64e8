import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DfsError, messageOf } from '../base/errors.ts';
import { type DiskMap, decodeDiskMap } from '../diskmap/mod.ts';
import { diskPaths } from './volume-disk.ts';

/** The newest diskmap of HOME and the disks. */
export async function readMap(options: {
  home: string;
  volumeUuid: string;
  disks: { path: string }[];
}): Promise<DiskMap> {
  let newest: DiskMap | undefined;
  const problems: string[] = [];
  const onDisks = options.disks.map(({ path }) => diskPaths(path).diskmap);
  for (const path of [join(options.home, 'diskmap'), ...onDisks]) {
    try {
      const map = decodeDiskMap(await readFile(path));
      if (map.volumeUuid !== options.volumeUuid) continue;
      if (newest === undefined || map.version > newest.version) newest = map;
    } catch (error) {
      if (error instanceof DfsError && error.code === 'NEWER_FORMAT') throw error;
      problems.push(`${path}: ${messageOf(error)}`);
    }
  }
  if (newest !== undefined) return newest;
  throw new DfsError('UNAVAILABLE', `Cannot find the diskmap: ${problems.join('; ')}`);
}
