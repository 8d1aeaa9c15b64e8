import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { DfsError } from '../base/errors.ts';
import type { DiskId, Epoch } from '../base/ids.ts';
import { GIB, MIB } from '../base/limits.ts';
import { publishFile } from '../base/publish.ts';
import { DEADLINE_MS, DEFAULT_SETTINGS } from '../base/settings.ts';
import { formatScheme } from '../chunk/mod.ts';
import { diskPaths } from '../commit/mod.ts';
import { createDiskMap, type DiskMap, encodeDiskMap, volumeTag } from '../diskmap/mod.ts';
import { type Config, type HomePaths, homePaths, writeConfig } from '../home/mod.ts';
import {
  CommittedMeta,
  LiveMeta,
  readDiskIdentity,
  writeDiskIdentity,
  writeSnapshot,
} from '../meta/mod.ts';
import { checkApart, diskBytes, existingFolder } from './disk-checks.ts';
import { chooseScheme, type SchemeChoice } from './scheme-choice.ts';

export interface InitRequest {
  home: string;
  disks: string[];
  /** auto, replica:N or ec:K+M. */
  scheme: string;
  bucketBytes: number;
  cacheBytes: number;
  /** How long a change may wait until it is committed; 30 s by default. */
  deadlineMs?: number;
}

const COMMIT_INTERVAL_MS = 5000;
const BUCKET_BYTES_MIN: number = MIB;
const BUCKET_BYTES_MAX: number = 16 * 1024 * GIB;
const CACHE_BYTES_MIN: number = 64 * MIB;
const WEIGHT_MAX = 65_535;

/** Makes a volume: HOME and its disks. What goes wrong leaves nothing behind. */
export async function initVolume(
  request: InitRequest,
): Promise<{ config: Config; map: DiskMap; choice: SchemeChoice }> {
  const home = resolve(request.home);
  checkInitSizes(request);
  const isNewHome = !existsSync(home);
  checkHomeEmpty(home);
  if (request.disks.length === 0) {
    throw new DfsError('BAD_ARGUMENT', 'Cannot make a volume: no --disk was given');
  }
  const disks = request.disks.map((path) => existingFolder(path, 'disk'));
  checkApart([{ path: home, what: 'HOME' }, ...disks.map((path) => ({ path, what: 'disk' }))]);
  for (const path of disks) await checkUnused(path);
  const sizes = await Promise.all(disks.map(diskBytes));
  const weights = sizes.map((bytes) =>
    Math.min(WEIGHT_MAX, Math.max(1, Math.floor(bytes / request.bucketBytes) - 1)),
  );
  const choice = chooseScheme(request.scheme, weights);
  const map = newMap({
    weights,
    scheme: formatScheme(choice.scheme),
    bucketBytes: request.bucketBytes,
  });
  const config: Config = {
    volumeUuid: map.volumeUuid,
    scheme: map.scheme,
    bucketBytes: request.bucketBytes,
    cacheBytes: request.cacheBytes,
    commitIntervalMs: COMMIT_INTERVAL_MS,
    commitDeadlineMs: request.deadlineMs ?? DEADLINE_MS,
    mode: 'weak',
    createdMs: Date.now(),
    ...DEFAULT_SETTINGS,
    disks: disks.map((path, index) => ({ id: index + 1, path })),
  };
  try {
    await writeVolume(homePaths(home), config, map);
  } catch (error) {
    for (const path of disks) rmSync(diskPaths(path).root, { recursive: true, force: true });
    if (isNewHome) rmSync(home, { recursive: true, force: true });
    else for (const name of readdirSync(home)) rmSync(resolve(home, name), { recursive: true });
    throw error;
  }
  return { config, map, choice };
}

/** BAD_ARGUMENT unless a volume can have buckets and a cache of these sizes. */
export function checkInitSizes({
  bucketBytes,
  cacheBytes,
}: Pick<InitRequest, 'bucketBytes' | 'cacheBytes'>): void {
  if (bucketBytes < BUCKET_BYTES_MIN || bucketBytes > BUCKET_BYTES_MAX) {
    throw new DfsError(
      'BAD_ARGUMENT',
      `Cannot use a bucket size of ${bucketBytes} bytes: 1 MiB to 16 TiB are possible`,
    );
  }
  if (cacheBytes < CACHE_BYTES_MIN) {
    throw new DfsError(
      'BAD_ARGUMENT',
      `Cannot use a cache of ${cacheBytes} bytes: it needs at least 64 MiB`,
    );
  }
}

/** BAD_ARGUMENT unless HOME is a folder without anything in it, or not there yet. */
export function checkHomeEmpty(home: string): void {
  if (!existsSync(home)) return;
  existingFolder(home, 'HOME');
  if (readdirSync(home).length > 0) {
    throw new DfsError(
      'EXISTS',
      `Cannot make a volume in ${home}: the folder is not empty; give a new one`,
    );
  }
}

async function checkUnused(path: string): Promise<void> {
  const { root, identity } = diskPaths(path);
  if (!existsSync(root)) return;
  const found = await readDiskIdentity(identity);
  const whose = found ? `disk ${found.diskId} of volume ${found.volumeUuid}` : `a folder ${root}`;
  throw new DfsError(
    'FOREIGN',
    `Cannot use disk ${path}: it holds ${whose} already; give another folder`,
  );
}

function newMap(options: { weights: number[]; scheme: string; bucketBytes: number }): DiskMap {
  return createDiskMap({
    version: 1,
    volumeUuid: randomUUID(),
    createdAt: Date.now(),
    scheme: options.scheme,
    bucketBytes: options.bucketBytes,
    disks: options.weights.map((weight, index) => ({
      id: (index + 1) as DiskId,
      uuid: randomUUID(),
      room: 1,
      row: 1,
      rack: 1,
      machine: 1,
      disk: index + 1,
      weight,
      state: 'in',
      label: '',
    })),
  });
}

/** Disks first, the config last: without it a HOME is not one. */
async function writeVolume(paths: HomePaths, config: Config, map: DiskMap): Promise<void> {
  mkdirSync(paths.home, { recursive: true, mode: 0o700 });
  const committed = new CommittedMeta(paths.committed);
  committed.format({
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    timeMs: config.createdMs,
  });
  const head = committed.head();
  const source = `${paths.committed}.copy`;
  committed.copyTo(source);
  committed.close();
  for (const { id, path } of config.disks) {
    const { root, identity, diskmap, meta } = diskPaths(path);
    const entry = map.disks[id - 1];
    if (entry === undefined || head === undefined) {
      throw new DfsError('INVARIANT', `disk ${id} is not in the map`);
    }
    mkdirSync(resolve(root, 'buckets'), { recursive: true, mode: 0o700 });
    await writeSnapshot({
      folder: meta,
      header: {
        volumeTag: volumeTag(map.volumeUuid),
        epoch: 0 as Epoch,
        incarnation: 0,
        recordId: head.recordId,
        cutTimeMs: head.cutTimeMs,
      },
      source,
    });
    await publishFile(diskmap, encodeDiskMap(map));
    await writeDiskIdentity(identity, {
      volumeUuid: map.volumeUuid,
      diskUuid: entry.uuid,
      diskId: entry.id,
      createdMs: config.createdMs,
    });
  }
  rmSync(source);
  const live = new LiveMeta(paths.meta);
  live.rebase(paths.committed, { epoch: 0 as Epoch, seq: 0 });
  await live.close();
  mkdirSync(paths.cache, { mode: 0o700 });
  await publishFile(paths.diskmap, encodeDiskMap(map));
  await writeConfig(paths.home, config);
}
