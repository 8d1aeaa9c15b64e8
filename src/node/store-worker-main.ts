/**
 * The store's thread: the committed side of the volume, driven by calls of the thread that serves
 * the kernel.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../base/errors.ts';
import type { ChunkId, DiskId, Epoch } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { Settings } from '../base/settings.ts';
import type {
  CapturedRange,
  EpochCut,
  FetchOrder,
  ReadRange,
  Segment,
  SmallCommit,
} from '../commit/mod.ts';
import { Volume } from '../commit/mod.ts';
import { Background, type WorkOrder } from './background.ts';
import { openDiskThread } from './disk-thread.ts';
import { drillDisks } from './drill.ts';
import { type FsckProgress, fsck, repairAfter } from './fsck.ts';
import { carryOut, type HardwareOrder } from './hardware-orders.ts';
import { locate } from './locate.ts';
import { Rpc } from './rpc.ts';
import { changeScheme, schemeReport } from './scheme-change.ts';
import { volumeReport } from './volume-report.ts';

/** What the thread is started with. */
export interface StoreWorkerData {
  home: string;
  volumeUuid: string;
  disks: { id: DiskId; path: string }[];
  readOnly: boolean;
  epoch?: Epoch;
  settings: Settings;
}

assert(parentPort !== null, 'the store worker runs in a thread of its own');
const data = workerData as StoreWorkerData;
let opened: Volume | undefined;
const background = new Background();
const { foreground } = background;

function volume(): Volume {
  assert(opened !== undefined, 'the volume is open');
  return opened;
}

const log: Log = (level, event, facts) => void rpc.call('log', { level, event, facts });

const rpc: Rpc = new Rpc(parentPort, {
  open: async () => {
    opened = await Volume.open({
      ...data,
      openBuckets: openDiskThread,
      log,
      wantEpoch: () => void rpc.call('wantEpoch', undefined),
      capture: (ranges: ReadRange[]) => rpc.call<CapturedRange[]>('capture', ranges),
    });
    return opened.head;
  },
  startWork: () => background.start(volume(), { home: data.home, log }),
  store: (segments: Segment[]) => foreground.during(() => volume().store(segments)),
  publish: (cut: EpochCut) => foreground.during(() => volume().publish(cut)),
  commitSmall: (small: SmallCommit) => foreground.during(() => volume().commitSmall(small)),
  abandon: () => volume().abandon(),
  checkpoint: () => volume().checkpoint(),
  fetch: (order: FetchOrder) => foreground.during(() => volume().fetch(order)),
  configure: (settings: Settings) => volume().configure(settings),
  report: () => volumeReport(volume(), background.facts),
  work: () => background.facts,
  workOrder: (order: WorkOrder) => background.do(order),
  workWait: () => background.wait(),
  scheme: () => schemeReport(volume()),
  setScheme: (wanted: string) => changeScheme(volume(), wanted),
  map: () => volume().map,
  changeHardware: (order: HardwareOrder) => carryOut(volume(), order),
  locate: (extents: { chunk: Uint8Array; offset: number; lengthBytes: number }[]) =>
    locate(
      volume(),
      extents.map((extent) => ({ ...extent, chunk: Buffer.from(extent.chunk) as ChunkId })),
    ),
  drill: () =>
    drillDisks(volume(), {
      isGentle: true,
      onProgress: (progress) => void rpc.call('drillProgress', progress),
    }),
  fsck: async ({ repair }: { repair: boolean }) => {
    if (repair) background.checkRuns();
    const say = (progress: FsckProgress): void => void rpc.call('fsckProgress', progress);
    const report = await fsck(volume(), say);
    return repair ? repairAfter(report, volume(), background) : report;
  },
  close: async () => {
    await background.close();
    await opened?.close();
  },
});
