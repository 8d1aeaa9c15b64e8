import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { assert, DfsError, InvariantError, messageOf } from '../base/errors.ts';
import { CHUNK_ID_BYTES, type ChunkId, type DiskId, type Epoch } from '../base/ids.ts';
import { MIB } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import { DEFAULT_SETTINGS, type Settings } from '../base/settings.ts';
import { hashChunk, parseScheme, type Scheme, survives } from '../chunk/mod.ts';
import { createPlacer, type DiskMap, presentDisks, volumeTag } from '../diskmap/mod.ts';
import {
  type ChunkRow,
  type CommittedMeta,
  decodeEpochRecordHeader,
  encodeEpochRecord,
  type Head,
  INLINE_SCHEME,
} from '../meta/mod.ts';
import { ChunkStore } from '../store/mod.ts';
import { type Capture, CaptureReader } from './capture-reader.ts';
import type { CommitBackend, EpochCut, SmallCommit } from './commit-backend.ts';
import { EpochBuilder } from './epoch-builder.ts';
import { EpochFeed } from './epoch-feed.ts';
import { EpochLogs } from './epoch-logs.ts';
import { Leftovers } from './leftovers.ts';
import { openNewest } from './newest-epoch.ts';
import type { Segment } from './segments.ts';
import { Snapshots } from './snapshots.ts';
import type { OpenBuckets, VolumeDisk } from './volume-disk.ts';
import { openVolumeDisks, VolumeDisks } from './volume-disks.ts';
import { readMap } from './volume-map.ts';

/** Inline content that one commit puts into buckets, beside what it has to store itself. */
const MOVED_BYTES_MAX: number = 4 * MIB;

export interface VolumeOptions {
  home: string;
  volumeUuid: string;
  /** Where this machine finds the disks. */
  disks: { id: DiskId; path: string }[];
  readOnly: boolean;
  /** What is set; the defaults without. */
  settings?: Settings;
  log: Log;
  capture: Capture;
  /** Opens the buckets of a disk; on the caller's thread without. */
  openBuckets?: OpenBuckets;
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
 *  1. `committed` stands at the newest published epoch; it moves only after the disks have the next.
 *  2. Pieces and record of an epoch are all written before any of them counts, and synced in one
 *     parallel round.
 *  3. A chunk is referenced without being stored only if a published epoch, or this one, stored it.
 */
export class Volume implements CommitBackend {
  readonly chunks: ChunkStore;
  readonly #disks: VolumeDisks;
  readonly #logs: EpochLogs;
  readonly #tag: Buffer;
  readonly #snapshots: Snapshots;
  readonly #epoch: EpochBuilder;
  readonly #reader: CaptureReader;
  readonly #feed: EpochFeed;
  readonly #leftovers: Leftovers;
  readonly #log: Log;
  #settings: Settings;
  #incarnation = 0;

  private constructor(parts: {
    options: VolumeOptions;
    map: DiskMap;
    disks: VolumeDisk[];
    feed: EpochFeed;
    chunks: ChunkStore;
    logs: EpochLogs;
  }) {
    const { options, map, disks, feed, chunks, logs } = parts;
    this.#settings = options.settings ?? DEFAULT_SETTINGS;
    const { home, log } = options;
    this.#disks = new VolumeDisks({ home, map, disks, chunks, logs, log });
    this.#feed = feed;
    this.#log = options.log;
    this.chunks = chunks;
    this.#logs = logs;
    this.#tag = volumeTag(map.volumeUuid);
    this.#epoch = new EpochBuilder(join(options.home, 'meta.sqlite'));
    this.#leftovers = new Leftovers({
      chunks,
      scheme: () => this.#scheme,
      isNeeded: (id) => this.#epoch.hasChunk(id) || this.committed.chunk(id) !== undefined,
    });
    this.#reader = new CaptureReader(options.capture);
    this.#snapshots = new Snapshots({
      home: options.home,
      tag: this.#tag,
      committed: () => feed.committed,
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
    const disks = await openVolumeDisks(options, map);
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
      const committed = await openNewest({ source, logs, chunks, heals: !readOnly });
      const head = committed.head();
      assert(head !== undefined, 'an open volume has a head');
      const feed = new EpochFeed(committed, head, log);
      const volume = new Volume({ options, map, disks, feed, chunks, logs });
      volume.#incarnation = Math.max(logs.newest().incarnation, volume.head.incarnation) + 1;
      if (!readOnly) {
        await volume.#snapshots.catchUp();
        await volume.#disks.level();
      }
      return volume;
    } catch (error) {
      await logs.close();
      await chunks.close();
      throw error;
    }
  }

  /** The map in use. */
  get map(): DiskMap {
    return this.#disks.map;
  }

  /** Of chunks that are stored from now on. */
  get #scheme(): Scheme {
    return parseScheme(this.map.scheme);
  }

  /** The disks of the map but for those that are removed, as this machine has them. */
  get disks(): readonly VolumeDisk[] {
    return this.#disks.all;
  }

  /**
   * Publishes the next version of the map, made from the one in use, and uses it. BUSY when another
   * change came first; UNAVAILABLE when no more than half of the disks in service took it, and then
   * nothing has changed.
   */
  changeMap(next: DiskMap): Promise<DiskMap> {
    return this.#disks.changeMap(next);
  }

  /** What is set now; it may change at any time. */
  get settings(): Settings {
    return this.#settings;
  }

  /** From now on these settings hold. */
  configure(settings: Settings): void {
    this.#settings = settings;
  }

  get head(): VolumeHead {
    const { head } = this.#feed;
    const newest = Math.max(head.epoch, this.#logs.newest().epoch);
    return { ...head, nextEpoch: (newest + 1) as Epoch };
  }

  /** The metadata of the newest published epoch. */
  get committed(): CommittedMeta {
    return this.#feed.committed;
  }

  /** The same, somewhat older while its device takes nothing: for reports. */
  get readable(): CommittedMeta {
    return this.#feed.readable;
  }

  /** Why a disk takes no metadata; undefined when it does. */
  logFailure(id: DiskId): string | undefined {
    return this.#logs.failure(id);
  }

  async store(segments: Segment[]): Promise<Uint8Array> {
    return this.#reader.read(segments, async (contents) => {
      const ids = Buffer.allocUnsafeSlow(contents.length * CHUNK_ID_BYTES);
      const fresh: { id: ChunkId; content: Buffer; scheme: Scheme; isHashed: true }[] = [];
      const { committed } = this;
      for (const [index, content] of contents.entries()) {
        const id = hashChunk(content);
        id.copy(ids, index * CHUNK_ID_BYTES);
        const segment = segments[index];
        assert(segment !== undefined, 'a content for each segment');
        this.#epoch.addExtent(segment, id);
        if (this.#epoch.hasChunk(id) || committed.chunk(id) !== undefined) continue;
        this.#epoch.addChunk(id, { lengthBytes: content.length, scheme: this.#scheme });
        fresh.push({ id, content, scheme: this.#scheme, isHashed: true });
      }
      await this.#leftovers.put(fresh);
      return ids;
    });
  }

  async publish(cut: EpochCut): Promise<void> {
    const { chunks } = this;
    await this.#moveInline();
    const body = this.#epoch.body(this.head.seq, cut.seq);
    // Invariant 2: one parallel round. Pieces are on all disks that were in service when they were
    // put.
    const inService = chunks.inService;
    const lost = chunks.sync().then((synced) => inService.filter((id) => !synced.has(id)));
    await this.#publish(cut, body, lost);
  }

  /**
   * A commit of little: the record has all of it, so that nothing else is written and synced. The
   * chunk ids of the segments, and how much content is inline now.
   */
  async commitSmall(small: SmallCommit): Promise<{ ids: Uint8Array; inlineBytes: number }> {
    const { segments, content, ops, afterSeq } = small;
    assert(afterSeq === this.#feed.head.seq, `operations behind ${afterSeq}`);
    const ids = Buffer.allocUnsafeSlow(segments.length * CHUNK_ID_BYTES);
    let at = 0;
    for (const [index, segment] of segments.entries()) {
      const bytes = content.subarray(at, at + segment.lengthBytes);
      at += segment.lengthBytes;
      const id = hashChunk(bytes);
      id.copy(ids, index * CHUNK_ID_BYTES);
      this.#epoch.addInline(id, bytes);
      this.#epoch.addExtent(segment, id);
    }
    await this.#publish(small, this.#epoch.bodyOf(ops), Promise.resolve([]));
    return { ids, inlineBytes: this.#feed.inlineBytes };
  }

  /** Writes and syncs the record, while what says which disks are `lost` goes on. */
  async #publish(cut: EpochCut, body: Buffer, lost: Promise<DiskId[]>): Promise<void> {
    const { epoch, seq, cutTimeMs } = cut;
    const record = encodeEpochRecord({
      volumeTag: this.#tag,
      epoch,
      incarnation: this.#incarnation,
      cutTimeMs,
      lastSeq: seq,
      previous: this.#feed.head.recordId,
      body,
    });
    const header = decodeEpochRecordHeader(record);
    this.#feed.makeRoom();
    const [logged, lostDisks] = await Promise.all([this.#logs.append(record, header), lost]);
    if (lostDisks.length > 0) {
      const state = `disk ${lostDisks.join(', ')} failed while it was synced`;
      throw new DfsError('UNAVAILABLE', `Cannot publish epoch ${epoch}: ${state}`);
    }
    const needed = Math.min(survives(this.#scheme) + 1, presentDisks(this.map).length);
    if (logged.size < needed) {
      const state = `${logged.size} of ${needed} disks took its record`;
      throw new DfsError('UNAVAILABLE', `Cannot publish epoch ${epoch}: ${state}`);
    }
    this.#feed.published(header, body);
    this.#epoch.clear();
    this.#snapshots.logged(record.length);
  }

  /** Puts inline chunks into buckets, as far as it can: this epoch will say that they are there. */
  async #moveInline(): Promise<void> {
    const { inline } = this.committed;
    if (inline.bytes === 0) return;
    const scheme = this.#scheme;
    const oldest = inline.oldest(MOVED_BYTES_MAX);
    try {
      await this.chunks.putMany(oldest.map(({ id, content }) => ({ id, content, scheme })));
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      // They stay where they are: this commit may do without those disks.
      this.#log('warn', 'small chunks stay with the metadata', { message: messageOf(error) });
      return;
    }
    for (const { id, content } of oldest) {
      this.#epoch.addChunk(id, { lengthBytes: content.length, scheme });
    }
  }

  /** Copies SQLite's log of the live metadata into its file; resolves to the pages in the log. */
  async checkpoint(): Promise<number> {
    return this.#epoch.checkpoint();
  }

  async abandon(): Promise<void> {
    this.#leftovers.add(this.#epoch.chunkIds());
    this.#epoch.clear();
  }

  /** Reads a chunk, verified, and writes parts of it into a cache file. */
  async fetch(order: FetchOrder): Promise<void> {
    const id = Buffer.from(order.chunk) as ChunkId;
    const row = this.#feed.readable.chunk(id) ?? this.committed.chunk(id);
    if (row === undefined) {
      throw new DfsError(
        'CORRUPT',
        `Cannot read chunk ${id.toString('hex')}: nothing is known of it`,
      );
    }
    const content = await this.#contentOf(row);
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

  async #contentOf({ id, scheme, lengthBytes }: ChunkRow): Promise<Buffer> {
    if (scheme !== INLINE_SCHEME) {
      return this.chunks.get({ id, scheme: parseScheme(scheme), chunkBytes: lengthBytes });
    }
    const content = this.#feed.readable.inline.content(id);
    if (content !== undefined && hashChunk(content).equals(id)) return content;
    const state = 'its content in the committed metadata is damaged';
    throw new DfsError('CORRUPT', `Cannot read chunk ${id.toString('hex')}: ${state}`);
  }

  async close(): Promise<void> {
    await this.#snapshots.close();
    await this.chunks.close();
    await this.#logs.close();
    this.#epoch.close();
    this.#feed.close();
  }
}

function noDisk(disks: VolumeDisk[]): DfsError {
  const problems = disks.map((disk) => disk.problem).join('; ');
  return new DfsError('UNAVAILABLE', `Cannot open the volume: no disk can be used: ${problems}`);
}
