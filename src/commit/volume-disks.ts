import { InvariantError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { createPlacer, type DiskMap, findDisk, presentDisks } from '../diskmap/mod.ts';
import type { ChunkStore } from '../store/mod.ts';
import type { EpochLogs } from './epoch-logs.ts';
import { MapChanges } from './map-changes.ts';
import { type OpenBuckets, openVolumeDisk, type VolumeDisk } from './volume-disk.ts';
import type { DiskFolder } from './volume-map.ts';

/** What the disks of a volume are opened with. */
export interface DiskOpening {
  volumeUuid: string;
  readOnly: boolean;
  log: Log;
  openBuckets?: OpenBuckets;
}

/** Opens the disks of the map, those that are removed excepted. */
export async function openVolumeDisks(
  options: DiskOpening & { disks: DiskFolder[] },
  map: DiskMap,
): Promise<VolumeDisk[]> {
  const { volumeUuid, readOnly, log, openBuckets } = options;
  const paths = new Map(options.disks.map(({ id, path }) => [id, path]));
  const disks: VolumeDisk[] = [];
  for (const entry of presentDisks(map)) {
    const path = paths.get(entry.id);
    const disk = await openVolumeDisk({ entry, path, volumeUuid, readOnly, openBuckets });
    if (disk.problem !== undefined) {
      log('warn', 'disk not in use', { disk: entry.id, problem: disk.problem });
    }
    disks.push(disk);
  }
  return disks;
}

/** The disks of an open volume and their map. */
export class VolumeDisks {
  readonly #options: VolumeDisksOptions;
  readonly #maps: MapChanges;
  #all: readonly VolumeDisk[];

  constructor(options: VolumeDisksOptions) {
    const { home, map, log } = options;
    this.#options = options;
    this.#all = options.disks;
    this.#maps = new MapChanges({
      home,
      map,
      log,
      disks: () => this.#foldersInService(),
      onChange: (changed) => this.#use(changed),
    });
  }

  /** The map in use. */
  get map(): DiskMap {
    return this.#maps.map;
  }

  /** The disks of the map but for those that are removed, as this machine has them. */
  get all(): readonly VolumeDisk[] {
    return this.#all;
  }

  /** As {@link Volume.changeMap}. */
  changeMap(next: DiskMap): Promise<DiskMap> {
    return this.#maps.change(next);
  }

  /** Gives the map in use to all disks; those that do not take it now have an older one. */
  async level(): Promise<void> {
    try {
      await this.#maps.level();
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      this.#options.log('warn', 'diskmap not on all disks', { message: messageOf(error) });
    }
  }

  #use(map: DiskMap): void {
    this.#all = this.#all.flatMap((disk) => {
      const entry = findDisk(map, disk.entry.id);
      return entry === undefined || entry.state === 'removed' ? [] : [{ ...disk, entry }];
    });
    this.#options.chunks.useMap(createPlacer(map));
  }

  #foldersInService(): DiskFolder[] {
    const { chunks, logs } = this.#options;
    const answering = new Set(chunks.inService);
    return this.#all.flatMap(({ entry: { id }, path }) => {
      const isUp = answering.has(id) && logs.failure(id) === undefined;
      return isUp && path !== undefined ? [{ id, path }] : [];
    });
  }
}

export interface VolumeDisksOptions {
  home: string;
  map: DiskMap;
  disks: readonly VolumeDisk[];
  chunks: ChunkStore;
  logs: EpochLogs;
  log: Log;
}
