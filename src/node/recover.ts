import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { DfsError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { publishFile } from '../base/publish.ts';
import { DEADLINE_MS, DEFAULT_SETTINGS } from '../base/settings.ts';
import {
  countingMap,
  diskPaths,
  type LeftOutEpoch,
  readIdentityOf,
  readMapOf,
  Volume,
} from '../commit/mod.ts';
import { type DiskMap, encodeDiskMap } from '../diskmap/mod.ts';
import { type Config, homePaths, writeConfig } from '../home/mod.ts';
import { type DiskIdentity, LiveMeta } from '../meta/mod.ts';
import { checkApart, existingFolder } from './disk-checks.ts';
import { checkHomeEmpty } from './init.ts';
import { lostChunks, surveyChunks } from './survey.ts';

export interface RecoverRequest {
  home: string;
  disks: string[];
  cacheBytes: number;
  log: Log;
  onProgress: (progress: RecoverProgress) => void;
}

/** What a recovery is at: carrying out logs, then looking for pieces. */
export interface RecoverProgress {
  step: 'metadata' | 'pieces';
  done: number;
  total: number;
}

/** What a recovery found; sizes in bytes. */
export interface RecoverReport {
  volumeUuid: string;
  epoch: number;
  /** Why that is older than it should be; undefined when it is not. */
  older: string | undefined;
  /** When the recovered state was cut, in ms since 1970. */
  cutTimeMs: number;
  files: number;
  fileBytes: number;
  chunks: number;
  scheme: string;
  disks: { id: number; path: string | undefined; problem: string | undefined }[];
  /** Folders that were given and that do not say any more which disk they are. */
  unusable: { path: string; problem: string }[];
  /** Epochs that are newer than the recovered one, and why they could not be. */
  leftOut: LeftOutEpoch[];
  /** How long it took: the metadata, and the look for pieces. */
  metadataMs: number;
  piecesMs: number;
  /** Chunks with enough pieces to be read, but fewer than their scheme asks for. */
  degradedChunks: number;
  /** Chunks that cannot be read any more; of up to 100,000 of them the files they are part of. */
  lostChunks: number;
  lostBytes: number;
  lost: { chunk: string; lengthBytes: number; paths: string[] }[];
}

const COMMIT_INTERVAL_MS = 5000;

/**
 * Builds a new HOME from disk folders and nothing else: the newest epoch whose records and pieces
 * verify. Chunks are looked up, not read, but for those of that epoch, whose missing pieces are put.
 * Leaves no HOME behind when it fails; removes nothing from any disk.
 */
export async function recoverVolume(request: RecoverRequest): Promise<RecoverReport> {
  const home = resolve(request.home);
  const isNewHome = !existsSync(home);
  checkHomeEmpty(home);
  if (request.disks.length === 0) {
    throw new DfsError('BAD_ARGUMENT', 'Cannot recover a volume: no --disk was given');
  }
  const paths = request.disks.map((path) => existingFolder(path, 'disk'));
  checkApart([{ path: home, what: 'HOME' }, ...paths.map((path) => ({ path, what: 'disk' }))]);
  const { found, unusable } = await identify(paths);
  const map = await newestMap(paths);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  try {
    return { ...(await buildHome({ request, home, map, found })), unusable };
  } catch (error) {
    const { config, diskmap, meta, committed, cache } = homePaths(home);
    if (isNewHome) rmSync(home, { recursive: true, force: true });
    else
      for (const path of [config, diskmap, meta, committed, cache])
        rmSync(path, { recursive: true, force: true });
    throw error;
  }
}

async function buildHome(options: {
  request: RecoverRequest;
  home: string;
  map: DiskMap;
  found: FoundDisk[];
}): Promise<Omit<RecoverReport, 'unusable'>> {
  const { request, home, map, found } = options;
  const paths = homePaths(home);
  const start = performance.now();
  const volume = await Volume.open({
    home,
    volumeUuid: map.volumeUuid,
    disks: found.map(({ path, identity }) => ({ id: identity.diskId, path })),
    readOnly: false,
    takesOlder: true,
    log: request.log,
    capture: () => Promise.reject(new DfsError('INVARIANT', 'nothing is captured in recovery')),
    onReplay: ({ bytesDone: done, bytesTotal: total }) =>
      request.onProgress({ step: 'metadata', done, total }),
  });
  try {
    const live = new LiveMeta(paths.meta);
    live.rebase(paths.committed, volume.head);
    await live.close();
    mkdirSync(paths.cache, { mode: 0o700 });
    await publishFile(paths.diskmap, encodeDiskMap(map));
    const config: Config = {
      volumeUuid: map.volumeUuid,
      scheme: map.scheme,
      bucketBytes: map.bucketBytes,
      cacheBytes: request.cacheBytes,
      commitIntervalMs: COMMIT_INTERVAL_MS,
      commitDeadlineMs: DEADLINE_MS,
      mode: 'weak',
      createdMs: map.createdAt ?? Date.now(),
      ...DEFAULT_SETTINGS,
      disks: found.map(({ path, identity }) => ({ id: identity.diskId, path })),
    };
    await writeConfig(home, config);
    const metadataMs = Math.round(performance.now() - start);
    return { ...(await inspect(volume, request.onProgress)), metadataMs };
  } finally {
    await volume.close();
  }
}

/** Counts what is there and finds what is not, by the disks' indexes. */
async function inspect(
  volume: Volume,
  onProgress: RecoverRequest['onProgress'],
): Promise<Omit<RecoverReport, 'unusable' | 'metadataMs'>> {
  const { committed, head, map } = volume;
  const start = performance.now();
  const { chunks, degraded, lost } = await surveyChunks(volume, {
    onProgress: ({ chunksDone: done, chunksTotal: total }) =>
      onProgress({ step: 'pieces', done, total }),
  });
  const { inodes: files, fileBytes } = committed.state.totals();
  return {
    volumeUuid: map.volumeUuid,
    epoch: head.epoch,
    older: volume.slots.older,
    cutTimeMs: head.cutTimeMs,
    files,
    fileBytes,
    chunks,
    scheme: map.scheme,
    disks: volume.disks.map(({ entry, path, problem }) => ({ id: entry.id, path, problem })),
    leftOut: [...volume.hardware.leftOut],
    piecesMs: Math.round(performance.now() - start),
    degradedChunks: degraded,
    lostChunks: lost.chunks,
    lostBytes: lost.bytes,
    lost: lostChunks(committed, lost),
  };
}

interface FoundDisk {
  path: string;
  identity: DiskIdentity;
}

/**
 * Reads whose the disks are; FOREIGN when they are not all of one volume. A damaged one is left
 * out, because the others may do, unless there is no other.
 */
async function identify(
  paths: string[],
): Promise<{ found: FoundDisk[]; unusable: RecoverReport['unusable'] }> {
  const found: FoundDisk[] = [];
  const unusable: RecoverReport['unusable'] = [];
  for (const path of paths) {
    const identity = await readIdentityOf(diskPaths(path)).catch((error: unknown) => {
      if (!(error instanceof DfsError) || error.code !== 'CORRUPT') throw error;
      unusable.push({ path, problem: error.message });
      return null;
    });
    if (identity === null) continue;
    if (identity === undefined) {
      throw new DfsError('NOT_FOUND', `Cannot recover from ${path}: it is no disk of a volume`);
    }
    const other = found.find(
      (one) =>
        one.identity.volumeUuid !== identity.volumeUuid || one.identity.diskId === identity.diskId,
    );
    if (other !== undefined) {
      const state = `${path} is disk ${identity.diskId} of volume ${identity.volumeUuid}, ${other.path} is disk ${other.identity.diskId} of volume ${other.identity.volumeUuid}`;
      throw new DfsError('FOREIGN', `Cannot recover from these disks together: ${state}`);
    }
    found.push({ path, identity });
  }
  if (found.length > 0) return { found, unusable };
  const problems = unusable.map(({ problem }) => problem).join('; ');
  throw new DfsError('CORRUPT', `Cannot recover from any of these disks: ${problems}`);
}

async function newestMap(paths: string[]): Promise<DiskMap> {
  const problems: string[] = [];
  const disks = await Promise.all(
    paths.map(async (path) => {
      const file = diskPaths(path).diskmap;
      try {
        return await readMapOf(diskPaths(path));
      } catch (error) {
        problems.push(`${file}: ${messageOf(error)}`);
        return undefined;
      }
    }),
  );
  const newest = countingMap({ disks });
  if (newest !== undefined) return newest;
  throw new DfsError(
    'UNAVAILABLE',
    `Cannot read the diskmap from any disk: ${problems.join('; ')}`,
  );
}
