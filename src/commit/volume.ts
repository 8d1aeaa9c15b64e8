import { join } from 'node:path';
import { assert, DfsError } from '../base/errors.ts';
import { CHUNK_ID_BYTES, type ChunkId, type DiskId, type Epoch } from '../base/ids.ts';
import { DEFAULT_SETTINGS, type Settings } from '../base/settings.ts';
import { hashChunk, parseScheme, type Scheme, survives } from '../chunk/mod.ts';
import { createPlacer, type DiskMap, presentDisks, volumeTag } from '../diskmap/mod.ts';
import { type CommittedMeta, decodeEpochRecordHeader, encodeEpochRecord } from '../meta/mod.ts';
import { ChunkStore, type ChunkToStore, diskLimits } from '../store/mod.ts';
import { CaptureReader } from './capture-reader.ts';
import type { CommitBackend, EpochCut, SmallCommit } from './commit-backend.ts';
import { EpochBuilder } from './epoch-builder.ts';
import { EpochFeed } from './epoch-feed.ts';
import { EpochLogs } from './epoch-logs.ts';
import { EpochPuts } from './epoch-puts.ts';
import { contentOf, type FetchOrder, readAsKnown, writeParts } from './fetch-order.ts';
import { GarbageCount } from './garbage-count.ts';
import { type ChunkChanges, Maintenance } from './maintenance.ts';
import { MovedChunks } from './moved-chunks.ts';
import { openCommitted } from './newest-epoch.ts';
import { Retention } from './retention.ts';
import type { Segment } from './segments.ts';
import { Snapshots } from './snapshots.ts';
import { openBucketsHere, type VolumeDisk } from './volume-disk.ts';
import { openVolumeDisks, usableDisks, VolumeDisks } from './volume-disks.ts';
import { readMap } from './volume-map.ts';
import type { VolumeHead, VolumeOptions } from './volume-options.ts';
import { VolumeSlots } from './volume-slots.ts';

/** Of these, how many a small commit takes along, which somebody waits for. */
const REQUESTS_A_SMALL_COMMIT = 1;

/**
 * The committed side of a volume: its disks, its chunks, its epochs. It runs on a thread of its
 * own, beside the event loop that serves the kernel.
 *
 * Invariants:
 *  1. `committed` stands at the newest published epoch; it moves only after the disks have the next.
 *  2. Pieces and record of an epoch are all written before any of them counts, and synced in one
 *     parallel round.
 *  3. A chunk is referenced without being stored only if the newest published epoch names it, or
 *     this one has stored it. One that nothing names may have lost its pieces: it is stored again.
 *  4. Pieces are removed only of chunks that are not needed: see {@link isNeeded}.
 */
export class Volume implements CommitBackend {
  readonly chunks: ChunkStore;
  readonly slots: VolumeSlots;
  /** Its disks and their map. */
  readonly hardware: VolumeDisks;
  readonly #logs: EpochLogs;
  readonly #tag: Buffer;
  readonly #snapshots: Snapshots;
  readonly #epoch: EpochBuilder;
  readonly #reader: CaptureReader;
  readonly #feed: EpochFeed;
  readonly #puts: EpochPuts;
  readonly #retention: Retention;
  readonly #maintenance: Maintenance;
  /** Of chunks that nothing names. */
  readonly garbage: GarbageCount;
  /** Of a volume that is read while it is written elsewhere. */
  readonly #moved: MovedChunks | undefined;
  #settings: Settings;
  /** The record that is being written. */
  #publishing: Promise<void> = Promise.resolve();
  /** The newest that was heard of, or tried. */
  #newestEpoch = 0;
  #incarnation = 0;

  private constructor(parts: {
    options: VolumeOptions;
    map: DiskMap;
    disks: VolumeDisk[];
    feed: EpochFeed;
    chunks: ChunkStore;
    logs: EpochLogs;
    slots: VolumeSlots;
    moved: MovedChunks | undefined;
  }) {
    const { options, map, disks, feed, chunks, logs } = parts;
    this.slots = parts.slots;
    this.#moved = parts.moved;
    this.#settings = options.settings ?? DEFAULT_SETTINGS;
    this.#feed = feed;
    this.chunks = chunks;
    this.#logs = logs;
    this.#tag = volumeTag(map.volumeUuid);
    this.#epoch = new EpochBuilder(join(options.home, 'meta.sqlite'));
    const isNeeded = (id: ChunkId): boolean => this.isNeeded(id);
    this.#puts = new EpochPuts({ chunks, epoch: this.#epoch, isNeeded, log: options.log });
    const wantEpoch = options.wantEpoch ?? (() => undefined);
    this.#retention = new Retention({ settings: () => this.#settings });
    this.#maintenance = new Maintenance({
      wantEpoch,
      lookUp: (id) => this.committed.chunk(id),
      protects: (chunk) => this.#retention.protects(chunk),
    });
    this.garbage = new GarbageCount({
      dead: (limit, after) => feed.readable.deadChunks(limit, after),
      protects: (chunk) => this.#retention.protects(chunk),
    });
    this.#reader = new CaptureReader(options.capture);
    this.#snapshots = new Snapshots({
      home: options.home,
      tag: this.#tag,
      committed: () => feed.committed,
      logs,
      retention: this.#retention,
      // Of a disk that is full the past gives way.
      settings: () => (this.#isFull ? { retentionMs: 0 } : this.#settings),
      wantEpoch,
      log: options.log,
    });
    this.hardware = new VolumeDisks({
      ...options,
      map,
      disks,
      chunks,
      logs,
      snapshots: this.#snapshots,
      head: () => feed.head,
      newestEpoch: () => this.#newestEpoch,
      idle: () => this.#publishing,
      logsNeeded: () => this.#logsNeeded,
      settleSlots: () => this.slots.settle(),
      settings: () => this.#settings,
    });
  }

  /**
   * Opens the disks and brings the committed state in HOME to the newest epoch they have. Throws
   * UNAVAILABLE when no disk can be used, CORRUPT when the disks do not lead on from the state in
   * HOME or from a snapshot.
   */
  static async open(options: VolumeOptions): Promise<Volume> {
    const map = await readMap(options);
    const { volumeUuid, readOnly, epoch, log, openBuckets = openBucketsHere } = options;
    assert(epoch === undefined || readOnly, 'what was is not changed');
    const moved = epoch === undefined ? undefined : new MovedChunks({ openBuckets, log });
    const opening = { ...options, openBuckets: moved?.openBuckets ?? openBuckets };
    const disks = await openVolumeDisks(opening, map);
    const opened = new Map(disks.map((disk) => [disk.entry.id, disk.buckets]));
    const [placer, limits] = [createPlacer(map), diskLimits(map)];
    const chunks = new ChunkStore({ placer, disks: opened, limits, log });
    const usable = usableDisks(disks);
    const logs = new EpochLogs(new Map(usable.map((disk) => [disk.id, disk.log])), log);
    try {
      const source = {
        path: join(options.home, 'committed.sqlite'),
        tag: volumeTag(volumeUuid),
        folders: usable.map((disk) => disk.log.folder),
        log,
      };
      const slots = await VolumeSlots.open({ disks, chunks, logs, log });
      const { published } = slots;
      const how = { heals: !readOnly, published, onReplay: options.onReplay, epoch };
      const committed = await openCommitted({ source, logs, chunks, ...how });
      if (epoch === undefined) slots.check(committed, options);
      const head = committed.head();
      assert(head !== undefined, 'an open volume has a head');
      const feed = new EpochFeed(committed, head, log);
      const volume = new Volume({ options, map, disks, feed, chunks, logs, slots, moved });
      volume.#newestEpoch = Math.max(logs.newest().epoch, volume.head.epoch);
      volume.#incarnation = Math.max(logs.newest().incarnation, volume.head.incarnation) + 1;
      await volume.#snapshots.load();
      if (!readOnly) {
        await volume.#snapshots.catchUp();
        await volume.hardware.level();
        await slots.start(volume, volume.#incarnation);
        volume.#snapshots.start();
        volume.hardware.watch.start();
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
    return this.hardware.map;
  }

  /** Of chunks that are stored from now on. */
  get #scheme(): Scheme {
    return parseScheme(this.map.scheme);
  }

  /** The disks of the map but for those that are removed, as this machine has them. */
  get disks(): readonly VolumeDisk[] {
    return this.hardware.all;
  }

  /**
   * Publishes the next version of the map, made from the one in use, and uses it. BUSY when another
   * change came first; UNAVAILABLE when no more than half of the disks in service took it, and then
   * nothing has changed.
   */
  changeMap(next: DiskMap): Promise<DiskMap> {
    return this.hardware.changeMap(next);
  }

  get #isFull(): boolean {
    return this.disks.some(({ entry }) => this.chunks.statusOf(entry.id) === 'full');
  }

  /** How many disks have to have the record of an epoch. */
  get #logsNeeded(): number {
    return Math.min(survives(this.#scheme) + 1, presentDisks(this.map).length);
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

  async store(segments: Segment[]): Promise<Uint8Array> {
    return this.#reader.read(segments, async (contents) => {
      const ids = Buffer.allocUnsafeSlow(contents.length * CHUNK_ID_BYTES);
      const fresh: ChunkToStore[] = [];
      const { committed } = this;
      for (const [index, content] of contents.entries()) {
        const id = hashChunk(content);
        id.copy(ids, index * CHUNK_ID_BYTES);
        const segment = segments[index];
        assert(segment !== undefined, 'a content for each segment');
        this.#epoch.addExtent(segment, id);
        if (this.#epoch.hasChunk(id) || (committed.chunk(id)?.refs ?? 0) > 0) continue;
        this.#epoch.addChunk(id, { lengthBytes: content.length, scheme: this.#scheme });
        fresh.push({ id, content, scheme: this.#scheme, isHashed: true });
      }
      await this.#puts.put(fresh);
      return ids;
    });
  }

  async publish(cut: EpochCut): Promise<void> {
    await this.#puts.moveInline(this.committed, this.#scheme);
    const first = this.#maintenance.take((id) => this.#epoch.hasChunk(id));
    const body = this.#epoch.body(first, { afterSeq: this.head.seq, seq: cut.seq });
    // Invariant 2: one parallel round.
    await this.#publish(cut, body, this.#puts.sync());
  }

  /** A commit of little, all of it in its record: the chunk ids, and how much is inline now. */
  async commitSmall(small: SmallCommit): Promise<{ ids: Uint8Array; inlineBytes: number }> {
    const { segments, content, ops, afterSeq } = small;
    assert(afterSeq === this.#feed.head.seq, `operations behind ${afterSeq}`);
    const ids = Buffer.allocUnsafeSlow(segments.length * CHUNK_ID_BYTES);
    const revived: ChunkToStore[] = [];
    let at = 0;
    for (const [index, segment] of segments.entries()) {
      const bytes = content.subarray(at, at + segment.lengthBytes);
      at += segment.lengthBytes;
      const id = hashChunk(bytes);
      id.copy(ids, index * CHUNK_ID_BYTES);
      this.#epoch.addExtent(segment, id);
      // What waits to be taken over may know more: it died lately then, and has its pieces.
      if (this.#feed.lagging.chunk(id)?.refs === 0) {
        this.#epoch.addChunk(id, { lengthBytes: bytes.length, scheme: this.#scheme });
        revived.push({ id, content: Buffer.from(bytes), scheme: this.#scheme, isHashed: true });
      } else this.#epoch.addInline(id, bytes);
    }
    await this.#puts.put(revived);
    const first = this.#maintenance.take((id) => this.#epoch.hasChunk(id), REQUESTS_A_SMALL_COMMIT);
    const body = this.#epoch.bodyOf(first, ops);
    await this.#publish(small, body, this.#puts.sync());
    return { ids, inlineBytes: this.#feed.inlineBytes };
  }

  #publish(cut: EpochCut, body: Buffer, lost: Promise<DiskId[]>): Promise<void> {
    const work = this.#writeRecord(cut, body, lost);
    this.#publishing = work.catch(() => undefined);
    return work;
  }

  /** Writes and syncs the record, while what says which disks are `lost` goes on. */
  async #writeRecord(cut: EpochCut, body: Buffer, lost: Promise<DiskId[]>): Promise<void> {
    const { epoch, seq, cutTimeMs } = cut;
    this.#newestEpoch = Math.max(this.#newestEpoch, epoch);
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
    const needed = this.#logsNeeded;
    // Who waits for a small commit does not wait for the slowest disk.
    const append = this.#logs.append(record, header, 'ops' in cut ? needed : undefined);
    const [logged, lostDisks] = await Promise.all([append, lost]);
    if (lostDisks.length > 0) {
      const state = `disk ${lostDisks.join(', ')} failed while it was synced`;
      throw new DfsError('UNAVAILABLE', `Cannot publish epoch ${epoch}: ${state}`);
    }
    if (logged.size < needed) {
      const state = `${logged.size} of ${needed} disks took its record`;
      throw new DfsError('UNAVAILABLE', `Cannot publish epoch ${epoch}: ${state}`);
    }
    this.#feed.published(header, body);
    this.#retention.published(epoch);
    this.#puts.published();
    this.#maintenance.published(epoch);
    this.#snapshots.logged(record.length);
  }

  /** Copies SQLite's log of the live metadata into its file; resolves to the pages in the log. */
  async checkpoint(): Promise<number> {
    return this.#epoch.checkpoint();
  }

  async abandon(): Promise<void> {
    this.#maintenance.abandoned();
    this.#puts.abandoned();
  }

  /**
   * Has an epoch forget chunks that nothing names, and know others under another scheme: resolves
   * when it is published. One that was named again, or is protected, is not forgotten. UNAVAILABLE
   * when the epoch fails, CLOSED.
   */
  maintain(changes: ChunkChanges): Promise<Epoch> {
    return this.#maintenance.request(changes);
  }

  /** Whether a chunk that nothing names has to stay, because a retained epoch names it, or for now. */
  protects(chunk: { born: number; died: number }): boolean {
    return this.#retention.protects(chunk);
  }

  /** The epochs that can be had again. */
  get retained(): Pick<Retention, 'snapshots' | 'windowStart'> {
    return this.#retention;
  }

  /** Writes a snapshot of the newest epoch to the disks now. */
  snapshot(): Promise<void> {
    return this.#snapshots.now();
  }

  /** Whether the pieces of a chunk have to stay: to be asked while nothing is being put. */
  isNeeded(id: ChunkId): boolean {
    if (this.#puts.has(id)) return true;
    const row = this.committed.chunk(id);
    if (row === undefined) return false;
    const { born, died } = row;
    return died === null || this.#retention.protects({ born, died });
  }

  /** Reads a chunk, verified, and writes parts of it into a cache file. */
  async fetch(order: FetchOrder): Promise<void> {
    const id = Buffer.from(order.chunk) as ChunkId;
    const from = { chunks: this.chunks, committed: this.#feed.readable };
    const content = await readAsKnown(
      () => this.#feed.readable.chunk(id) ?? this.committed.chunk(id),
      (row) => this.#moved?.contentOf(id, row, from) ?? contentOf(id, row, from),
    );
    writeParts(order, content);
  }

  /** Closes the disks; when `dying`, they are not told before of the newest epoch. */
  async close(options: { dying: boolean } = { dying: false }): Promise<void> {
    await this.hardware.close();
    this.#maintenance.close();
    await this.#snapshots.close();
    await this.slots.close(options);
    await this.chunks.close();
    await this.#logs.close();
    this.#epoch.close();
    this.#feed.close();
  }
}
