import { stat } from 'node:fs/promises';
import type { DiskId } from '../base/ids.ts';
import { formatScheme, parseScheme } from '../chunk/mod.ts';
import type { GarbageFigures, Volume, VolumeDisk } from '../commit/mod.ts';
import { type DiskEntry, type DiskState, formatLocation } from '../diskmap/mod.ts';
import type { WorkFacts } from '../repair/mod.ts';
import type { DiskHealth } from '../store/mod.ts';
import { placeableBytes } from './capacity.ts';
import { type DiskRoom, roomOf } from './room.ts';
import { survivesWords } from './survives-words.ts';

/** How a disk is, for people and programs. Sizes in bytes. */
export interface DiskReport {
  id: number;
  label: string;
  path: string | undefined;
  /** room.row.rack.machine.disk as a bucket id shows it, with bucket 0. */
  location: string;
  weight: number;
  state: 'up' | 'full' | 'down' | 'missing';
  reason: string;
  /** What the volume uses it for. */
  mapState: DiskState;
  /** Since when it is out of service, in ms since 1970. */
  downSinceMs: number | undefined;
  /** When it will be failed, in ms since 1970. */
  failsAtMs: number | undefined;
  /** It was failed by a person, and does not come back by itself. */
  failedByHand: boolean;
  pieces: number | undefined;
  badPieces: number | undefined;
  /** What our pieces take. */
  usedBytes: number | undefined;
  /** Free on the disk's file system. */
  freeBytes: number | undefined;
  /** Of what it may take; from 1 on it takes no pieces. */
  filledShare: number | undefined;
  nearlyFull: boolean;
}

/** What is kept of the past, and what of it is garbage. */
export interface RetentionReport extends GarbageFigures {
  snapshots: number;
  /** When the epoch of the oldest snapshot was cut, in ms since 1970; undefined without any. */
  oldestCutMs: number | undefined;
  /** From here on every epoch can be had. */
  windowStart: number;
}

/**
 * The committed side of a volume in figures. Sizes in bytes, of plain content unless the name says
 * raw.
 */
export interface VolumeReport {
  volumeUuid: string;
  mapVersion: number;
  bucketBytes: number;
  scheme: string;
  /** What the scheme survives, in words. */
  survives: string;
  epoch: number;
  epochCutMs: number;
  inodes: number;
  chunks: number;
  /** Content referenced by files, and stored once: their ratio is the deduplication. */
  referencedBytes: number;
  storedBytes: number;
  capacityBytes: number;
  freeBytes: number;
  degradedReads: number;
  retained: RetentionReport;
  /** New data finds no room with its redundancy, or soon will not. */
  nearlyFull: boolean;
  problems: string[];
  disks: DiskReport[];
  /** Undefined where nobody works: read-only, or not mounted. */
  work: WorkFacts | undefined;
}

/** Collects what is known of the committed side of a volume. */
export async function volumeReport(
  volume: Volume,
  work: WorkFacts | undefined,
): Promise<VolumeReport> {
  const { map, readable } = volume;
  const scheme = parseScheme(map.scheme);
  const health = new Map((await volume.chunks.health()).map((one) => [one.diskId, one]));
  const disks = diskReports(volume, health);
  const room = roomOf(scheme, disks.map(roomOn));
  const totals = readable.totals();
  const asked = volume.disks.filter(
    ({ entry }, at) => entry.state === 'in' && disks[at]?.state !== 'down',
  );
  const freeBytes = placeableBytes(scheme, await freeByDisk(asked, health));
  const head = volume.head;
  return {
    volumeUuid: map.volumeUuid,
    mapVersion: map.version,
    bucketBytes: map.bucketBytes,
    scheme: formatScheme(scheme),
    survives: survivesWords(scheme),
    epoch: head.epoch,
    epochCutMs: head.cutTimeMs,
    inodes: totals.inodes,
    chunks: totals.chunks,
    referencedBytes: totals.extentBytes,
    storedBytes: totals.chunkBytes,
    capacityBytes: totals.chunkBytes + freeBytes,
    freeBytes,
    degradedReads: volume.chunks.counters.degradedReads,
    retained: await retentionOf(volume),
    nearlyFull: room.isNearlyFull,
    problems: [...olderIn(volume), ...problemsOf(disks), ...room.problems, ...workProblems(work)],
    disks,
    work,
  };
}

async function retentionOf({ retained, garbage }: Volume): Promise<RetentionReport> {
  const { snapshots, windowStart } = retained;
  const oldestCutMs = snapshots.at(-1)?.cutTimeMs;
  return { snapshots: snapshots.length, oldestCutMs, windowStart, ...(await garbage.figures()) };
}

function diskReports(volume: Volume, health: ReadonlyMap<DiskId, DiskHealth>): DiskReport[] {
  return volume.disks.map(({ entry, path, problem }): DiskReport => {
    const known = health.get(entry.id);
    const logFailure = volume.hardware.logFailure(entry.id);
    const state = known?.status ?? 'missing';
    return {
      id: entry.id,
      label: entry.label,
      path,
      location: formatLocation({ ...entry, bucket: 0 }),
      weight: entry.weight,
      state: state === 'up' && logFailure !== undefined ? 'down' : state,
      reason: problem ?? logFailure ?? known?.reason ?? '',
      ...lifeOf(volume, entry),
      pieces: known?.usage?.pieces,
      badPieces: known?.badPieces,
      usedBytes: known?.usage?.bytes,
      freeBytes: known?.space?.freeBytes,
      filledShare: known?.fill?.share,
      nearlyFull: known?.fill?.isNearlyFull ?? false,
    };
  });
}

function lifeOf(
  volume: Volume,
  entry: DiskEntry,
): Pick<DiskReport, 'mapState' | 'downSinceMs' | 'failsAtMs' | 'failedByHand'> {
  const { downSinceMs, failedByHand = false } = volume.hardware.trouble(entry.id);
  const isWaiting = entry.state === 'in' && downSinceMs !== undefined;
  const failsAtMs = isWaiting ? downSinceMs + volume.settings.rebuildAfterMs : undefined;
  return { mapState: entry.state, downSinceMs, failsAtMs, failedByHand };
}

function problemsOf(disks: DiskReport[]): string[] {
  return disks.flatMap((disk) => {
    const { id, label, state, reason, badPieces = 0, mapState, failsAtMs } = disk;
    const name = nameOf({ id, label });
    if (mapState === 'failed') {
      const how = disk.failedByHand ? 'failed by hand' : 'failed';
      const why = state === 'up' || state === 'full' ? '' : `, and ${state}: ${reason}`;
      return [`${name} is ${how}${why}`];
    }
    if (state === 'full') return [`${name} is full: ${reason}`];
    if (state !== 'up') {
      const until = failsAtMs === undefined ? '' : `; it is failed at ${clockTime(failsAtMs)}`;
      return [`${name} is ${state}: ${reason}${until}`];
    }
    return badPieces > 0 ? [`${name} has ${badPieces} bad pieces`] : [];
  });
}

function nameOf({ id, label }: Pick<DiskReport, 'id' | 'label'>): string {
  return label === '' ? `disk ${id}` : `disk ${id} (${label})`;
}

function roomOn(disk: DiskReport): DiskRoom {
  const { mapState, state, nearlyFull, filledShare = 0 } = disk;
  return {
    name: nameOf(disk),
    takesPieces: mapState === 'in' && state === 'up',
    isNearlyFull: nearlyFull,
    percent: Math.floor(filledShare * 100),
  };
}

/** The local time, for people. */
function clockTime(ms: number): string {
  return new Date(ms).toTimeString().slice(0, 8);
}

/** What the last walk over all chunks found wrong. */
function workProblems(work: WorkFacts | undefined): string[] {
  const { lost = 0, degraded = 0 } = work?.lastWalk ?? {};
  const chunks = (count: number): string => (count === 1 ? '1 chunk' : `${count} chunks`);
  const problems: string[] = [];
  if (lost > 0) problems.push(`${chunks(lost)} cannot be read from the disks that are in use`);
  if (degraded > 0) problems.push(`${chunks(degraded)} with fewer good pieces than promised`);
  if (work !== undefined && work.problem !== '') {
    problems.push(`background work did not get everything done: ${work.problem}`);
  }
  return problems;
}

/** What each disk that can be used may still take; folders on one file system share its. */
async function freeByDisk(
  disks: readonly VolumeDisk[],
  health: ReadonlyMap<DiskId, DiskHealth>,
): Promise<number[]> {
  const byDevice = new Map<number, { leftBytes: number; limits: number[] }>();
  for (const { entry, path, problem } of disks) {
    const fill = health.get(entry.id)?.fill;
    if (path === undefined || problem !== undefined || fill === undefined) continue;
    try {
      const { dev } = await stat(path);
      const limits = [...(byDevice.get(dev)?.limits ?? []), fill.limitLeftBytes];
      byDevice.set(dev, { leftBytes: fill.fileSystemLeftBytes, limits });
    } catch {
      // A disk that went away gives nothing.
    }
  }
  return [...byDevice.values()].flatMap(({ leftBytes, limits }) =>
    limits.map((limit) => Math.min(limit, leftBytes / limits.length)),
  );
}

function olderIn({ slots }: Volume): string[] {
  return slots.older === undefined ? [] : [slots.older];
}
