import { DfsError } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { createDiskMap, type DiskMap, encodeDiskMap } from '../diskmap/mod.ts';
import { diskPaths } from './volume-disk.ts';
import {
  type DiskFolder,
  homeMapPath,
  readMapAt,
  reconciledMap,
  writeHomeMap,
  writeMap,
} from './volume-map.ts';

export interface MapChangesOptions {
  home: string;
  map: DiskMap;
  log: Log;
  /** The disks that are in service now, with those that a change is about to add. */
  disks: () => DiskFolder[];
  /** From now on this map holds; resolves when nothing is done by the old one any more. */
  onChange: (map: DiskMap) => Promise<void>;
}

/**
 * Changes of the map of an open volume, one after the other.
 *
 * Invariants:
 *  1. The map in use is one that more than half of the disks in service had when it came into use.
 *  2. Nothing that was written to a disk in vain has the version of the map in use, or a later one,
 *     once a change has failed: what was in use is published above it.
 *  3. Disks that do not have the map in use are in `#behind` until they have.
 */
export class MapChanges {
  readonly #options: MapChangesOptions;
  #map: DiskMap;
  #last: Promise<unknown> = Promise.resolve();
  readonly #behind = new Set<DiskId>();

  constructor(options: MapChangesOptions) {
    this.#options = options;
    this.#map = options.map;
  }

  /** The map in use. */
  get map(): DiskMap {
    return this.#map;
  }

  /**
   * Publishes a map made from the one in use, and uses it: as it is now, with its version and time.
   * BUSY when another change came first, UNAVAILABLE when too few disks took it, and then nothing
   * has changed.
   */
  change(next: DiskMap): Promise<DiskMap> {
    return this.#inTurn(async () => {
      if (next.version !== this.#map.version + 1) {
        const state = `it was made from version ${next.version - 1}, in use is ${this.#map.version}`;
        throw new DfsError('BUSY', `Cannot change the diskmap: ${state}; try again`);
      }
      await this.#publish(createDiskMap({ ...next, createdAt: Date.now() }));
      return this.#map;
    });
  }

  /** Gives the map in use to every disk in service, and to HOME, where it is not. */
  level(): Promise<void> {
    return this.#inTurn(async () => {
      const { home, disks, log } = this.#options;
      const stale: DiskFolder[] = [];
      let map = this.#map;
      for (const disk of disks()) {
        const found = await foundAt(diskPaths(disk.path).diskmap);
        if (found?.volumeUuid === map.volumeUuid) map = reconciledMap(map, found);
        if (!isSame(found, this.#map)) stale.push(disk);
      }
      if (map !== this.#map) {
        await this.#publish(createDiskMap({ ...map, createdAt: Date.now() }));
        return;
      }
      if (stale.length > 0) this.#note(stale, await writeMap(this.#map, stale, log));
      if (!isSame(await foundAt(homeMapPath(home)), this.#map)) {
        await writeHomeMap(this.#map, home, log);
      }
    });
  }

  /** Whether a disk in service lacks the map in use (invariant 3). */
  get isLevel(): boolean {
    return this.#options.disks().every(({ id }) => !this.#behind.has(id));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#last.then(work);
    this.#last = next.catch(() => undefined);
    return next;
  }

  async #publish(map: DiskMap): Promise<void> {
    const { disks, log } = this.#options;
    const wanted = disks();
    const done = await writeMap(map, wanted, log);
    const needed = Math.floor(wanted.length / 2) + 1;
    if (done.size >= needed) {
      this.#note(wanted, done);
      await this.#use(map);
      return;
    }
    // Invariant 2.
    const version = map.version + 1;
    const before = createDiskMap({ ...this.#map, version, createdAt: Date.now() });
    this.#note(wanted, await writeMap(before, wanted, log));
    await this.#use(before);
    const state = `${done.size} of ${wanted.length} disks took it, ${needed} are needed`;
    throw new DfsError('UNAVAILABLE', `Cannot change the diskmap: ${state}; it is as it was`);
  }

  #note(wanted: readonly DiskFolder[], done: ReadonlySet<DiskId>): void {
    for (const { id } of wanted) {
      if (done.has(id)) this.#behind.delete(id);
      else this.#behind.add(id);
    }
  }

  async #use(map: DiskMap): Promise<void> {
    const { home, log, onChange } = this.#options;
    this.#map = map;
    await onChange(map);
    await writeHomeMap(map, home, log);
    log('info', 'diskmap', { version: map.version });
  }
}

async function foundAt(path: string): Promise<DiskMap | undefined> {
  try {
    return await readMapAt(path);
  } catch {
    return undefined;
  }
}

function isSame(a: DiskMap | undefined, b: DiskMap): boolean {
  return a !== undefined && encodeDiskMap(a).equals(encodeDiskMap(b));
}
