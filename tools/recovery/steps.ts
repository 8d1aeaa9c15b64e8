import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Volume as ApiVolume, openVolume } from '../../src/api/mod.ts';
import { assert, DfsError } from '../../src/base/errors.ts';
import type { Epoch } from '../../src/base/ids.ts';
import { GIB } from '../../src/base/limits.ts';
import { silentLog } from '../../src/base/log.ts';
import { parseScheme } from '../../src/chunk/mod.ts';
import { diskPaths, Volume } from '../../src/commit/mod.ts';
import { decodeDiskMap, volumeTag } from '../../src/diskmap/mod.ts';
import { homePaths, requireConfig } from '../../src/home/mod.ts';
import {
  CommittedMeta,
  DiskLog,
  decodeEpochRecordHeader,
  encodeEpochRecord,
  writeSnapshot,
} from '../../src/meta/mod.ts';
import { initVolume, recoverVolume } from '../../src/node/mod.ts';
import type { PutSession } from '../../src/store/mod.ts';
import { type MadeFiles, madeEpochs, madeFiles, nameOf } from './made-files.ts';

/** What a step works with: `folder` is the tool's own. */
export interface StepOptions extends MadeFiles {
  folder: string;
}

const CHUNKS_A_PUT = 2000;
const SYNC_EVERY_PUTS = 20;
const DISKS = 3;
const CACHE_BYTES: number = GIB;
const FILES_LEFT_DIRTY = 1000;

/** The disk folders below the tool's folder. */
export function diskFolders(folder: string): string[] {
  return Array.from({ length: DISKS }, (_, index) => join(folder, `disk${index + 1}`));
}

/** Steps by name, each in a process of its own: what it prints beside time and memory. */
export const STEPS: Record<
  string,
  (options: StepOptions, say: (facts: object) => void) => Promise<object>
> = {
  pieces: makePieces,
  log: makeLog,
  'recover-from-log': (options) => recover(options, 'from-log'),
  snapshot: writeSnapshots,
  'recover-from-snapshot': (options) => recover(options, 'from-snapshot'),
  'mount-after-recovery': mountAndDie,
  'mount-after-kill': mountAfterDeath,
};

const homeOf = (folder: string, name: string): string => join(folder, `home-${name}`);

async function synced(session: PutSession): Promise<void> {
  const lost = await session.sync();
  if (lost.length > 0) throw new Error(`Cannot make pieces: disk ${lost.join(', ')} failed`);
}

/** A new volume, and the pieces of all files on its disks. */
async function makePieces(options: StepOptions): Promise<object> {
  const { folder, files, scheme: text } = options;
  const home = homeOf(folder, 'first');
  const sizes = { bucketBytes: 8 * GIB, cacheBytes: CACHE_BYTES };
  const { config } = await initVolume({ home, disks: diskFolders(folder), scheme: text, ...sizes });
  const volume = await openCommitted(home);
  const scheme = parseScheme(config.scheme);
  const session = volume.chunks.session();
  try {
    for (let from = 0, puts = 1; from < files; from += CHUNKS_A_PUT, puts++) {
      const batch = [...madeFiles(options, from, Math.min(from + CHUNKS_A_PUT, files))];
      const chunks = batch.map(({ chunk: id, content }) => ({ id, content, scheme }));
      await session.putMany(chunks);
      if (puts % SYNC_EVERY_PUTS === 0) await synced(session);
    }
    await synced(session);
  } finally {
    await volume.close();
  }
  rmSync(home, { recursive: true });
  return { pieces: files };
}

async function openCommitted(home: string): Promise<Volume> {
  const { volumeUuid, disks } = await requireConfig(home);
  return Volume.open({
    home,
    volumeUuid,
    disks: disks as [],
    readOnly: false,
    log: silentLog,
    capture: () => Promise.reject(new DfsError('INVARIANT', 'nothing is captured')),
  });
}

/** The epochs that made the files, in the log of each disk; no snapshot but that of epoch 0. */
async function makeLog(options: StepOptions): Promise<object> {
  const disks = diskFolders(options.folder);
  const map = decodeDiskMap(readFileSync(diskPaths(disks[0] ?? '').diskmap));
  const tag = volumeTag(map.volumeUuid);
  const open = (path: string): Promise<DiskLog> =>
    DiskLog.open({ folder: diskPaths(path).meta, volumeTag: tag });
  const logs = await Promise.all(disks.map(open));
  let previous: Buffer = Buffer.alloc(32);
  let [epoch, lastSeq, bytes] = [0, 0, 0];
  for (const { body, operations } of madeEpochs({ ...options, scheme: map.scheme })) {
    epoch++;
    lastSeq += operations;
    const fields = { volumeTag: tag, incarnation: 1, cutTimeMs: Date.now(), lastSeq, body };
    const record = encodeEpochRecord({ ...fields, epoch: epoch as Epoch, previous });
    previous = decodeEpochRecordHeader(record).id;
    for (const log of logs) await log.append(record);
    bytes += record.length;
  }
  for (const log of logs) {
    await log.sync();
    await log.close();
  }
  return { epochs: epoch, bytes };
}

async function recover({ folder, files }: StepOptions, name: string): Promise<object> {
  const report = await recoverVolume({
    home: homeOf(folder, name),
    disks: diskFolders(folder),
    cacheBytes: CACHE_BYTES,
    log: silentLog,
    onProgress: () => undefined,
  });
  const { lost, degradedChunks, chunks, epoch } = report;
  if (chunks !== files || lost.length + degradedChunks > 0) {
    const state = `${chunks} chunks, ${lost.length} lost, ${degradedChunks} degraded`;
    throw new DfsError('CORRUPT', `Cannot trust this recovery: it found ${state}`);
  }
  return { epoch, inodes: report.files };
}

/** A snapshot of what was recovered from the log, on every disk. */
async function writeSnapshots({ folder }: StepOptions): Promise<object> {
  const home = homeOf(folder, 'from-log');
  const { volumeUuid } = await requireConfig(home);
  const committed = new CommittedMeta(homePaths(home).committed);
  const source = join(home, 'copy');
  committed.copyTo(source);
  const head = committed.head();
  assert(head !== undefined, 'a recovered volume has a head');
  committed.close();
  let bytes = 0;
  for (const disk of diskFolders(folder)) {
    const header = { volumeTag: volumeTag(volumeUuid), ...head };
    const written = await writeSnapshot({ folder: diskPaths(disk).meta, header, source });
    bytes = written.sizeBytes;
  }
  rmSync(source);
  return { bytes };
}

/** Opens the volume as a daemon does, until a file can be looked up. */
async function openTimed(folder: string): Promise<{ volume: ApiVolume; openMs: number }> {
  const start = performance.now();
  const volume = await openVolume(homeOf(folder, 'from-snapshot'), { log: silentLog });
  const { folder: name, file } = nameOf(0);
  await volume.stat(`/${name}/${file}`);
  return { volume, openMs: Math.round(performance.now() - start) };
}

/** Leaves what a process leaves that was killed with files that no commit has. */
async function mountAndDie({ folder }: StepOptions, say: (facts: object) => void): Promise<object> {
  const { volume, openMs } = await openTimed(folder);
  for (let index = 0; index < FILES_LEFT_DIRTY; index++) {
    await volume.writeFile(`/dirty-${index}`, `dirty ${index}`);
  }
  say({ openMs });
  process.kill(process.pid, 'SIGKILL');
  return {};
}

async function mountAfterDeath({ folder }: StepOptions): Promise<object> {
  const { volume, openMs } = await openTimed(folder);
  const found = await volume.readFile(`/dirty-${FILES_LEFT_DIRTY - 1}`, 'utf8');
  assert(found === `dirty ${FILES_LEFT_DIRTY - 1}`, 'what was written before the kill is there');
  await volume.close();
  return { openMs };
}
