import { closeSync, openSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { assert, DfsError, messageOf } from '../base/errors.ts';
import { CHUNK_ID_BYTES, type ChunkId, type DiskId, type Epoch } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { hashChunk, parseScheme, type Scheme, survives } from '../chunk/mod.ts';
import { createPlacer, type DiskMap, decodeDiskMap, volumeTag } from '../diskmap/mod.ts';
import {
  type CommittedMeta,
  decodeEpochRecordHeader,
  encodeEpochRecord,
  type Head,
  operationsOf,
} from '../meta/mod.ts';
import { ChunkStore } from '../store/mod.ts';
import { type Capture, CaptureReader } from './capture-reader.ts';
import type { CommitBackend } from './committer.ts';
import { EpochBuilder } from './epoch-builder.ts';
import { EpochLogs, type VerifyTip } from './epoch-logs.ts';
import type { Segment } from './segments.ts';
import { type CommittedSource, Snapshots } from './snapshots.ts';
import { diskPaths, openVolumeDisk, type VolumeDisk } from './volume-disk.ts';

export interface VolumeOptions {
  home: string;
  volumeUuid: string;
  /** Where this machine finds the disks. */
  disks: { id: DiskId; path: string }[];
  readOnly: boolean;
  log: Log;
  capture: Capture;
}

/** Parts of a chunk to be written into the file at `path`. */
export interface FetchOrder {
  path: string;
  chunk: Uint8Array;
  parts: { offset: number; chunkOffset: number; lengthBytes: number }[];
}

/** The newest published epoch, and the first number no epoch on any disk has. */
export interface VolumeHead extends Head {
  nextEpoch: Epoch;
}

/**
 * The committed side of a volume: its disks, its chunks, its epochs. It runs on a thread of its
 * own, beside the event loop that serves the kernel.
 *
 * Invariants:
 *  1. `committed` stands at a published epoch; it moves only after the disks have the next one.
 *  2. Pieces and record of an epoch are all written before any of them counts, and synced in one
 *     parallel round.
 *  3. A chunk is referenced without being stored only if a published epoch, or this one, stored it.
 */
export class Volume implements CommitBackend {
  readonly map: DiskMap;
  readonly committed: CommittedMeta;
  readonly chunks: ChunkStore;
  readonly disks: readonly VolumeDisk[];
  readonly #logs: EpochLogs;
  readonly #scheme: Scheme;
  readonly #tag: Buffer;
  readonly #snapshots: Snapshots;
  readonly #epoch: EpochBuilder;
  readonly #reader: CaptureReader;
  #incarnation = 0;

  private constructor(parts: {
    options: VolumeOptions;
    map: DiskMap;
    disks: VolumeDisk[];
    committed: CommittedMeta;
    chunks: ChunkStore;
    logs: EpochLogs;
  }) {
    const { options, map, disks, committed, chunks, logs } = parts;
    this.map = map;
    this.disks = disks;
    this.committed = committed;
    this.chunks = chunks;
    this.#logs = logs;
    this.#scheme = parseScheme(map.scheme);
    this.#tag = volumeTag(map.volumeUuid);
    this.#epoch = new EpochBuilder(join(options.home, 'meta.sqlite'), map.scheme);
    this.#reader = new CaptureReader(options.capture);
    this.#snapshots = new Snapshots({
      home: options.home,
      tag: this.#tag,
      committed,
      logs,
      log: options.log,
    });
  }

  /**
   * Opens the disks and brings the committed state in HOME to the newest epoch they have. Throws
   * UNAVAILABLE when no disk can be used, CORRUPT when the disks do not lead on from the state in
   * HOME or from a snapshot.
   */
  static async open(options: VolumeOptions): Promise<Volume> {
    const map = await readMap(options);
    const { volumeUuid, readOnly, log } = options;
    const paths = new Map(options.disks.map(({ id, path }) => [id, path]));
    const disks: VolumeDisk[] = [];
    for (const entry of map.disks) {
      const disk = await openVolumeDisk({ entry, path: paths.get(entry.id), volumeUuid, readOnly });
      if (disk.problem !== undefined) {
        log('warn', 'disk not in use', { disk: entry.id, problem: disk.problem });
      }
      disks.push(disk);
    }
    const chunks = new ChunkStore({
      placer: createPlacer(map),
      disks: new Map(disks.map((disk) => [disk.entry.id, disk.buckets])),
      log,
    });
    const usable = disks.flatMap((disk) =>
      disk.log ? [{ id: disk.entry.id, log: disk.log }] : [],
    );
    if (usable.length === 0) throw noDisk(disks);
    const logs = new EpochLogs(new Map(usable.map((disk) => [disk.id, disk.log])), log);
    try {
      const source = {
        path: join(options.home, 'committed.sqlite'),
        tag: volumeTag(volumeUuid),
        folders: usable.map((disk) => disk.log.folder),
        log,
      };
      const committed = await openNewest(source, logs, chunks);
      const volume = new Volume({ options, map, disks, committed, chunks, logs });
      volume.#incarnation = Math.max(logs.newest().incarnation, volume.head.incarnation) + 1;
      if (!readOnly) await volume.#snapshots.catchUp();
      return volume;
    } catch (error) {
      await logs.close();
      await chunks.close();
      throw error;
    }
  }

  get head(): VolumeHead {
    const head = this.committed.head();
    assert(head !== undefined, 'an open volume has a head');
    const newest = Math.max(head.epoch, this.#logs.newest().epoch);
    return { ...head, nextEpoch: (newest + 1) as Epoch };
  }

  /** Why a disk takes no metadata; undefined when it does. */
  logFailure(id: DiskId): string | undefined {
    return this.#logs.failure(id);
  }

  async store(segments: Segment[]): Promise<Uint8Array> {
    return this.#reader.read(segments, async (contents) => {
      const ids = Buffer.allocUnsafeSlow(contents.length * CHUNK_ID_BYTES);
      const fresh: { id: ChunkId; content: Buffer; scheme: Scheme }[] = [];
      for (const [index, content] of contents.entries()) {
        const id = hashChunk(content);
        id.copy(ids, index * CHUNK_ID_BYTES);
        const segment = segments[index];
        assert(segment !== undefined, 'a content for each segment');
        this.#epoch.addExtent(segment, id);
        if (this.#epoch.hasChunk(id) || this.committed.chunk(id) !== undefined) continue;
        this.#epoch.addChunk(id, content.length);
        fresh.push({ id, content, scheme: this.#scheme });
      }
      await this.chunks.putMany(fresh);
      return ids;
    });
  }

  async publish(cut: { epoch: Epoch; seq: number; cutTimeMs: number }): Promise<void> {
    const { epoch, seq, cutTimeMs } = cut;
    const { seq: afterSeq, recordId } = this.head;
    const body = this.#epoch.body(afterSeq, seq);
    const record = encodeEpochRecord({
      volumeTag: this.#tag,
      epoch,
      incarnation: this.#incarnation,
      cutTimeMs,
      lastSeq: seq,
      previous: recordId,
      body,
    });
    // Invariant 2: one parallel round. Pieces are on all disks that were in service when they were
    // put.
    const inService = this.chunks.inService;
    const [logged, synced] = await Promise.all([this.#logs.append(record), this.chunks.sync()]);
    const lost = inService.filter((id) => !synced.has(id));
    if (lost.length > 0) {
      const state = `disk ${lost.join(', ')} failed while it was synced`;
      throw new DfsError('UNAVAILABLE', `Cannot publish epoch ${epoch}: ${state}`);
    }
    const needed = Math.min(survives(this.#scheme) + 1, this.map.disks.length);
    if (logged.size < needed) {
      const state = `${logged.size} of ${needed} disks took its record`;
      throw new DfsError('UNAVAILABLE', `Cannot publish epoch ${epoch}: ${state}`);
    }
    this.committed.apply(decodeEpochRecordHeader(record), body);
    this.#epoch.clear();
    this.committed.checkpoint();
    this.#snapshots.logged(record.length);
  }

  /** Copies SQLite's log of the live metadata into its file; resolves to the pages in the log. */
  async checkpoint(): Promise<number> {
    return this.#epoch.checkpoint();
  }

  async abandon(): Promise<void> {
    this.#epoch.clear();
  }

  /** Reads a chunk, verified, and writes parts of it into a cache file. */
  async fetch(order: FetchOrder): Promise<void> {
    const id = Buffer.from(order.chunk) as ChunkId;
    const row = this.committed.chunk(id);
    if (row === undefined) {
      throw new DfsError(
        'CORRUPT',
        `Cannot read chunk ${id.toString('hex')}: nothing is known of it`,
      );
    }
    const content = await this.chunks.get({
      id,
      scheme: parseScheme(row.scheme),
      chunkBytes: row.lengthBytes,
    });
    const fd = openSync(order.path, 'r+');
    try {
      for (const { offset, chunkOffset, lengthBytes } of order.parts) {
        for (let done = 0; done < lengthBytes; ) {
          const from = chunkOffset + done;
          done += writeSync(fd, content, from, lengthBytes - done, offset + done);
        }
      }
    } finally {
      closeSync(fd);
    }
  }

  async close(): Promise<void> {
    await this.#snapshots.close();
    await this.chunks.close();
    await this.#logs.close();
    this.#epoch.close();
    this.committed.close();
  }
}

/** The committed database at the newest epoch that the disks have. */
async function openNewest(
  source: CommittedSource,
  logs: EpochLogs,
  chunks: ChunkStore,
): Promise<CommittedMeta> {
  const verifyTip: VerifyTip = (_header, body) => chunksVerify(chunks, body);
  let committed = await Snapshots.openCommitted(source);
  try {
    await logs.replay(committed, verifyTip);
    const newest = await Snapshots.newestEpoch(source);
    if ((committed.head()?.epoch ?? 0) < newest) {
      // A HOME older than its disks: their logs begin behind it, only a snapshot leads on.
      source.log('warn', 'committed metadata is older than a snapshot', { epoch: newest });
      committed.close();
      committed = await Snapshots.rebuildCommitted(source);
      await logs.replay(committed, verifyTip);
    }
    return committed;
  } catch (error) {
    committed.close();
    throw error;
  }
}

async function chunksVerify(chunks: ChunkStore, body: Buffer): Promise<boolean> {
  for (const op of operationsOf(body, 0 as Epoch)) {
    if (op.kind !== 'chunk') continue;
    const chunk = { id: op.chunk, scheme: parseScheme(op.scheme), chunkBytes: op.lengthBytes };
    try {
      await chunks.get(chunk);
    } catch {
      return false;
    }
  }
  return true;
}

function noDisk(disks: VolumeDisk[]): DfsError {
  const problems = disks.map((disk) => disk.problem).join('; ');
  return new DfsError('UNAVAILABLE', `Cannot open the volume: no disk can be used: ${problems}`);
}

/** The newest diskmap of HOME and the disks. */
async function readMap(options: VolumeOptions): Promise<DiskMap> {
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
