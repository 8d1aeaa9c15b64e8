import { assert, DfsError } from '../base/errors.ts';
import type { Settings } from '../base/settings.ts';
import type { EpochCut, FetchOrder, Segment, SmallCommit, VolumeHead } from '../commit/mod.ts';
import { Volume } from '../commit/mod.ts';
import type { DiskMap } from '../diskmap/mod.ts';
import type { Extent } from '../meta/mod.ts';
import type { WorkFacts } from '../repair/mod.ts';
import { type DiskDrill, drillDisks } from './drill.ts';
import { type FsckProgress, type FsckReport, fsck } from './fsck.ts';
import { carryOut, type HardwareOrder } from './hardware-orders.ts';
import { type LocatedExtent, locate } from './locate.ts';
import { changeScheme, type SchemeReport, schemeReport } from './scheme-change.ts';
import type { StoreClientOptions, VolumeStore } from './store-client.ts';
import type { SurveyProgress } from './survey.ts';
import { type VolumeReport, volumeReport } from './volume-report.ts';

/**
 * The store on the thread of its caller: for a volume that is opened, looked at and closed again,
 * when the start of a thread would take longer than the rest.
 */
export class LocalStore implements VolumeStore {
  readonly #options: StoreClientOptions;
  #volume: Volume | undefined;

  constructor(options: StoreClientOptions) {
    this.#options = options;
  }

  get #opened(): Volume {
    assert(this.#volume !== undefined, 'the volume is open');
    return this.#volume;
  }

  async open(): Promise<VolumeHead> {
    const { capture, ...options } = this.#options;
    this.#volume = await Volume.open({
      ...options,
      capture: (ranges) => Promise.resolve(capture(ranges)),
    });
    return this.#volume.head;
  }

  store(segments: Segment[]): Promise<Uint8Array> {
    return this.#opened.store(segments);
  }

  publish(cut: EpochCut): Promise<void> {
    return this.#opened.publish(cut);
  }

  commitSmall(small: SmallCommit): Promise<{ ids: Uint8Array; inlineBytes: number }> {
    return this.#opened.commitSmall(small);
  }

  abandon(): Promise<void> {
    return this.#opened.abandon();
  }

  checkpoint(): Promise<number> {
    return this.#opened.checkpoint();
  }

  fetch(order: FetchOrder): Promise<void> {
    return this.#opened.fetch(order);
  }

  configure(settings: Settings): Promise<void> {
    this.#opened.configure(settings);
    return Promise.resolve();
  }

  report(): Promise<VolumeReport> {
    return volumeReport(this.#opened, undefined);
  }

  /** There is none: nobody stays long enough. */
  startWork(): Promise<void> {
    return Promise.resolve();
  }

  work(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  scheme(): Promise<SchemeReport> {
    return Promise.resolve(schemeReport(this.#opened));
  }

  setScheme(wanted: string): Promise<SchemeReport> {
    return changeScheme(this.#opened, wanted);
  }

  workOrder(): Promise<WorkFacts> {
    return Promise.reject(noWork());
  }

  workWait(): Promise<WorkFacts> {
    return Promise.reject(noWork());
  }

  map(): Promise<DiskMap> {
    return Promise.resolve(this.#opened.map);
  }

  changeHardware(order: HardwareOrder): Promise<DiskMap> {
    return carryOut(this.#opened, order);
  }

  locate(extents: Extent[]): Promise<LocatedExtent[]> {
    return locate(this.#opened, extents);
  }

  fsck(
    { repair }: { repair: boolean },
    onProgress: (progress: FsckProgress) => void,
  ): Promise<FsckReport> {
    return repair ? Promise.reject(noWork()) : fsck(this.#opened, onProgress);
  }

  drill(onProgress: (progress: SurveyProgress) => void): Promise<DiskDrill> {
    return drillDisks(this.#opened, { isGentle: true, onProgress });
  }

  async close(): Promise<void> {
    await this.#volume?.close();
  }
}

function noWork(): DfsError {
  const state = 'the volume is only looked at; mount it';
  return new DfsError('BAD_ARGUMENT', `Cannot use background work: ${state}`);
}
