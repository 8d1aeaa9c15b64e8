import { Worker } from 'node:worker_threads';
import { DfsError } from '../base/errors.ts';
import type { DiskId, Epoch } from '../base/ids.ts';
import type { Log, LogLevel } from '../base/log.ts';
import type { Settings } from '../base/settings.ts';
import type {
  CapturedRange,
  CommitBackend,
  EpochCut,
  FetchOrder,
  ReadRange,
  Segment,
  SmallCommit,
  VolumeHead,
} from '../commit/mod.ts';
import type { DiskMap } from '../diskmap/mod.ts';
import type { Extent } from '../meta/mod.ts';
import type { WorkFacts } from '../repair/mod.ts';
import type { WorkOrder } from './background.ts';
import type { DiskDrill } from './drill.ts';
import type { FsckProgress, FsckReport } from './fsck.ts';
import type { HardwareOrder } from './hardware-orders.ts';
import type { LocatedExtent } from './locate.ts';
import { Rpc } from './rpc.ts';
import type { SchemeReport } from './scheme-change.ts';
import type { StoreWorkerData } from './store-worker-main.ts';
import type { SurveyProgress } from './survey.ts';
import type { VolumeReport } from './volume-report.ts';

export interface StoreClientOptions {
  home: string;
  volumeUuid: string;
  disks: { id: DiskId; path: string }[];
  readOnly: boolean;
  /** As {@link VolumeOptions.epoch}. */
  epoch?: Epoch;
  settings: Settings;
  log: Log;
  capture: (ranges: ReadRange[]) => CapturedRange[];
  /** An epoch is wanted although nothing may have changed. */
  wantEpoch: () => void;
  /** The thread died: nothing can be committed or fetched any more. */
  onDeath: (error: unknown) => void;
}

/** The committed side of the volume as the event loop sees it, on whatever thread it is. */
export interface VolumeStore extends CommitBackend {
  open(): Promise<VolumeHead>;
  fetch(order: FetchOrder): Promise<void>;
  /** From now on these settings hold. */
  configure(settings: Settings): Promise<void>;
  report(): Promise<VolumeReport>;
  /** The map in use. */
  map(): Promise<DiskMap>;
  /** Changes the hardware: the map that is in use then. */
  changeHardware(order: HardwareOrder): Promise<DiskMap>;
  /** Begins background work, once whoever commits is there. */
  startWork(): Promise<void>;
  /** Undefined where there is none. */
  work(): Promise<WorkFacts | undefined>;
  workOrder(order: WorkOrder): Promise<WorkFacts>;
  /** Resolves when background work has nothing left that can be done now. */
  workWait(): Promise<WorkFacts>;
  scheme(): Promise<SchemeReport>;
  /** Gives the volume another scheme; `auto` is one. */
  setScheme(wanted: string): Promise<SchemeReport>;
  locate(extents: Extent[]): Promise<LocatedExtent[]>;
  drill(onProgress: (progress: SurveyProgress) => void): Promise<DiskDrill>;
  /** Checks everything; with `repair` what can be mended is. */
  fsck(
    options: { repair: boolean },
    onProgress: (progress: FsckProgress) => void,
  ): Promise<FsckReport>;
  close(): Promise<void>;
}

/** The store's thread as the event loop sees it. */
export class StoreClient implements VolumeStore {
  readonly #worker: Worker;
  readonly #rpc: Rpc;
  #closing = false;
  #isDead = false;
  #onDrillProgress: (progress: SurveyProgress) => void = () => undefined;
  #onFsckProgress: (progress: FsckProgress) => void = () => undefined;

  constructor(options: StoreClientOptions) {
    const { home, volumeUuid, disks, readOnly, epoch, settings } = options;
    const { log, capture, wantEpoch, onDeath } = options;
    const volume = { home, volumeUuid, disks, readOnly, settings };
    const workerData: StoreWorkerData = { ...volume, ...(epoch === undefined ? {} : { epoch }) };
    this.#worker = new Worker(new URL('./store-worker-main.js', import.meta.url), { workerData });
    this.#rpc = new Rpc(this.#worker, {
      capture,
      wantEpoch,
      log: ({ level, event, facts }: { level: LogLevel; event: string; facts: object }) =>
        log(level, event, { ...facts }),
      drillProgress: (progress: SurveyProgress) => this.#onDrillProgress(progress),
      fsckProgress: (progress: FsckProgress) => this.#onFsckProgress(progress),
    });
    const died = (error: unknown): void => {
      this.#isDead = true;
      this.#rpc.close(new DfsError('CLOSED', "Cannot go on: the store's thread has ended"));
      if (!this.#closing) onDeath(error);
    };
    this.#worker.on('error', died);
    this.#worker.on('exit', (code) =>
      died(new DfsError('IO', `the store's thread ended: ${code}`)),
    );
  }

  open(): Promise<VolumeHead> {
    return this.#rpc.call('open', undefined);
  }

  store(segments: Segment[]): Promise<Uint8Array> {
    return this.#rpc.call('store', segments);
  }

  publish(cut: EpochCut): Promise<void> {
    return this.#rpc.call('publish', cut);
  }

  commitSmall(small: SmallCommit): Promise<{ ids: Uint8Array; inlineBytes: number }> {
    return this.#rpc.call('commitSmall', small);
  }

  abandon(): Promise<void> {
    return this.#rpc.call('abandon', undefined);
  }

  checkpoint(): Promise<number> {
    return this.#rpc.call('checkpoint', undefined);
  }

  fetch(order: FetchOrder): Promise<void> {
    return this.#rpc.call('fetch', order);
  }

  configure(settings: Settings): Promise<void> {
    return this.#rpc.call('configure', settings);
  }

  report(): Promise<VolumeReport> {
    return this.#rpc.call('report', undefined);
  }

  map(): Promise<DiskMap> {
    return this.#rpc.call('map', undefined);
  }

  changeHardware(order: HardwareOrder): Promise<DiskMap> {
    return this.#rpc.call('changeHardware', order);
  }

  startWork(): Promise<void> {
    return this.#rpc.call('startWork', undefined);
  }

  work(): Promise<WorkFacts | undefined> {
    return this.#rpc.call('work', undefined);
  }

  workOrder(order: WorkOrder): Promise<WorkFacts> {
    return this.#rpc.call('workOrder', order);
  }

  workWait(): Promise<WorkFacts> {
    return this.#rpc.call('workWait', undefined);
  }

  scheme(): Promise<SchemeReport> {
    return this.#rpc.call('scheme', undefined);
  }

  setScheme(wanted: string): Promise<SchemeReport> {
    return this.#rpc.call('setScheme', wanted);
  }

  locate(extents: Extent[]): Promise<LocatedExtent[]> {
    return this.#rpc.call('locate', extents);
  }

  fsck(
    options: { repair: boolean },
    onProgress: (progress: FsckProgress) => void,
  ): Promise<FsckReport> {
    this.#onFsckProgress = onProgress;
    return this.#rpc.call('fsck', options);
  }

  drill(onProgress: (progress: SurveyProgress) => void): Promise<DiskDrill> {
    this.#onDrillProgress = onProgress;
    return this.#rpc.call('drill', undefined);
  }

  async close(): Promise<void> {
    this.#closing = true;
    try {
      if (!this.#isDead) await this.#rpc.call('close', undefined);
    } finally {
      await this.#worker.terminate();
    }
  }
}
