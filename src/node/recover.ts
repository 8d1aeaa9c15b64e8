import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { DfsError, messageOf } from '../base/errors.ts';
import type { ChunkId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { publishFile } from '../base/publish.ts';
import { DEFAULT_SETTINGS } from '../base/settings.ts';
import { parseScheme, piecesNeeded } from '../chunk/mod.ts';
import { DEADLINE_MS, diskPaths, Volume } from '../commit/mod.ts';
import { type DiskMap, decodeDiskMap, encodeDiskMap } from '../diskmap/mod.ts';
import { type DiskIdentity, INLINE_SCHEME, LiveMeta, readDiskIdentity } from '../meta/mod.ts';
import { type Config, writeConfig } from './config.ts';
import { checkApart, existingFolder } from './disk-checks.ts';
import { homePaths } from './home.ts';
import { checkHomeEmpty } from './init.ts';

export interface RecoverRequest {
  home: string;
  disks: string[];
  cacheBytes: number;
  log: Log;
  onProgress: (progress: { chunksDone: number; chunksTotal: number }) => void;
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
  /** Chunks with enough pieces to be read, but fewer than their scheme asks for. */
  degradedChunks: number;
  /** Chunks that cannot be read any more, and the files they are part of. */
  lost: { chunk: string; lengthBytes: number; paths: string[] }[];
}

const COMMIT_INTERVAL_MS = 5000;
const CHUNKS_A_BATCH = 256;

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
  const volume = await Volume.open({
    home,
    volumeUuid: map.volumeUuid,
    disks: found.map(({ path, identity }) => ({ id: identity.diskId, path })),
    readOnly: false,
    takesOlder: true,
    log: request.log,
    capture: () => Promise.reject(new DfsError('INVARIANT', 'nothing is captured in recovery')),
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
    return await inspect(volume, request.onProgress);
  } finally {
    await volume.close();
  }
}

/** Counts what is there and finds what is not, by the disks' indexes. */
async function inspect(
  volume: Volume,
  onProgress: RecoverRequest['onProgress'],
): Promise<Omit<RecoverReport, 'unusable'>> {
  const { committed, head, map } = volume;
  const totals = committed.totals();
  const lost: { id: ChunkId; lengthBytes: number }[] = [];
  let degradedChunks = 0;
  let chunksDone = 0;
  let after: Buffer = Buffer.alloc(0);
  for (;;) {
    const batch = committed.chunksAfter(after, CHUNKS_A_BATCH);
    for (const { id, lengthBytes, scheme: text } of batch) {
      if (text === INLINE_SCHEME) continue; // It came with the metadata.
      const scheme = parseScheme(text);
      const pieces = await volume.chunks.locate({ id, scheme });
      const good = pieces.filter(({ health }) => health === 'ok').length;
      if (good < piecesNeeded(scheme)) lost.push({ id, lengthBytes });
      else if (good < pieces.length) degradedChunks++;
    }
    chunksDone += batch.length;
    onProgress({ chunksDone, chunksTotal: totals.chunks });
    const last = batch.at(-1);
    if (last === undefined) break;
    after = last.id;
  }
  const pathsOf = committed.pathsByChunk(lost.map(({ id }) => id));
  const { inodes: files, fileBytes } = committed.state.totals();
  return {
    volumeUuid: map.volumeUuid,
    epoch: head.epoch,
    older: volume.slots.older,
    cutTimeMs: head.cutTimeMs,
    files,
    fileBytes,
    chunks: totals.chunks,
    scheme: map.scheme,
    disks: volume.disks.map(({ entry, path, problem }) => ({ id: entry.id, path, problem })),
    degradedChunks,
    lost: lost.map(({ id, lengthBytes }) => ({
      chunk: id.toString('hex'),
      lengthBytes,
      paths: pathsOf.get(id.toString('hex')) ?? [],
    })),
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
    const identity = await readDiskIdentity(diskPaths(path).identity).catch((error: unknown) => {
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
  let newest: DiskMap | undefined;
  const problems: string[] = [];
  for (const path of paths) {
    const file = diskPaths(path).diskmap;
    try {
      const map = decodeDiskMap(await readFile(file));
      if (newest === undefined || map.version > newest.version) newest = map;
    } catch (error) {
      problems.push(`${file}: ${messageOf(error)}`);
    }
  }
  if (newest !== undefined) return newest;
  throw new DfsError(
    'UNAVAILABLE',
    `Cannot read the diskmap from any disk: ${problems.join('; ')}`,
  );
}
