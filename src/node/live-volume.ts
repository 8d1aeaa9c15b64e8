import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, DfsError } from '../base/errors.ts';
import { type DiskId, type Epoch, type Ino, ROOT_INO } from '../base/ids.ts';
import { GIB } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import { CpuWait } from '../base/os/mod.ts';
import { Pauses } from '../base/pauses.ts';
import { type Settings, settingsOf } from '../base/settings.ts';
import { FileCache } from '../cache/mod.ts';
import { Committer, type DeadlineFigures } from '../commit/mod.ts';
import { type Config, homePaths, requireMeta } from '../home/mod.ts';
import { LiveMeta } from '../meta/mod.ts';
import { FileSystem } from '../vfs/mod.ts';
import { Capacity } from './capacity.ts';
import { ConfigChanges } from './config-changes.ts';
import { DiskOrders } from './disk-orders.ts';
import { commitPatiently } from './patient-commit.ts';
import { type Receipt, Receipts } from './receipts.ts';
import { StoreClient, type StoreClientOptions, type VolumeStore } from './store-client.ts';
import type { VolumeReport } from './volume-report.ts';

export interface LiveVolumeOptions {
  home: string;
  config: Config;
  mode: 'weak' | 'strong';
  readOnly: boolean;
  /** The retained epoch to be shown, instead of what is newest. */
  epoch?: Epoch;
  /**
   * A kernel sends the requests, as it does unless told otherwise: it may be lent cache files, and
   * another process may take over.
   */
  servesKernel?: boolean;
  /** Whether the mount wants access times at this moment. */
  updatesAtime: () => boolean;
  log: Log;
  /** The store's thread died. */
  onDeath: (error: unknown) => void;
  /** Makes the store; on a thread of its own by default. */
  storeOf?: (options: StoreClientOptions) => VolumeStore;
}

const REPORT_MS = 5000;
const DIRTY_BYTES_MAX: number = GIB / 4;

/** A volume that is being served: everything of one node, wired together. */
export class LiveVolume {
  readonly fileSystem: FileSystem;
  readonly committer: Committer;
  readonly cache: FileCache;
  readonly meta: LiveMeta;
  readonly store: VolumeStore;
  readonly receipts: Receipts;
  readonly mode: 'weak' | 'strong';
  readonly readOnly: boolean;
  readonly pauses: Pauses;
  /** Nothing can be asked of it any more. */
  isClosed = false;
  readonly #capacity: Capacity;
  readonly #cpuWait: CpuWait;
  readonly #changes: ConfigChanges;
  /** Changes of its hardware. */
  readonly diskOrders: DiskOrders;
  #settings: Settings;
  #report: VolumeReport;
  /** Of the map whose removed disks the config has forgotten. */
  #mapVersion = 0;
  #timer: NodeJS.Timeout;

  private constructor(parts: {
    options: LiveVolumeOptions;
    meta: LiveMeta;
    cache: FileCache;
    store: VolumeStore;
    firstEpoch: Epoch;
    report: VolumeReport;
    pauses: Pauses;
    cpuWait: CpuWait;
  }) {
    const { options, meta, cache, store, firstEpoch, report, pauses } = parts;
    const { timed } = pauses;
    this.pauses = pauses;
    this.#cpuWait = parts.cpuWait;
    const { log, config, mode, readOnly } = options;
    const { home } = options;
    const changes = new ConfigChanges(home);
    this.#changes = changes;
    this.diskOrders = new DiskOrders({ home, changes, store });
    this.#settings = settingsOf(config);
    this.mode = mode;
    this.readOnly = readOnly;
    this.meta = meta;
    this.cache = cache;
    this.store = store;
    this.#report = report;
    this.committer = new Committer({
      meta,
      cache,
      backend: store,
      firstEpoch,
      intervalMs: config.commitIntervalMs,
      deadlineMs: config.commitDeadlineMs,
      dirtyBytesMax: Math.min(DIRTY_BYTES_MAX, Math.floor(config.cacheBytes / 4)),
      log,
      timed,
    });
    this.receipts = new Receipts({
      meta,
      cache,
      committer: this.committer,
      scheme: () => this.#report.scheme,
    });
    this.#capacity = new Capacity({ cache, committer: this.committer, report });
    this.fileSystem = new FileSystem({
      meta,
      cache,
      readOnly,
      updatesAtime: options.updatesAtime,
      ...(options.servesKernel !== false ? { opensPath: homePaths(options.home).opens } : {}),
      log,
      timed,
      durability: {
        mode,
        commit: () => this.commitPatiently({ isUrgent: true }),
        receipt: (ino) => this.receipts.text(ino),
      },
      capacity: () => this.#capacity.now(),
    });
    if (!readOnly) this.committer.start();
    this.#timer = setInterval(() => void this.refresh().catch(() => undefined), REPORT_MS);
    this.#timer.unref();
  }

  static async open(options: LiveVolumeOptions): Promise<LiveVolume> {
    const { home, config, readOnly, log, onDeath } = options;
    const storeOf = options.storeOf ?? ((wanted) => new StoreClient(wanted));
    const cpuWait = new CpuWait();
    const pauses = new Pauses(log, () => cpuWait.totalMs());
    // Store and cache call each other; neither does before both are open.
    const late: LateParts = {};
    const store = storeOf({
      home,
      volumeUuid: config.volumeUuid,
      disks: config.disks.map(({ id, path }) => ({ id: id as DiskId, path })),
      readOnly,
      ...(options.epoch === undefined ? {} : { epoch: options.epoch }),
      settings: settingsOf(config),
      log,
      capture: (ranges) => {
        const { cache } = late;
        assert(cache !== undefined, 'a capture before the cache is open');
        return pauses.timed('capture', () =>
          ranges.map(({ ino, start, end }) => cache.capture(ino, start, end)),
        );
      },
      wantEpoch: () => {
        if (!readOnly) late.volume?.committer.commitAnyway();
      },
      onDeath,
    });
    try {
      const opened = await openParts({ home, config, store, pauses, log }, late);
      late.volume = new LiveVolume({ options, ...opened, store, pauses, cpuWait });
      // Not earlier: it may want an epoch.
      if (!readOnly) await store.startWork();
      return late.volume;
    } catch (error) {
      late.cache?.close();
      await late.meta?.close();
      await store.close();
      cpuWait.close();
      throw error;
    }
  }

  /** What is known of the committed side; at most some seconds old. */
  get report(): VolumeReport {
    return this.#report;
  }

  async refresh(): Promise<VolumeReport> {
    const stored = this.#capacity.stored;
    this.#report = await this.store.report();
    this.#capacity.reported(this.#report, stored);
    await this.#noteRemovals();
    return this.#report;
  }

  get settings(): Settings {
    return this.#settings;
  }

  /** Changes settings, in HOME/config first and then in what runs: all of them. */
  async configure(changes: Partial<Settings>): Promise<Settings> {
    const config = await this.#changes.change((known) => ({ ...known, ...changes }));
    this.#settings = settingsOf(config);
    await this.store.configure(this.#settings);
    return this.#settings;
  }

  /** The map has another version: disks may have left. */
  async #noteRemovals(): Promise<void> {
    const { mapVersion } = this.#report;
    if (mapVersion === this.#mapVersion || this.readOnly) return;
    await this.diskOrders.forgetRemoved();
    this.#mapVersion = mapVersion;
  }

  receipt(ino: Ino): Receipt | Promise<Receipt> {
    return this.receipts.of(ino);
  }

  /** Commits everything up to now: the epoch that has it. */
  async commit(): Promise<Epoch> {
    if (this.readOnly && !this.committer.isClean) {
      const state = 'the volume is opened read-only, and its cache has changes of before';
      throw new DfsError('BAD_ARGUMENT', `Cannot commit: ${state}; mount it without --read-only`);
    }
    return this.commitPatiently({ isUrgent: false });
  }

  /** How long changes wait for a commit; read-only, none is to come. */
  get deadline(): DeadlineFigures {
    const figures = this.committer.deadline;
    return this.readOnly ? { ...figures, isMissed: false, misses: 0 } : figures;
  }

  /** The same for who may wait until disks that fail are out of service. */
  commitPatiently(options: { isUrgent: boolean }): Promise<Epoch> {
    return commitPatiently(this.committer, options);
  }

  /**
   * Ends background work, commits if asked to, and closes everything. Throws when the last commit
   * failed.
   */
  async close(options: { commit: boolean }): Promise<void> {
    clearInterval(this.#timer);
    this.fileSystem.unmounted();
    try {
      await this.committer.close({ commit: options.commit && !this.readOnly });
    } finally {
      this.isClosed = true;
      // Before cache files of what is gone are removed.
      await this.meta.wal.syncAll();
      this.cache.close();
      await this.meta.close();
      await this.store.close();
      this.#cpuWait.close();
    }
  }
}

/** What opening a volume has come to. */
interface LateParts {
  meta?: LiveMeta;
  cache?: FileCache;
  volume?: LiveVolume;
}

/** Opens the live side of a volume on its committed side. */
async function openParts(
  options: { home: string; config: Config; store: VolumeStore; pauses: Pauses; log: Log },
  late: LateParts,
): Promise<{ meta: LiveMeta; cache: FileCache; firstEpoch: Epoch; report: VolumeReport }> {
  const { home, config, store, pauses, log } = options;
  const paths = homePaths(home);
  const head = await store.open();
  requireMeta(home);
  const meta = new LiveMeta(paths.meta);
  late.meta = meta;
  if (meta.committedEpoch > head.epoch) {
    const state = `HOME is at epoch ${meta.committedEpoch}, its disks end at ${head.epoch}`;
    throw new DfsError('CORRUPT', `Cannot open ${home}: ${state}; are these its disks?`);
  }
  const isNew = meta.inode(ROOT_INO) === undefined;
  if (isNew || meta.committedEpoch < head.epoch || meta.lastSeq < head.seq) {
    log('info', 'taking over an epoch from the disks', { epoch: head.epoch });
    meta.rebase(paths.committed, head);
  }
  const cache = new FileCache({
    folder: paths.cache,
    meta,
    limitBytes: config.cacheBytes,
    fetch: (request) => store.fetch(request),
    relieve: async () => {
      await late.volume?.commitPatiently({ isUrgent: false });
    },
    timed: pauses.timed,
  });
  late.cache = cache;
  cache.open(head.nextEpoch, { keepClean: isSameBoot(home) });
  // Only now: who dies before has not removed all that a power cut made untrustworthy.
  noteBoot(home);
  return { meta, cache, firstEpoch: head.nextEpoch, report: await store.report() };
}

/** Whether the machine has run without a break since a process last took up HOME. */
function isSameBoot(home: string): boolean {
  const path = join(home, 'boot-id');
  return existsSync(path) && readFileSync(path, 'utf8').trim() === bootId();
}

function noteBoot(home: string): void {
  if (!isSameBoot(home)) writeFileSync(join(home, 'boot-id'), `${bootId()}\n`, { mode: 0o600 });
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
