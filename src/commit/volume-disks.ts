import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { assert, DfsError, InvariantError, messageOf } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { ioError } from '../base/publish.ts';
import type { Settings } from '../base/settings.ts';
import {
  createPlacer,
  type DiskEntry,
  type DiskMap,
  type DiskState,
  findDisk,
  presentDisks,
  withDisk,
} from '../diskmap/mod.ts';
import { type DiskLog, writeDiskIdentity } from '../meta/mod.ts';
import { type ChunkStore, diskLimits } from '../store/mod.ts';
import { type BringInParts, bringIn } from './bring-in.ts';
import { identityFile } from './disk-probe.ts';
import { DiskTimes, type DiskTrouble } from './disk-times.ts';
import { DiskWatch, type Proof, piecesOn } from './disk-watch.ts';
import type { LeftOutEpoch } from './epoch-logs.ts';
import { MapChanges } from './map-changes.ts';
import { diskPaths, type OpenBuckets, openVolumeDisk, type VolumeDisk } from './volume-disk.ts';
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

/** The disks that have a log; UNAVAILABLE, and why, when there is none. */
export function usableDisks(disks: VolumeDisk[]): { id: DiskId; log: DiskLog }[] {
  const usable = disks.flatMap(({ entry, log }) => (log ? [{ id: entry.id, log }] : []));
  if (usable.length > 0) return usable;
  const problems = disks.map((disk) => disk.problem).join('; ');
  throw new DfsError('UNAVAILABLE', `Cannot open the volume: no disk can be used: ${problems}`);
}

export interface VolumeDisksOptions extends BringInParts {
  home: string;
  map: DiskMap;
  disks: readonly VolumeDisk[];
  chunks: ChunkStore;
  /** How many disks have to have the record of an epoch. */
  logsNeeded: () => number;
  /** As {@link DiskWatchOptions.settleSlots}. */
  settleSlots: () => Promise<boolean>;
  settings: () => Pick<Settings, 'rebuildAfterMs'>;
  /** How often the disks are looked at. */
  watchMs?: number | undefined;
  log: Log;
}

const WATCH_MS = 3000;

/**
 * The disks of an open volume and their map: what is done to them, one thing after the other.
 *
 * Invariant: a disk is in `all` as long as the map has it and it is not removed, whether it can be
 * used or not; one that is being added is there before the map has it.
 */
export class VolumeDisks {
  /** Looks after them, once started. */
  readonly watch: DiskWatch;
  readonly #options: VolumeDisksOptions;
  readonly #maps: MapChanges;
  readonly #times: DiskTimes;
  readonly #listeners: (() => void)[] = [];
  /** The files that identities were when the disks were opened. */
  readonly #identities = new Map<DiskId, string>();
  #proof: Proof;
  #all: readonly VolumeDisk[];
  #adding: DiskId | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: VolumeDisksOptions) {
    const { home, map, log } = options;
    this.#options = options;
    this.#all = options.disks;
    this.#times = new DiskTimes(home, log);
    this.#proof = (id) => piecesOn(options.chunks, id);
    this.watch = new DiskWatch({
      volumeUuid: options.volumeUuid,
      disks: this,
      settings: options.settings,
      proof: (id) => this.#proof(id),
      hasMetadataBeside: (id) => options.logs.wholeBeside(id) >= options.logsNeeded(),
      settleSlots: options.settleSlots,
      everyMs: options.watchMs ?? WATCH_MS,
      log,
    });
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

  /** Epochs on the disks that are newer than the newest one that can be read. */
  get leftOut(): readonly LeftOutEpoch[] {
    return this.#options.logs.leftOut;
  }

  /** The disks of the map but for those that are removed, as this machine has them. */
  get all(): readonly VolumeDisk[] {
    return this.#all;
  }

  /** Says from now on what is left on a disk that is to be removed. */
  useProof(proof: Proof): void {
    this.#proof = proof;
  }

  /** What HOME remembers of a disk. */
  trouble(id: DiskId): DiskTrouble {
    return this.#times.of(id);
  }

  /** Remembers it; undefined forgets. */
  noteTrouble(
    id: DiskId,
    change: Partial<Record<keyof DiskTrouble, number | boolean | undefined>>,
  ): Promise<void> {
    return this.#times.note(id, change);
  }

  /** `listener` hears of every change of the map, and of disks that go out of or into service. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Tells all who listen. */
  changed(): void {
    for (const listener of this.#listeners) listener();
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

  /** Whether a disk in service lacks the map in use. */
  get isLevel(): boolean {
    return this.#maps.isLevel;
  }

  /** Why a disk takes no metadata; undefined when it does. */
  logFailure(id: DiskId): string | undefined {
    return this.#options.logs.failure(id);
  }

  /** Why a disk is out of service, in part or whole; undefined when it is not. */
  failure(id: DiskId): string | undefined {
    const { chunks, logs } = this.#options;
    const disk = this.#all.find(({ entry }) => entry.id === id);
    if (disk === undefined) return 'the map does not have it';
    if (disk.problem !== undefined) return disk.problem;
    const status = chunks.statusOf(id);
    if (status === 'down' || status === 'missing') return chunks.reasonOf(id);
    return logs.isFailed(id) ? logs.failure(id) : undefined;
  }

  /** The identity of a disk is not the file it was when it was opened: it went, or is another. */
  async isGone({ entry: { id }, path }: VolumeDisk): Promise<boolean> {
    if (path === undefined) return true;
    const found = await identityFile(path);
    const known = this.#identities.get(id);
    if (known === undefined && found !== undefined) this.#identities.set(id, found);
    return found === undefined || (known !== undefined && known !== found);
  }

  /** Takes a disk out of service: buckets and log. */
  async takeOut(id: DiskId, reason: string): Promise<void> {
    const { chunks, logs } = this.#options;
    const error = new DfsError('UNAVAILABLE', reason);
    logs.fail(id, error);
    await chunks.ask(id, () => Promise.reject(error)).catch(() => undefined);
    this.changed();
  }

  /** Opens a disk that works again, at `path`, and takes it into service with all it missed. */
  returned(id: DiskId, path: string): Promise<void> {
    return this.#inTurn(async () => {
      const before = this.#all.find(({ entry }) => entry.id === id);
      if (before === undefined || this.failure(id) === undefined) return;
      await this.takeOut(id, `Cannot use disk ${id}: it is opened anew`);
      this.#replace({ ...before, path });
      const opened = await bringIn(this.#options, { entry: before.entry, path });
      this.#identities.delete(id);
      this.#replace(opened);
      await this.level();
      await this.#times.note(id, { downSinceMs: undefined });
      this.#options.log('info', 'disk in service', { disk: id });
      this.changed();
    });
  }

  /**
   * Makes the folder at `path` a disk of the volume: the map with it. What goes wrong leaves neither
   * the disk in the map nor anything in the folder.
   */
  add(entry: DiskEntry, path: string): Promise<DiskMap> {
    return this.#inTurn(async () => {
      const { id } = entry;
      if (findDisk(this.map, id) !== undefined) {
        throw new DfsError('BUSY', `Cannot add disk ${id}: the map has one of that id; try again`);
      }
      try {
        await this.#prepare(entry, path);
        const opened = await bringIn(this.#options, { entry, path });
        this.#adding = id;
        this.#all = [...this.#all, opened];
        const map = await this.#maps.change(withDisk(this.map, entry));
        this.#options.log('info', 'disk added', { disk: id, path });
        return map;
      } catch (error) {
        await this.#forget(id);
        await rm(diskPaths(path).root, { recursive: true, force: true });
        throw error;
      } finally {
        this.#adding = undefined;
      }
    });
  }

  /** Makes a disk failed or draining, or puts it in again. */
  setState(id: DiskId, state: Exclude<DiskState, 'removed'>): Promise<DiskMap> {
    return this.#inTurn(() => this.#maps.change(withDisk(this.map, this.#with(id, state))));
  }

  /** Takes a disk out of the volume for good. That nothing is left on it is for the caller to know. */
  remove(id: DiskId): Promise<DiskMap> {
    return this.#inTurn(async () => {
      const map = await this.#maps.change(withDisk(this.map, this.#with(id, 'removed')));
      await this.#forget(id);
      await this.#times.note(id, { downSinceMs: undefined, failedByHand: undefined });
      this.#options.log('info', 'disk removed', { disk: id });
      this.changed();
      return map;
    });
  }

  #with(id: DiskId, state: DiskState): DiskEntry {
    const entry = findDisk(this.map, id);
    if (entry !== undefined && entry.state !== 'removed') return { ...entry, state };
    throw new DfsError('NOT_FOUND', `Cannot change disk ${id}: the volume has none of that id`);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#last.then(work);
    this.#last = next.catch(() => undefined);
    return next;
  }

  /** Waits for what was begun. */
  async close(): Promise<void> {
    await this.watch.close();
    await this.#last;
  }

  /** The folders and the identity of a new disk. */
  async #prepare(entry: DiskEntry, path: string): Promise<void> {
    const { volumeUuid } = this.#options;
    const { root, identity } = diskPaths(path);
    try {
      await mkdir(join(root, 'buckets'), { recursive: true, mode: 0o700 });
    } catch (error) {
      throw ioError(`Cannot make ${root}`, error);
    }
    const { id: diskId, uuid: diskUuid } = entry;
    await writeDiskIdentity(identity, { volumeUuid, diskUuid, diskId, createdMs: Date.now() });
  }

  async #forget(id: DiskId): Promise<void> {
    const { chunks, logs } = this.#options;
    this.#all = this.#all.filter(({ entry }) => entry.id !== id);
    this.#identities.delete(id);
    await chunks.detach(id);
    await logs.drop(id);
  }

  #replace(disk: VolumeDisk): void {
    const { id } = disk.entry;
    const entry = findDisk(this.map, id) ?? disk.entry;
    assert(entry.id === id, 'a disk keeps its id');
    this.#all = this.#all.map((one) => (one.entry.id === id ? { ...disk, entry } : one));
  }

  async #use(map: DiskMap): Promise<void> {
    const known = new Set(this.#all.map(({ entry }) => entry.id));
    const kept = this.#all.flatMap((disk) => {
      const entry = findDisk(map, disk.entry.id);
      if (entry === undefined) return disk.entry.id === this.#adding ? [disk] : [];
      return entry.state === 'removed' ? [] : [{ ...disk, entry }];
    });
    // Only the map of a disk that came back knew them.
    const heardOf = presentDisks(map).filter(({ id }) => !known.has(id));
    const absent = heardOf.map((entry): VolumeDisk => {
      const problem = 'no folder was given for it';
      return { entry, path: undefined, buckets: undefined, log: undefined, problem };
    });
    this.#all = [...kept, ...absent].sort((a, b) => a.entry.id - b.entry.id);
    await this.#options.chunks.useMap(createPlacer(map), diskLimits(map));
    this.changed();
  }

  #foldersInService(): DiskFolder[] {
    return this.#all.flatMap(({ entry: { id }, path }) =>
      path !== undefined && this.failure(id) === undefined ? [{ id, path }] : [],
    );
  }
}
