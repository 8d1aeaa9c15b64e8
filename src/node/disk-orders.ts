import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DfsError } from '../base/errors.ts';
import type { DiskId } from '../base/ids.ts';
import { parseScheme, pieceCount } from '../chunk/mod.ts';
import { diskPaths } from '../commit/mod.ts';
import {
  type DiskEntry,
  type DiskMap,
  findDisk,
  formatLocation,
  type Place,
  presentDisks,
  withDisk,
} from '../diskmap/mod.ts';
import { requireConfig } from '../home/mod.ts';
import { readDiskIdentity } from '../meta/mod.ts';
import type { ConfigChanges } from './config-changes.ts';
import { checkApart, diskBytes, existingFolder } from './disk-checks.ts';
import { type ChangePlan, planChange } from './disk-plan.ts';
import type { VolumeStore } from './store-client.ts';
import type { DiskReport } from './volume-report.ts';

/** What `dfsctl diskmap add`, `fail` and `remove` answer. */
export interface DiskChange {
  disk: number;
  path: string | undefined;
  /** room.row.rack.machine.disk, with bucket 0. */
  location: string;
  /** Number of buckets. */
  weight: number;
  /** Its state in the map, after the change. */
  state: DiskEntry['state'];
  /** Of the map that is in use then. */
  mapVersion: number;
  /** False for a preview: nothing has changed. */
  isDone: boolean;
  /** Undefined when the disk was known: it is used again, where it is now. */
  plan: ChangePlan | undefined;
}

export interface AddOrder {
  path: string;
  /** room, row, rack and machine; those of the first disk without. */
  at?: Place;
  /** Number of buckets; by the size of its file system without. */
  weight?: number;
  isPreview: boolean;
}

type Store = Pick<VolumeStore, 'map' | 'report' | 'changeHardware'>;
const WEIGHT_MAX = 65_535;

/** Changes of the hardware as people ask for them: checked, planned, carried out. */
export class DiskOrders {
  readonly #home: string;
  readonly #changes: ConfigChanges;
  readonly #store: Store;

  constructor(options: { home: string; changes: ConfigChanges; store: Store }) {
    this.#home = options.home;
    this.#changes = options.changes;
    this.#store = options.store;
  }

  /** Adds the folder as a disk; one that is a disk of the volume which was away is used again. */
  async add(order: AddOrder): Promise<DiskChange> {
    const path = existingFolder(order.path, 'disk');
    const map = await this.#store.map();
    const known = await this.#knownDisk({ path, map, isPreview: order.isPreview });
    if (known !== undefined) return this.#found({ entry: known, path, map }, order.isPreview);
    await this.#checkFolder(path);
    const weight = order.weight ?? weightFor(await diskBytes(path), map.bucketBytes);
    const entry = newEntry(map, { weight, at: order.at });
    const after = withDisk(map, entry);
    const change = { ...factsOf(entry, path), plan: await this.#plan(map, after) };
    if (order.isPreview) return { ...change, mapVersion: after.version, isDone: false };
    // The config first: a disk in the map that nobody knows the folder of would be missing.
    await this.#changes.change((config) => ({
      ...config,
      disks: [...config.disks.filter(({ id }) => id !== entry.id), { id: entry.id, path }],
    }));
    try {
      const used = await this.#store.changeHardware({ kind: 'add', entry, path });
      return { ...change, mapVersion: used.version, isDone: true };
    } catch (error) {
      await this.#changes.change((config) => ({
        ...config,
        disks: config.disks.filter(({ id }) => id !== entry.id),
      }));
      throw error;
    }
  }

  /** Fails a disk by hand, or with `cancel` puts one in again that was. */
  async fail(disk: number, options: { cancel: boolean; isPreview: boolean }): Promise<DiskChange> {
    const map = await this.#store.map();
    const entry = presentDisk(map, disk);
    const { cancel, isPreview } = options;
    const [wanted, state] = cancel ? (['failed', 'in'] as const) : (['in', 'failed'] as const);
    if (entry.state !== wanted && !(entry.state === 'draining' && !cancel)) {
      const hint = cancel ? 'only a failed disk can be put in again so' : 'nothing is to be done';
      throw new DfsError(
        'BAD_ARGUMENT',
        `Cannot change disk ${disk}: it is ${entry.state}; ${hint}`,
      );
    }
    return this.#setState({ map, entry, state, byHand: !cancel, isPreview });
  }

  /** Begins to take a disk out of the volume, or with `cancel` puts it in again. */
  async remove(
    disk: number,
    options: { cancel: boolean; isPreview: boolean },
  ): Promise<DiskChange> {
    const map = await this.#store.map();
    const entry = presentDisk(map, disk);
    const { cancel, isPreview } = options;
    if (cancel) {
      if (entry.state !== 'draining') {
        const state = `it is ${entry.state}, not being removed`;
        throw new DfsError('BAD_ARGUMENT', `Cannot put disk ${disk} in again: ${state}`);
      }
      return this.#setState({ map, entry, state: 'in', byHand: false, isPreview });
    }
    if (entry.state === 'draining') {
      const state = 'it is being removed already; "dfsctl status" says how far that is';
      throw new DfsError('BAD_ARGUMENT', `Cannot remove disk ${disk}: ${state}`);
    }
    await this.#checkLeave(map, entry);
    return this.#setState({ map, entry, state: 'draining', byHand: false, isPreview });
  }

  /** Forgets the folders of disks that are removed. */
  async forgetRemoved(): Promise<void> {
    const map = await this.#store.map();
    const isRemoved = (id: number): boolean => findDisk(map, id as DiskId)?.state === 'removed';
    const { disks } = await requireConfig(this.#home);
    const isLast = disks.every(({ id }) => isRemoved(id));
    if (isLast || !disks.some(({ id }) => isRemoved(id))) return;
    await this.#changes.change((config) => ({
      ...config,
      disks: config.disks.filter(({ id }) => !isRemoved(id)),
    }));
  }

  async #setState(change: {
    map: DiskMap;
    entry: DiskEntry;
    state: 'in' | 'failed' | 'draining';
    byHand: boolean;
    isPreview: boolean;
  }): Promise<DiskChange> {
    const { map, entry, state, byHand, isPreview } = change;
    const after = withDisk(map, { ...entry, state });
    const { disks } = await requireConfig(this.#home);
    const path = disks.find(({ id }) => id === entry.id)?.path;
    const plan = await this.#plan(map, after);
    const facts = { ...factsOf({ ...entry, state }, path), plan };
    if (isPreview) return { ...facts, mapVersion: after.version, isDone: false };
    const order = { kind: 'state', disk: entry.id, state, byHand } as const;
    const used = await this.#store.changeHardware(order);
    return { ...facts, mapVersion: used.version, isDone: true };
  }

  async #found(
    found: { entry: DiskEntry; path: string; map: DiskMap },
    isPreview: boolean,
  ): Promise<DiskChange> {
    const { entry, path, map } = found;
    const facts = { ...factsOf(entry, path), plan: undefined };
    if (isPreview) return { ...facts, mapVersion: map.version, isDone: false };
    await this.#changes.change((config) => ({
      ...config,
      disks: [...config.disks.filter(({ id }) => id !== entry.id), { id: entry.id, path }],
    }));
    const used = await this.#store.changeHardware({ kind: 'found', disk: entry.id, path });
    return { ...facts, mapVersion: used.version, isDone: true };
  }

  /** The disk of the volume that the folder is, if it is out of service; else it must be none. */
  async #knownDisk(place: {
    path: string;
    map: DiskMap;
    isPreview: boolean;
  }): Promise<DiskEntry | undefined> {
    const { path, map, isPreview } = place;
    const { root, identity } = diskPaths(path);
    if (!existsSync(root)) return undefined;
    const found = await readDiskIdentity(identity);
    const isOurs = found?.volumeUuid === map.volumeUuid;
    const entry = found && isOurs ? findDisk(map, found.diskId) : undefined;
    const isUnknown = found !== undefined && isOurs && entry === undefined;
    // An addition that was cut off before the map had it: pieces come later.
    if (isUnknown && isEmptyFolder(join(root, 'buckets'))) {
      if (!isPreview) rmSync(root, { recursive: true, force: true });
      return undefined;
    }
    const whose = found ? `disk ${found.diskId} of volume ${found.volumeUuid}` : `a folder ${root}`;
    if (entry === undefined || entry.uuid !== found?.diskUuid) {
      const hint = 'give another folder, or delete what is there';
      throw new DfsError('FOREIGN', `Cannot add disk ${path}: it holds ${whose} already; ${hint}`);
    }
    if (entry.state === 'removed') {
      const state = `it was disk ${entry.id}, which was removed; delete ${root} and add it anew`;
      throw new DfsError('FOREIGN', `Cannot add disk ${path}: ${state}`);
    }
    const report = await this.#reportOf(entry.id);
    if (report?.state === 'up' || report?.state === 'full') {
      throw new DfsError('EXISTS', `Cannot add disk ${path}: it is disk ${entry.id} already`);
    }
    return entry;
  }

  async #reportOf(id: DiskId): Promise<DiskReport | undefined> {
    return (await this.#store.report()).disks.find((disk) => disk.id === id);
  }

  async #checkFolder(path: string): Promise<void> {
    const { disks } = await requireConfig(this.#home);
    const used = [
      { path: this.#home, what: 'HOME' },
      ...disks.map((disk) => ({ path: disk.path, what: 'disk' })),
    ];
    for (const one of used) checkApart([one, { path, what: 'disk' }]);
  }

  /** Throws unless the other disks can do without it. */
  async #checkLeave(map: DiskMap, entry: DiskEntry): Promise<void> {
    const others = presentDisks(map).filter(({ id, state }) => id !== entry.id && state === 'in');
    const needed = pieceCount(parseScheme(map.scheme));
    if (others.length < needed) {
      const state = `${map.scheme} needs ${needed} disks, ${others.length} would be left`;
      throw new DfsError('BAD_ARGUMENT', `Cannot remove disk ${entry.id}: ${state}; add one first`);
    }
    const { disks } = await this.#store.report();
    const used = disks.find(({ id }) => id === entry.id)?.usedBytes ?? 0;
    const ids = new Set<number>(others.map(({ id }) => id));
    const free = disks.reduce((sum, one) => sum + (ids.has(one.id) ? (one.freeBytes ?? 0) : 0), 0);
    if (used <= free) return;
    const state = `its pieces take ${used} bytes, the other disks have ${free} free`;
    throw new DfsError('NO_SPACE', `Cannot remove disk ${entry.id}: ${state}; add one first`);
  }

  async #plan(before: DiskMap, after: DiskMap): Promise<ChangePlan> {
    const { disks, work } = await this.#store.report();
    const pieceBytes = disks.reduce((sum, { usedBytes = 0 }) => sum + usedBytes, 0);
    return planChange({ before, after, pieceBytes, rate: work?.rate });
  }
}

function factsOf(entry: DiskEntry, path: string | undefined) {
  const { id: disk, weight, state } = entry;
  return { disk, path, location: formatLocation({ ...entry, bucket: 0 }), weight, state };
}

function presentDisk(map: DiskMap, disk: number): DiskEntry {
  const entry = findDisk(map, disk as DiskId);
  if (entry !== undefined && entry.state !== 'removed') return entry;
  const ids = presentDisks(map).map(({ id }) => id);
  const state = entry === undefined ? 'there is none' : 'it was removed';
  throw new DfsError('NOT_FOUND', `Cannot use disk ${disk}: ${state}; there are ${ids.join(', ')}`);
}

function isEmptyFolder(path: string): boolean {
  return !existsSync(path) || readdirSync(path).length === 0;
}

function weightFor(bytes: number, bucketBytes: number): number {
  return Math.min(WEIGHT_MAX, Math.max(1, Math.floor(bytes / bucketBytes) - 1));
}

function newEntry(
  map: DiskMap,
  wanted: { weight: number; at: AddOrder['at'] | undefined },
): DiskEntry {
  const [first] = presentDisks(map);
  const { room, row, rack, machine } = wanted.at ??
    first ?? { room: 1, row: 1, rack: 1, machine: 1 };
  const place = { room, row, rack, machine };
  const neighbours = map.disks.filter((one) =>
    Object.entries(place).every(([level, number]) => one[level as 'room'] === number),
  );
  const disk = Math.max(0, ...neighbours.map((one) => one.disk)) + 1;
  const id = (Math.max(0, ...map.disks.map((one) => one.id)) + 1) as DiskId;
  const rest = { weight: wanted.weight, state: 'in', label: '' } as const;
  return { id, uuid: randomUUID(), ...place, disk, ...rest };
}
